//! What a command does when nobody reads what it prints any more, as in `cargo xtask --help | head -1`.

use std::process::Command;

/// What Rust ends a program with that panics.
const PANICKED: Option<i32> = Some(101);

#[test]
fn a_command_whose_reader_has_gone_ends_quietly() {
    // The last two have something to say on stderr: there is no such command, and no such stack.
    for arguments in ["--help", "dev --help", "doctor", "nonsense", "token"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(arguments.split(' '))
            .env("SELVEDGE_STACK", "no/such/stack.json")
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .status()
            .unwrap();
        assert!(ended.code().is_some() && ended.code() != PANICKED, "cargo xtask {arguments}: {ended}");
    }
}
