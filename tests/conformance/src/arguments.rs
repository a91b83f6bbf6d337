//! The command line of the suites: `[--host workers|supabase] [--gateway supabase|kong] [FILTER]...`.

use std::str::FromStr;

use devstack::error::{Error, Result};
use devstack::gateway::Style;
use devstack::host::Host;
use strum::VariantNames;

/// What a suite was asked for.
#[derive(Debug)]
pub struct Arguments {
    /// Where the functions run.
    pub host: Host,
    /// Whose gateway the stack's is to behave as.
    pub gateway: Style,
    /// Parts of the names of what is to run; all of it without any.
    pub filters: Vec<String>,
}

impl Arguments {
    /// Reads this program's.
    pub fn read() -> Result<Self> {
        let mut read = Self { host: Host::Workers, gateway: Style::default(), filters: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| Error::new(format!("{argument} needs a value")));
            match argument.as_str() {
                "--host" => read.host = word(&value()?)?,
                "--gateway" => read.gateway = word(&value()?)?,
                _ => read.filters.push(argument),
            }
        }
        Ok(read)
    }
}

/// Reads a word of those there are.
fn word<T: VariantNames + FromStr>(word: &str) -> Result<T> {
    word.parse().map_err(|_| Error::new(format!("{word:?} is none of these")).cure(T::VARIANTS.join(" or ")))
}
