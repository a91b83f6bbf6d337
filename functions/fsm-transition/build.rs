//! Puts the machines of `machines/` into the wasm, ready to be sent: a faulty one stops the build.

#[path = "src/machine/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "a module of the crate; the build needs a part of it")]
mod machine;

use std::{env, fs, io, path::Path};

use machine::{Machine, layout::Layout, mermaid, svg};

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
    let config = &machine.config;
    let states: Vec<_> = config.states.iter().map(|state| (&state.name, mermaid::alias(&state.name))).collect();
    format!(
        "Machine {{ id: {:?}, version: {}, states: &{:?}, definition: {:?}, mermaid: {:?}, svg: {:?} }},\n",
        config.id,
        config.version,
        states,
        machine.definition,
        mermaid::mermaid(config),
        parted(&svg::svg(config, &Layout::of(config))),
    )
}

/// The picture in three, without searching it at run time.
fn parted(svg: &str) -> [&str; 3] {
    let style = svg.find("</style>").unwrap_or(0);
    let title = svg.find("</title>").unwrap_or(style);
    [svg.get(..style), svg.get(style..title), svg.get(title..)].map(Option::unwrap_or_default)
}
