//! Prints the function's OpenAPI document, or what is wrong with its declarations. `cargo xtask openapi` runs it.

fn main() -> std::process::ExitCode {
    shared::edge::openapi::print({{stem}}::openapi())
}
