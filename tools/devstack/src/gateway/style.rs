//! Whose gateway the local one behaves as, where they differ.

use strum::{Display, EnumString, VariantNames};

/// The gateway of a Supabase that is hosted, or of one that you host yourself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Style {
    /// Hosted: the functions answer preflights.
    #[default]
    Supabase,
    /// Self-hosted, which is Kong: it answers preflights of functions itself, and allows four headers
    /// (supabase/supabase#41334).
    Kong,
}
