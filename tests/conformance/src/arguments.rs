//! The command line of the suites: `[--host workers|supabase] [--gateway supabase|kong] [FILTER]...`.

use devstack::error::{Error, Result};
use devstack::gateway::Style;
use devstack::host::Host;

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
                "--host" => read.host = value()?.parse()?,
                "--gateway" => read.gateway = value()?.parse()?,
                _ => read.filters.push(argument),
            }
        }
        Ok(read)
    }
}
