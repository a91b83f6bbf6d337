//! A machine as a Mermaid state diagram, for pages that draw it themselves.

use super::{config::Config, graph::joined_moves};

/// Words with a meaning of their own to Mermaid's state diagrams: they stop its parser.
const RESERVED: &[&str] = &[
    "accdescr", "acctitle", "class", "classdef", "click", "default", "end", "href", "note", "scale", "state", "style",
];

/// The diagram's text, newest syntax (`stateDiagram-v2`).
pub fn mermaid(config: &Config) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    for state in &config.states {
        let alias = alias(&state.name);
        if alias != state.name {
            text.push_str(&format!("    state \"{}\" as {alias}\n", state.name));
        }
    }
    text.push_str(&format!("    [*] --> {}\n", alias(&config.initial)));
    let name = |place: usize| config.states.get(place).map(|state| alias(&state.name)).unwrap_or_default();
    for joined in joined_moves(config) {
        text.push_str(&format!("    {} --> {} : {}\n", name(joined.from), name(joined.to), joined.label));
    }
    for state in config.states.iter().filter(|state| state.is_final) {
        text.push_str(&format!("    {} --> [*]\n", alias(&state.name)));
    }
    text
}

/// What the diagram calls a state. Names are lower case, so a capital letter makes one that is nobody else's.
pub fn alias(state: &str) -> String {
    // Mermaid's own first and last states are `root_start` and `root_end`.
    if RESERVED.contains(&state) || state.starts_with("root") { format!("S_{state}") } else { state.to_owned() }
}
