//! Puts the machines of `machines/` into the wasm, ready to be sent: a faulty one stops the build.

#[path = "src/machine/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "a module of the crate; the build needs a part of it")]
mod machine;

use std::{env, fs, io, path::Path};

use machine::Machine;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=machines");
    println!("cargo::rerun-if-changed=src/machine");
    match machine::read_folder(Path::new("machines")) {
        Ok(machines) => {
            let entries: String = machines.iter().map(entry).collect();
            let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
            fs::write(Path::new(&folder).join("machines.rs"), format!("&[\n{entries}]\n"))
        }
        Err(faults) => {
            for fault in faults {
                println!("cargo::error={fault}");
            }
            Ok(())
        }
    }
}

/// A `Machine { … }` of `src/machines.rs`.
fn entry(machine: &Machine) -> String {
    let Machine { config, definition, .. } = machine;
    format!("Machine {{ id: {:?}, version: {}, definition: {definition:?} }},\n", config.id, config.version)
}
