//! `cargo xtask new NAME`: a new function with everything it needs, which compiles and has its first scenario.

mod name;
mod plan;

use devstack::{
    checkout::{Checkout, Function},
    error::Result,
    progress::{Progress, print},
    tools::command::Tool,
};

use crate::openapi;
use name::Name;
use plan::{Plan, Text};

/// What `cargo xtask new` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct NewOptions {
    /// The function's name, which is also its folder's and its URL's: small letters, digits and hyphens
    pub name: String,
}

/// Makes a function, and says what to look at.
pub async fn run(checkout: &Checkout, options: &NewOptions) -> Result<()> {
    let name = Name::read(&options.name)?;
    name.is_free(checkout)?;
    let plan = Plan::of(checkout, &name)?;
    plan.write(checkout)?;
    format(checkout, &plan).await?;
    let progress = Progress::start();
    progress.say("compiling it, to write its OpenAPI document");
    let document = openapi::document(checkout, &Function { name: name.name.clone() }).await?;
    document.write(checkout)?;
    for Text { file, .. } in &plan.new {
        print(format!("made     {file}"));
    }
    print(format!("made     {}", document.file));
    for Text { file, .. } in &plan.changed {
        print(format!("added to {file}"));
    }
    print(next(&name, &plan).trim_end());
    Ok(())
}

/// Formats the new files: how long the name is decides where lines break.
async fn format(checkout: &Checkout, plan: &Plan) -> Result<()> {
    let files = plan.rust().map(|text| checkout.path(&text.file));
    let tool = Tool::new("rustfmt", checkout.root()).args(["--edition", "2024"]).args(files);
    tool.succeed("Formatting the new files").await.map(|_| ())
}

/// The five files to change, and the commands to try.
fn next(Name { name, stem }: &Name, plan: &Plan) -> String {
    let migration = plan.new.iter().map(|text| text.file.clone()).find(|file| file.ends_with(".sql"));
    let files = [
        (format!("functions/{name}/src/entries.rs"), "the requests and their handlers"),
        (format!("functions/{name}/src/lib.rs"), "the routes, and the problems they raise"),
        (migration.unwrap_or_default(), "the table, its policies, a database function for each request"),
        (format!("functions/{name}/src/openapi.rs"), "what the responses look like"),
        (format!("tests/conformance/scenarios/{stem}.rs"), "what it promises, tested on both hosts"),
    ];
    let commands = [
        ("cargo xtask dev".to_owned(), "runs it on the local stack"),
        ("cargo xtask build".to_owned(), "builds it for both hosts"),
        (format!("cargo run -p conformance -- {stem}::"), "runs its scenarios (or with --host supabase)"),
        ("cargo xtask test".to_owned(), "runs everything"),
    ];
    format!(
        "\n`{name}` keeps a person's entries. To make it yours, change these five files (docs/adding-a-function.md):\n\
         {}\nNext:\n{}",
        table(&files),
        table(&commands)
    )
}

/// Two columns.
fn table(rows: &[(String, &str)]) -> String {
    let width = rows.iter().map(|(first, _)| first.len()).max().unwrap_or_default();
    rows.iter().map(|(first, second)| format!("  {first:width$}  {second}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::{Checkout, Name, Plan, format};

    #[tokio::test]
    async fn a_plan_is_whole_and_rustfmt_can_read_it() {
        let checkout = Checkout::here().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        for name in ["x", "try-out", "a-name-as-long-as-a-name-may-be-1234567890"] {
            let name = Name::read(&name[..name.len().min(40)]).unwrap();
            let plan = Plan::of(&checkout, &name).unwrap();
            for text in plan.new.iter().chain(&plan.changed) {
                for left in ["{{name}}", "{{stem}}", "{{time}}", "{{region}}", "{{url}}", "{{key}}", "{{origins}}"] {
                    assert!(!text.text.contains(left) && !text.file.contains(left), "{}: {left}", text.file);
                }
                assert!(text.text.ends_with('\n'), "{}", text.file);
            }
            let there = Checkout::at(&scratch.path().join(&name.name));
            for text in &plan.changed {
                fs::create_dir_all(there.path(&text.file).parent().unwrap()).unwrap();
            }
            plan.write(&there).unwrap();
            format(&there, &plan).await.unwrap();
            assert!(plan.write(&there).is_err(), "nothing is overwritten");
        }
    }

    #[test]
    fn every_function_has_what_new_makes() {
        let checkout = Checkout::here().unwrap();
        let read = |file: &str| fs::read_to_string(checkout.path(file)).unwrap();
        let (wrangler, config) = (read("wrangler.toml"), read("supabase/config.toml"));
        let functions: BTreeSet<_> = checkout.functions().unwrap().into_iter().map(|function| function.name).collect();
        for name in &functions {
            for file in [
                format!("functions/{name}/examples/openapi.rs"),
                format!("supabase/functions/{name}/index.ts"),
                format!("docs/openapi/{name}.json"),
                format!("tests/fuzz/corpus/{name}"),
            ] {
                assert!(checkout.path(&file).exists(), "{file} is missing");
            }
            assert!(read("tests/fuzz/Cargo.toml").contains(&format!("\n{name}")), "the fuzzer does not know {name}");
        }
        let named = |text: &str, table: &str| -> BTreeSet<String> {
            let name = |line: &str| line.strip_prefix(&format!("[{table}."))?.strip_suffix(']').map(str::to_owned);
            text.lines().filter_map(name).filter(|name| !name.contains('.')).collect()
        };
        assert_eq!(named(&wrangler, "env"), functions, "wrangler.toml has an environment for each function");
        assert_eq!(named(&config, "functions"), functions, "supabase/config.toml has an entry for each function");
    }

    #[test]
    fn every_file_of_scenarios_is_one_of_their_modules() {
        let folder = Checkout::here().unwrap().path("tests/conformance/scenarios");
        let main = fs::read_to_string(folder.join("main.rs")).unwrap();
        let modules: BTreeSet<_> =
            main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(str::to_owned).collect();
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<_> =
            files.filter(|file| file != "main.rs").map(|file| file.trim_end_matches(".rs").to_owned()).collect();
        assert_eq!(modules, files);
    }
}
