//! The machines this build knows, as it shows them. What moves are allowed is not decided by these: the database has
//! its own copy of the same files, and decides.

/// A version of a machine.
#[derive(Debug)]
pub struct Machine {
    /// Its name: `supportive-yarn`.
    pub id: &'static str,
    /// From 1.
    pub version: u32,
    /// Its file, as JSON without white space.
    pub definition: &'static str,
}

/// Every version of every machine: by id, then version.
pub static ALL: &[Machine] = include!(concat!(env!("OUT_DIR"), "/machines.rs"));

/// A version of a machine; the latest when none is named.
pub fn find(id: &str, version: Option<u32>) -> Option<&'static Machine> {
    ALL.iter().rfind(|machine| machine.id == id && version.is_none_or(|version| machine.version == version))
}
