//! Machines as data: the files of `machines/` read, checked, drawn, and written as migrations.
//!
//! None of it is in the wasm. The build script includes this module to make what is (`machines.rs`); `cargo xtask
//! machines` writes the migrations with it. So it names its own parts by `super`.

pub mod check;
pub mod config;
pub mod graph;
pub mod layout;
pub mod mermaid;
pub mod migration;
pub mod svg;

use std::{fmt, fs, path::Path};

use config::Config;

/// Where the files are, seen from the repository's root.
pub const FOLDER: &str = "functions/fsm-transition/machines";

/// A machine without faults.
#[derive(Debug)]
pub struct Machine {
    /// Its file's name: `supportive-yarn.json`.
    pub file: String,
    /// What the file says, without the white space.
    pub definition: String,
    /// What it means.
    pub config: Config,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name: `supportive-yarn.json`.
    pub file: String,
    /// The line it stands in, from 1.
    pub line: usize,
    /// Which part of the machine: `state "goals", event "next_step"`. Empty for the machine as a whole.
    pub place: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FOLDER}/{}:{}: ", self.file, self.line)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.what)
    }
}

impl Machine {
    /// Reads and checks one file's text. `file` is its name, which the machine's id and version must agree with.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let config = config::parse(file, text)?;
        let faults = check::check(file, &config);
        if faults.is_empty() {
            Ok(Self { file: file.to_owned(), definition: config::minify(text), config })
        } else {
            Err(faults)
        }
    }
}

/// Reads and checks every `*.json` of a folder: sorted by id, then version.
pub fn read_folder(folder: &Path) -> Result<Vec<Machine>, Vec<Fault>> {
    let unreadable = |file: &str, what: String| {
        vec![Fault { file: file.to_owned(), line: 1, place: String::new(), what: format!("cannot be read: {what}") }]
    };
    let entries = fs::read_dir(folder).map_err(|error| unreadable("", error.to_string()))?;
    let mut machines = Vec::new();
    let mut faults = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable("", error.to_string()))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if !file.ends_with(".json") {
            continue;
        }
        let machine = fs::read_to_string(&path)
            .map_err(|error| unreadable(&file, error.to_string()))
            .and_then(|text| Machine::parse(&file, &text));
        match machine {
            Ok(machine) => machines.push(machine),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        machines.sort_by(|a, b| (&a.config.id, a.config.version).cmp(&(&b.config.id, b.config.version)));
        Ok(machines)
    } else {
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Err(faults)
    }
}
