//! `cargo xtask build`: each function as release wasm with its glue, for each host, and a table of their sizes.
//!
//! cargo compiles, wasm-bindgen (as a library, in the version Cargo.lock pins) writes the glue, binaryen's wasm-opt
//! optimises the module. A function whose inputs have not changed is not built again.

pub mod compile;
pub mod glue;
pub mod optimise;
pub mod size;
pub mod stamp;

use std::process::ExitCode;

use compile::Compiled;
use devstack::output::Output;
use devstack::{
    checkout::{Checkout, Function},
    error::{Context as _, Result},
    host::Host,
    progress::{Progress, print},
    tools::{node, npm, rust, toolbox::Toolbox},
};
use size::Weight;

/// What `cargo xtask build` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BuildOptions {
    /// A host, `workers` or `supabase` (default: both), then functions (default: all)
    #[arg(value_name = "HOST|FUNCTION")]
    pub what: Vec<String>,
}

impl BuildOptions {
    /// The hosts and the functions; no function means all.
    pub fn chosen(self) -> (Vec<Host>, Vec<String>) {
        match self.what.split_first().map(|(first, rest)| (first.parse(), rest)) {
            Some((Ok(host), functions)) => (vec![host], functions.to_vec()),
            _ => (Host::ALL.to_vec(), self.what),
        }
    }
}

/// Runs the command.
pub async fn run(checkout: &Checkout, options: BuildOptions) -> Result<ExitCode> {
    let progress = Progress::start();
    let (hosts, functions) = options.chosen();
    let functions = checkout.functions_named(&functions)?;
    node::check(checkout.root()).await?;
    rust::ensure_wasm(checkout.root()).await?;
    // npm downloads while cargo compiles.
    let (installed, weights) = tokio::join!(npm::ensure(checkout), async {
        let mut compiled = Vec::new();
        for host in &hosts {
            compiled.extend(compile::compile(checkout, *host, &functions, progress).await?);
        }
        Ok::<_, devstack::error::Error>(compiled)
    });
    installed?;
    let weights = finish(checkout, weights?, progress).await?;
    print(size::table(&weights).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Glue and optimisation of what cargo compiled; all modules at once, as wasm-opt in Node is slow and single-threaded.
pub async fn finish(checkout: &Checkout, compiled: Vec<Compiled>, progress: Progress) -> Result<Vec<Weight>> {
    let toolbox = Toolbox::new(checkout)?;
    let mut tasks = Vec::new();
    for module in compiled {
        let (checkout, toolbox) = (checkout.clone(), toolbox.clone());
        tasks.push(tokio::spawn(async move { finish_one(&checkout, &toolbox, module, progress).await }));
    }
    let mut weights = Vec::new();
    for task in tasks {
        weights.push(task.await.context(|| "A build step ended early".into())??);
    }
    Ok(weights)
}

async fn finish_one(checkout: &Checkout, toolbox: &Toolbox, module: Compiled, progress: Progress) -> Result<Weight> {
    let output = Output::of(checkout, module.host, &module.function);
    let stamp = stamp::Stamp::of(checkout, &module)?;
    if !stamp.is_on(&output) {
        progress.say(format!("optimising {} for {}", module.function.name, module.host));
        let raw = output.scratch();
        glue::generate(&module, &raw).await?;
        optimise::optimise(toolbox, &module, &raw, &output).await?;
        output.publish(&raw)?;
        stamp.put_on(&output)?;
    }
    size::weigh(&output)
}

/// Functions for one host, compiled and finished.
pub async fn build(checkout: &Checkout, host: Host, functions: &[Function], progress: Progress) -> Result<Vec<Weight>> {
    let compiled = compile::compile(checkout, host, functions, progress).await?;
    finish(checkout, compiled, progress).await
}
