//! Runs one target of `cargo xtask fuzz` on its corpus, and then on inputs made from it.
//!
//! The feature `libfuzzer` replaces `main` by libFuzzer's, which keeps the inputs that reach new code. Without it, inputs
//! are changed at random: [`blind`].

#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(not(feature = "libfuzzer"))]
mod blind;
mod input;
mod targets;

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::judge(bytes));

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::io::Result<()> {
    blind::search()
}
