//! The two places a function runs.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Where a function runs. The words for them are those of the command line, of the cargo features and of `stack.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Host {
    /// Cloudflare Workers; locally the same runtime, workerd.
    Workers,
    /// Supabase Edge Functions; locally Deno, in the version their runtime follows.
    Supabase,
}

impl Host {
    /// Both, in the order they are built and tested.
    pub const ALL: [Self; 2] = [Self::Workers, Self::Supabase];

    /// The word for it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
