//! The command line.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::{
    bench::{self, BenchOptions},
    build::BuildOptions,
    check::{STEPS, TestOptions},
    dev::DevOptions,
    error::{Error, Result},
    host::Host,
    token::{Algorithm, TokenOptions},
};

/// What `cargo xtask --help` prints.
pub const HELP: &str = "\
Selvedge's commands

cargo xtask dev [--host workers|supabase] [--ephemeral] [--api-port N] [--db-port N]
    Installs what is missing, builds, and runs the whole stack until Ctrl-C: PostgreSQL, PostgREST, the functions on
    the chosen host (default: workers) and a gateway laid out as Supabase's API. --ephemeral starts with an empty
    database and leaves nothing behind.
      SELVEDGE_API_PORT, SELVEDGE_DB_PORT   the ports (defaults 54321 and 54322)
      SELVEDGE_STATE                        the folder for keys, logs and data (default .selvedge)
      SELVEDGE_DB_URL                       use a PostgreSQL that is already there (its superuser)
      POSTGREST_BIN                         use another PostgREST
      ALLOWED_ORIGINS, LOG_LEVEL, MESSAGE_MAX_CHARS, SUPABASE_TIMEOUT, SUPABASE_MAX_RETRIES, ...   go to the functions

cargo xtask test [--host workers|supabase] [--only STEP]...
    Everything CI checks; the last line is `N passed, N failed`. Steps:
    fmt, clippy, unit, fuzz, wasm, openapi, glue, build, deploy, migrations, advisors, conformance, faults
      SELVEDGE_LOAD_SECONDS   how long faults lets 100 callers call at once (default 60)

cargo xtask fuzz [TARGET]... [--seconds N] [--executions N] [--seed N]
    Feeds the parsers what nobody would write, and checks what comes of it: each target for a minute, unless told
    otherwise. A failing input is added to the corpus, fuzz/corpus/TARGET. Targets:
    token, chat-message, fsm-transition, analytics, upstream, cursors, objects, uuid, date-time, numbers

cargo xtask build [workers|supabase] [FUNCTION...]
    Release wasm and glue, and a table of their sizes.

cargo xtask bench [--host workers|supabase] [--rounds N] [--only SECTION]... [--check]
    What Selvedge spares and what it costs, against doing without, on stacks of its own: some ten minutes, on a machine
    that has nothing else to do. Without --host and --only it writes docs/benchmarks.md. --rounds says how often each side
    has its turn (default 5); with --check a missed budget is a failure. Sections:
    events, messages, added, cpu, first-request, memory, upstream, sizes

cargo xtask token [--sub UUID] [--role ROLE] [--ttl SECONDS] [--alg ES256|RS256|HS256|none] [--claims JSON]
    A token signed by the local stack's key. A random --sub signs in nobody: rows refer to auth.users, so writes as a
    user who does not exist are refused; sign up at /auth/v1/signup for one who does. --ttl may be negative. HS256 is
    signed with the public key as its secret, and none with nothing: forgeries, for trying that they are refused.
      SELVEDGE_STACK   the stack.json of another stack

cargo xtask machines
    Checks the state machines, and writes their migrations and pictures: docs/machines.md.

cargo xtask openapi
    Writes docs/openapi: an OpenAPI 3.1 document of each function.

cargo xtask doctor
    What is installed, what is missing, and the command that mends it.";

/// A command with its options.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// `--help`, or nothing at all.
    Help,
    /// `dev`.
    Dev(DevOptions),
    /// `test`.
    Test(TestOptions),
    /// `fuzz`, with what the fuzzer reads itself.
    Fuzz(Vec<OsString>),
    /// `build`.
    Build(BuildOptions),
    /// `bench`.
    Bench(BenchOptions),
    /// `token`.
    Token(TokenOptions),
    /// `machines`.
    Machines,
    /// `openapi`.
    OpenApi,
    /// `doctor`.
    Doctor,
}

/// Reads a command line; `env` looks up an environment variable.
pub fn parse(args: impl IntoIterator<Item = OsString>, env: &dyn Fn(&str) -> Option<String>) -> Result<Command> {
    let mut parser = Parser::from_args(args);
    read(&mut parser, env).map_err(|error| match error {
        Refusal::Ours(error) => error,
        Refusal::Theirs(error) => Error::new(error.to_string()).cure("cargo xtask --help"),
    })
}

enum Refusal {
    Ours(Error),
    Theirs(lexopt::Error),
}

impl From<lexopt::Error> for Refusal {
    fn from(error: lexopt::Error) -> Self {
        Self::Theirs(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

fn read(parser: &mut Parser, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, Refusal> {
    match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(Arg::Value(name)) => match name.string()?.as_str() {
            "help" => Ok(Command::Help),
            "dev" => dev(parser, env),
            "test" => test(parser),
            "fuzz" => fuzz(parser),
            "build" => build(parser),
            "bench" => bench(parser),
            "token" => token(parser),
            "machines" => alone(parser, Command::Machines),
            "openapi" => alone(parser, Command::OpenApi),
            "doctor" => alone(parser, Command::Doctor),
            other => Err(Error::new(format!("there is no command {other:?}")).cure("cargo xtask --help").into()),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

fn dev(parser: &mut Parser, env: &dyn Fn(&str) -> Option<String>) -> Result<Command, Refusal> {
    let port = |name: &str, default: u16| match env(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Error::new(format!("{name} is {text:?}, which is no port"))),
    };
    let mut options = DevOptions {
        host: Host::Workers,
        ephemeral: false,
        api_port: port("SELVEDGE_API_PORT", 54321)?,
        db_port: port("SELVEDGE_DB_PORT", 54322)?,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("host") => options.host = host(parser)?,
            Arg::Long("ephemeral") => options.ephemeral = true,
            Arg::Long("api-port") => options.api_port = parser.value()?.parse()?,
            Arg::Long("db-port") => options.db_port = parser.value()?.parse()?,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Dev(options))
}

fn test(parser: &mut Parser) -> Result<Command, Refusal> {
    let mut options = TestOptions { hosts: Host::ALL.to_vec(), only: Vec::new() };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("host") => options.hosts = vec![host(parser)?],
            Arg::Long("only") => options.only.extend(only(parser, "step", &STEPS)?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Test(options))
}

fn fuzz(parser: &mut Parser) -> Result<Command, Refusal> {
    let args: Vec<_> = parser.raw_args()?.collect();
    let asks_for_help = args.iter().any(|arg| arg == "-h" || arg == "--help");
    Ok(if asks_for_help { Command::Help } else { Command::Fuzz(args) })
}

fn build(parser: &mut Parser) -> Result<Command, Refusal> {
    let mut options = BuildOptions { hosts: Host::ALL.to_vec(), functions: Vec::new() };
    let mut first = true;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(value) => {
                let value = value.string()?;
                match value.parse() {
                    Ok(host) if first => options.hosts = vec![host],
                    _ => options.functions.push(value),
                }
                first = false;
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Build(options))
}

fn bench(parser: &mut Parser) -> Result<Command, Refusal> {
    let mut options = BenchOptions { hosts: Host::ALL.to_vec(), rounds: bench::ROUNDS, check: false, only: Vec::new() };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("host") => options.hosts = vec![host(parser)?],
            Arg::Long("rounds") => options.rounds = parser.value()?.parse::<std::num::NonZeroU32>()?.get(),
            Arg::Long("check") => options.check = true,
            Arg::Long("only") => options.only.extend(only(parser, "section", &bench::SECTIONS)?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Bench(options))
}

fn token(parser: &mut Parser) -> Result<Command, Refusal> {
    let mut options = TokenOptions::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("sub") => options.sub = Some(parser.value()?.string()?),
            Arg::Long("role") => options.role = parser.value()?.string()?,
            Arg::Long("ttl") => options.ttl = parser.value()?.parse()?,
            Arg::Long("alg") => options.algorithm = algorithm(&parser.value()?.string()?)?,
            Arg::Long("claims") => {
                let text = parser.value()?.string()?;
                options.claims = serde_json::from_str(&text)
                    .map_err(|error| Error::new(format!("--claims is not a JSON object: {error}")))?;
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Token(options))
}

fn alone(parser: &mut Parser, command: Command) -> Result<Command, Refusal> {
    match parser.next()? {
        None => Ok(command),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help),
        Some(other) => Err(other.unexpected().into()),
    }
}

/// The values of `--only`, each of which must be known.
fn only(parser: &mut Parser, what: &str, known: &[&'static str]) -> Result<Vec<&'static str>, Refusal> {
    let mut chosen = Vec::new();
    for value in parser.values()? {
        let name = value.string()?;
        let Some(one) = known.iter().find(|one| **one == name) else {
            return Err(Error::new(format!("there is no {what} {name:?}")).cure(known.join(", ")).into());
        };
        chosen.push(*one);
    }
    Ok(chosen)
}

fn host(parser: &mut Parser) -> Result<Host, Refusal> {
    Ok(parser.value()?.string()?.parse::<Host>()?)
}

fn algorithm(name: &str) -> Result<Algorithm> {
    match name {
        "ES256" => Ok(Algorithm::Es256),
        "RS256" => Ok(Algorithm::Rs256),
        "HS256" => Ok(Algorithm::Hs256),
        "none" => Ok(Algorithm::None),
        other => Err(Error::new(format!("there is no algorithm {other:?} here")).cure("ES256, RS256, HS256 or none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from), &|_| None)
    }

    fn dev_options() -> DevOptions {
        DevOptions { host: Host::Workers, ephemeral: false, api_port: 54321, db_port: 54322 }
    }

    #[test]
    fn dev_has_defaults() {
        assert_eq!(of("dev").ok(), Some(Command::Dev(dev_options())));
    }

    #[test]
    fn an_option_beats_the_environment() {
        let env = |name: &str| (name == "SELVEDGE_API_PORT").then(|| "1000".to_owned());
        let args = |line: &str| line.split_whitespace().map(OsString::from).collect::<Vec<_>>();
        let from_env = DevOptions { api_port: 1000, ..dev_options() };
        assert_eq!(parse(args("dev"), &env).ok(), Some(Command::Dev(from_env)));
        let from_option = DevOptions { api_port: 2000, ephemeral: true, ..dev_options() };
        assert_eq!(parse(args("dev --api-port=2000 --ephemeral"), &env).ok(), Some(Command::Dev(from_option)));
        assert!(parse(args("dev"), &|_| Some("http".into())).is_err());
    }

    #[test]
    fn build_takes_a_host_then_functions() {
        let built = |hosts: &[Host], functions: &[&str]| {
            let functions = functions.iter().map(|name| (*name).to_owned()).collect();
            Some(Command::Build(BuildOptions { hosts: hosts.to_vec(), functions }))
        };
        assert_eq!(of("build").ok(), built(&Host::ALL, &[]));
        assert_eq!(of("build supabase a b").ok(), built(&[Host::Supabase], &["a", "b"]));
        assert_eq!(of("build a").ok(), built(&Host::ALL, &["a"]));
    }

    #[test]
    fn what_the_fuzzer_reads_itself_goes_on_as_it_is() {
        let args = ["token", "--seconds", "5"].map(OsString::from).to_vec();
        assert_eq!(of("fuzz token --seconds 5").ok(), Some(Command::Fuzz(args)));
        assert_eq!(of("fuzz token --help").ok(), Some(Command::Help));
    }

    #[test]
    fn help_names_every_target_of_the_fuzzer() {
        let corpus = crate::checkout::Checkout::this().path("fuzz/corpus");
        for folder in std::fs::read_dir(corpus).unwrap().flatten() {
            let name = folder.file_name();
            assert!(HELP.contains(name.to_str().unwrap()), "{name:?}");
        }
    }

    #[test]
    fn only_takes_several_steps_and_refuses_unknown_ones() {
        let only = TestOptions { hosts: vec![Host::Supabase], only: vec!["fmt", "unit"] };
        assert_eq!(of("test --only fmt unit --host supabase").ok(), Some(Command::Test(only)));
        assert!(of("test --only speling").is_err());
    }

    #[test]
    fn bench_takes_all_hosts_or_one_and_at_least_one_round() {
        let options = BenchOptions { hosts: Host::ALL.to_vec(), rounds: bench::ROUNDS, check: false, only: Vec::new() };
        assert_eq!(of("bench").ok(), Some(Command::Bench(options)));
        let options = BenchOptions { hosts: vec![Host::Workers], rounds: 2, check: true, only: vec!["cpu", "memory"] };
        let line = "bench --host workers --rounds 2 --only cpu memory --check";
        assert_eq!(of(line).ok(), Some(Command::Bench(options)));
        assert!(of("bench --only gpu").is_err());
        assert!(of("bench --rounds 0").is_err());
    }

    #[test]
    fn a_token_may_have_expired_already() {
        let options = TokenOptions { ttl: -60, role: "anon".into(), ..TokenOptions::default() };
        assert_eq!(of("token --ttl -60 --role anon").ok(), Some(Command::Token(options)));
        assert!(of("token --alg RS512").is_err());
        assert!(of("token --claims [1]").is_err());
    }

    #[test]
    fn mistakes_are_named() {
        for line in ["deploy", "dev --hots workers", "dev --host deno", "doctor now", "build --fast"] {
            assert!(of(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_names_every_step_and_section() {
        for name in STEPS.iter().chain(&bench::SECTIONS) {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
