//! The two places a function runs.

use std::{fmt, str::FromStr};

use crate::error::Error;

/// Where a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host {
    /// Cloudflare Workers; locally the same runtime, workerd.
    Workers,
    /// Supabase Edge Functions; locally Deno, in the version their runtime follows.
    Supabase,
}

impl Host {
    /// Both, in the order they are built and tested.
    pub const ALL: [Self; 2] = [Self::Workers, Self::Supabase];

    /// The word for it on the command line, as a cargo feature and in `stack.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Supabase => "supabase",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|host| host.name() == name)
            .ok_or_else(|| Error::new(format!("there is no host {name:?}")).cure("workers or supabase"))
    }
}
