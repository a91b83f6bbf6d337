//! `cargo xtask doctor`: what is here, what is missing, and the command that mends it.

use std::process::ExitCode;

use crate::check::cargo_tools::CargoTools;
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    progress::print,
    tools::{command::Tool, node, npm, platform::Platform, rust, toolbox::Toolbox},
};

/// Runs the command. It fails when something `cargo xtask dev` cannot install itself is missing.
pub async fn run(checkout: &Checkout) -> Result<ExitCode> {
    let mut report = Report::default();
    let root = checkout.root();

    report.must("platform", Platform::this().map(|_| format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)));
    report.must("Rust", version(Tool::new("rustc", root).arg("--version"), "https://rustup.rs").await);
    report.must("Node.js", node::check(root).await);
    report.must("npm", version(Tool::new("npm", root).arg("--version"), "https://nodejs.org/en/download").await);

    let wasm = rust::has_wasm(root).await.unwrap_or_default();
    report.may(&format!("Rust target {}", rust::WASM), wasm, &format!("rustup target add {}", rust::WASM));
    let installed = npm::is_installed(checkout).unwrap_or_default();
    report.may("npm tools", installed, "cargo xtask build   (runs npm ci)");
    if installed {
        let toolbox = Toolbox::new(checkout)?;
        for (name, program) in
            [("workerd", toolbox.workerd()), ("Deno", toolbox.deno()), ("PostgREST", toolbox.postgrest())]
        {
            let said = match program {
                Ok(program) => {
                    version(Tool::new(program, root).arg("--version"), "rm -rf node_modules, then any command").await
                }
                Err(error) => Err(error),
            };
            report.must(name, said);
        }
    }
    let browser = npm::has_browser(checkout).unwrap_or_default();
    report.may("the browser of the tests", browser, "cargo xtask test --only conformance");
    let tools = CargoTools::of(checkout)?;
    report.may("wasm-pack and its test runner", tools.are_installed(), "cargo xtask test --only wasm");

    print(report.lines.join("\n"));
    Ok(if report.broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn version(tool: Tool, cure: &str) -> Result<String> {
    let said = tool.run().await.map_err(|error| error.cure(cure))?;
    match said.stdout.lines().next() {
        Some(line) if said.status.success() => Ok(line.to_owned()),
        _ => Err(Error::new(format!("it does not run: {}", said.last_lines(3))).cure(cure)),
    }
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    broken: bool,
}

impl Report {
    /// Something nobody else installs.
    fn must(&mut self, name: &str, found: Result<String>) {
        match found {
            Ok(version) => self.lines.push(format!("ok       {name}: {version}")),
            Err(error) => {
                self.broken = true;
                self.lines.push(format!("MISSING  {name}: {}", error.to_string().trim_start_matches("error: ")));
            }
        }
    }

    /// Something that is installed when it is first needed.
    fn may(&mut self, name: &str, there: bool, command: &str) {
        self.lines.push(if there {
            format!("ok       {name}")
        } else {
            format!("not yet  {name}: installed when first needed, or now: {command}")
        });
    }
}
