//! The command line.

use std::str::FromStr;

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::{Map, Value};
use strum::VariantNames;

use crate::{
    bench::BenchOptions, build::BuildOptions, check::TestOptions, dev::DevOptions, fuzz::FuzzOptions, new::NewOptions,
    token::TokenArguments,
};

/// `cargo xtask`.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Selvedge's commands")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command with its options.
#[derive(Debug, Subcommand, PartialEq)]
pub enum Command {
    /// Installs what is missing, builds, and runs the whole stack until Ctrl-C
    ///
    /// PostgreSQL, PostgREST, the functions on the chosen host, and a gateway laid out as Supabase's API. For development
    /// only.
    Dev(DevOptions),
    /// Runs everything CI checks; the last line is `N passed, N failed`
    Test(TestOptions),
    /// Builds release wasm and its glue, and prints a table of the sizes
    Build(BuildOptions),
    /// Measures Selvedge against doing without it, on stacks of its own: some fifteen minutes
    ///
    /// The machine should have nothing else to do. Without --host and --only, or with --soak 60, it writes docs/benchmarks.md.
    Bench(BenchOptions),
    /// Feeds the parsers inputs that nobody would write, simulates accidents, and checks what comes of them
    Fuzz(FuzzOptions),
    /// Prints a token signed by the local stack's key; without options, the stack's own user's
    Token(TokenArguments),
    /// Makes a new function: crate, migration, both hosts' entries, tests; it compiles and runs at once
    ///
    /// docs/adding-a-function.md says what to change then.
    New(NewOptions),
    /// Checks the state machines, and writes their migrations and pictures (docs/machines.md)
    Machines(Passed),
    /// Writes docs/openapi: an OpenAPI 3.1 document of each function
    #[command(name = "openapi")]
    OpenApi,
    /// Shows what is installed, what is missing, and the command that fixes it
    Doctor,
}

/// Arguments for a program of another crate.
#[derive(Debug, Args, PartialEq)]
pub struct Passed {
    /// Arguments of the program itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<std::ffi::OsString>,
}

/// Reads a word of those there are; one that is none gets the nearest one suggested.
pub fn word<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantNames + FromStr<Err = strum::ParseError> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(T::VARIANTS).try_map(|word| word.parse::<T>())
}

/// Reads a JSON object.
pub fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command};
    use crate::{bench, build::BuildOptions, check};
    use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
    use devstack::keys::token::Algorithm;
    use devstack::{gateway::Style, host::Host};

    fn of(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(["xtask"].into_iter().chain(line.split_whitespace())).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_its_own_help() {
        for command in Cli::command().get_subcommands() {
            let help = of(&format!("{} --help", command.get_name())).unwrap_err();
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            assert!(help.to_string().contains(&format!("cargo xtask {}", command.get_name())), "{help}");
        }
    }

    #[test]
    fn dev_runs_workers_on_supabases_ports_unless_told_otherwise() {
        let Ok(Command::Dev(dev)) = of("dev") else { panic!("it is no command") };
        assert_eq!((dev.host, dev.api_port, dev.db_port, dev.ephemeral), (Host::Workers, 54321, 54322, false));
        assert_eq!((dev.gateway, dev.yes_change_this_database), (Style::Supabase, false));
        let Ok(Command::Dev(dev)) = of("dev --api-port=2000 --ephemeral --host supabase") else { panic!("refused") };
        assert_eq!((dev.host, dev.api_port, dev.ephemeral), (Host::Supabase, 2000, true));
        let Ok(Command::Dev(dev)) = of("dev --gateway kong --yes-change-this-database") else { panic!("refused") };
        assert_eq!((dev.gateway, dev.yes_change_this_database), (Style::Kong, true));
    }

    #[test]
    fn build_takes_a_host_then_functions() {
        let built = |line: &str| match of(line) {
            Ok(Command::Build(BuildOptions { what })) => BuildOptions { what }.chosen(),
            other => panic!("{other:?}"),
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(built("build"), (Host::ALL.to_vec(), names(&[])));
        assert_eq!(built("build supabase a b"), (vec![Host::Supabase], names(&["a", "b"])));
        assert_eq!(built("build a"), (Host::ALL.to_vec(), names(&["a"])));
    }

    #[test]
    fn only_takes_several_steps_and_sections() {
        let Ok(Command::Test(test)) = of("test --only fmt unit --host supabase") else { panic!("refused") };
        assert_eq!((test.hosts(), test.only), (vec![Host::Supabase], vec!["fmt".to_owned(), "unit".to_owned()]));
        let Ok(Command::Bench(bench)) = of("bench --only cpu memory --rounds 2 --check") else { panic!("refused") };
        assert_eq!((bench.hosts(), bench.rounds, bench.check), (Host::ALL.to_vec(), 2, true));
        assert!(of("bench --rounds 0").is_err());
    }

    #[test]
    fn a_token_may_have_expired_already_and_pretend() {
        let Ok(Command::Token(token)) = of("token --ttl -60 --role anon --alg none") else { panic!("refused") };
        assert_eq!((token.ttl, token.role.as_str(), token.alg), (-60, "anon", Algorithm::None));
        assert!(of("token --claims [1]").is_err());
    }

    #[test]
    fn a_name_that_is_nearly_right_gets_the_right_one_suggested() {
        for (line, meant) in [
            ("tset", "test"),
            ("dev --hots workers", "--host"),
            ("dev --host worker", "workers"),
            ("test --only conformence", "conformance"),
            ("bench --only memry", "memory"),
            ("token --alg ES265", "ES256"),
            ("fuzz tokem", "token"),
            ("fuzz simulatoin", "simulation"),
        ] {
            let error = of(line).unwrap_err().to_string();
            assert!(error.contains(&format!("'{meant}'")), "{line}: {error}");
        }
        for line in ["doctor now", "build --fast", "fuzz --seconds all", ""] {
            assert!(of(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_lists_every_step_and_section() {
        for (line, names) in [("test --help", &check::STEPS[..]), ("bench --help", &bench::SECTIONS[..])] {
            let help = of(line).unwrap_err().to_string();
            assert!(names.iter().all(|name| help.contains(name)), "{help}");
        }
    }
}
