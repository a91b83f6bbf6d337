//! The tools around the build: what must be on the machine, what npm brings, and how they are run.

pub mod command;
pub mod node;
pub mod npm;
pub mod platform;
pub mod rust;
pub mod toolbox;
