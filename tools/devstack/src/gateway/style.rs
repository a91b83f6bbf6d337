//! Whose gateway the local one behaves as, where they differ.

use std::str::FromStr;

use crate::error::Error;

/// The gateway of a Supabase that is hosted, or of one that you host yourself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Hosted: the functions answer preflights.
    #[default]
    Supabase,
    /// Self-hosted, which is Kong: it answers preflights of functions itself, and allows four headers
    /// (supabase/supabase#41334).
    Kong,
}

impl Style {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Supabase, Self::Kong];

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supabase => "supabase",
            Self::Kong => "kong",
        }
    }
}

impl FromStr for Style {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|style| style.name() == name);
        found.ok_or_else(|| Error::new(format!("there is no gateway {name:?}")).cure("supabase or kong"))
    }
}
