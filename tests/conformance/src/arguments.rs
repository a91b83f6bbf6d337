//! The command line of the suites: `[--host workers|supabase] [FILTER]...`.

use devstack::error::{Error, Result};
use devstack::host::Host;

/// What a suite was asked for.
#[derive(Debug)]
pub struct Arguments {
    /// Where the functions run.
    pub host: Host,
    /// Parts of the names of what is to run; all of it without any.
    pub filters: Vec<String>,
}

impl Arguments {
    /// Reads this program's.
    pub fn read() -> Result<Self> {
        let (mut host, mut filters) = (Host::Workers, Vec::new());
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--host" {
                let name =
                    arguments.next().ok_or_else(|| Error::new("--host names no host").cure("workers, supabase"))?;
                host = name.parse()?;
            } else {
                filters.push(argument);
            }
        }
        Ok(Self { host, filters })
    }
}
