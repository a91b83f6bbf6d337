//! Configuration: read once per isolate from the host's variables; `docs/configuration.md` is its table.

use crate::cors::AllowedOrigins;
use crate::json::{Object, digits};
use crate::text::{concat, cut};

/// Longest upstream exchange allowed unless `SUPABASE_TIMEOUT` says otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
/// More than this no caller waits for, and hosts cut requests off anyway.
const MAX_TIMEOUT_MS: u64 = 120_000;

/// Retries unless `SUPABASE_MAX_RETRIES` says otherwise.
const DEFAULT_MAX_RETRIES: u64 = 3;
/// More retries than this only add to the load of a database in trouble.
const MOST_RETRIES: u64 = 10;

/// What every function needs to know.
#[derive(Debug)]
pub struct Config {
    /// `SUPABASE_URL` without a slash at its end.
    pub supabase_url: String,
    /// The publishable key, or the legacy `anon` key: sent as `apikey`.
    pub publishable_key: String,
    /// What a token's `iss` must be.
    pub issuer: String,
    /// A fixed key set, instead of the one the issuer publishes.
    pub jwks: Option<String>,
    /// The shared secret of a legacy project, with which its HS256 tokens are verified.
    pub jwt_secret: Option<String>,
    /// How long an exchange with Supabase may take, all its tries together, in milliseconds.
    pub timeout_ms: u64,
    /// How often a call that failed for reasons that pass is tried again.
    pub max_retries: u64,
    /// What is logged.
    pub log_level: Level,
}

/// What is logged of requests: those at this level and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every request.
    Info,
    /// Those that were refused or failed.
    Warn,
    /// Those that failed.
    Error,
    /// None.
    Off,
}

impl Level {
    const ALL: [Self; 4] = [Self::Info, Self::Warn, Self::Error, Self::Off];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Off => "off",
        }
    }

    /// The place of a level's word among the words.
    fn parse(word: &str) -> Option<u64> {
        Self::ALL.into_iter().position(|level| level.name() == word).map(|place| place as u64)
    }

    fn of(place: u64) -> Option<Self> {
        Self::ALL.into_iter().nth(usize::try_from(place).ok()?)
    }
}

/// The host's variables, with a memory of which were missing or wrong.
pub struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faulty: Vec<&'static str>,
}

impl<'a> Variables<'a> {
    /// Variables found by `lookup`. An empty one counts as not set.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, faulty: Vec::new() }
    }

    /// A variable's value, if it is set.
    ///
    /// `SELVEDGE_X` goes before `SUPABASE_X`: hosted Supabase reserves the latter names for itself and lets nobody set
    /// them.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = |name: &str| {
            (self.lookup)(name).map(|value| value.trim_ascii().to_owned()).filter(|value| !value.is_empty())
        };
        let ours = name.strip_prefix("SUPABASE_").and_then(|rest| value(&concat(&["SELVEDGE_", rest])));
        ours.or_else(|| value(name))
    }

    /// Remembers a variable as missing or wrong.
    pub fn fault(&mut self, name: &'static str) {
        self.faulty.push(name);
    }

    /// A variable as `parse` makes it, if it is set. One that does not parse is remembered as faulty.
    pub fn text(&mut self, name: &'static str, parse: fn(String) -> Option<String>) -> Option<String> {
        let parsed = parse(self.get(name)?);
        if parsed.is_none() {
            self.fault(name);
        }
        parsed
    }

    /// As [`Variables::text`], for what is or stands for a number.
    pub fn number(&mut self, name: &'static str, parse: fn(&str) -> Option<u64>) -> Option<u64> {
        let parsed = parse(&self.get(name)?);
        if parsed.is_none() {
            self.fault(name);
        }
        parsed
    }

    /// Names of the variables that are missing or wrong.
    pub fn faulty(&self) -> &[&'static str] {
        &self.faulty
    }
}

impl Config {
    /// Reads the variables every function shares. What is wrong is remembered in `variables`.
    pub fn read(variables: &mut Variables) -> Self {
        let supabase_url = variables.get("SUPABASE_URL").and_then(base_url).unwrap_or_else(|| {
            variables.fault("SUPABASE_URL");
            String::new()
        });
        let publishable_key = publishable_key(variables).unwrap_or_else(|| {
            variables.fault("SUPABASE_PUBLISHABLE_KEY");
            String::new()
        });
        let issuer = variables.get("SUPABASE_JWT_ISSUER").unwrap_or_else(|| concat(&[&supabase_url, "/auth/v1"]));
        let jwks = variables.text("SUPABASE_JWKS", key_set);
        let jwt_secret = variables.text("SUPABASE_JWT_SECRET", |secret| (secret.len() >= 32).then_some(secret));
        let timeout_ms = variables.number("SUPABASE_TIMEOUT", milliseconds).unwrap_or(DEFAULT_TIMEOUT_MS);
        let max_retries = variables.number("SUPABASE_MAX_RETRIES", retries).unwrap_or(DEFAULT_MAX_RETRIES);
        let log_level = variables.number("LOG_LEVEL", Level::parse).and_then(Level::of).unwrap_or(Level::Info);
        Self { supabase_url, publishable_key, issuer, jwks, jwt_secret, timeout_ms, max_retries, log_level }
    }

    /// Reads `ALLOWED_ORIGINS`; no browser page is let in unless it is set.
    pub fn read_allowed_origins(variables: &mut Variables) -> AllowedOrigins {
        AllowedOrigins(variables.text("ALLOWED_ORIGINS", AllowedOrigins::check).unwrap_or_default())
    }
}

/// `SUPABASE_PUBLISHABLE_KEY`, the platform's own dictionary of them, or the legacy anon key.
fn publishable_key(variables: &Variables) -> Option<String> {
    let from_dictionary = || {
        let text = variables.get("SUPABASE_PUBLISHABLE_KEYS")?;
        let keys = Object::parse(&text)?;
        keys.get("default").or_else(|| keys.members.first().map(|(_, key)| *key))?.string()
    };
    variables
        .get("SUPABASE_PUBLISHABLE_KEY")
        .or_else(from_dictionary)
        .or_else(|| variables.get("SUPABASE_ANON_KEY"))
        .filter(|key| is_header_value(key) && !key.starts_with("sb_secret_"))
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An `http` or `https` origin, without a slash at its end.
fn base_url(url: String) -> Option<String> {
    let url = url.strip_suffix("/").unwrap_or(&url);
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    (!host.is_empty() && is_header_value(host) && !host.bytes().any(|byte| matches!(byte, b'/' | b'?' | b'#' | b'@')))
        .then(|| url.to_owned())
}

/// A JSON Web Key Set, or the bare array of keys some of the platform's versions hand over.
fn key_set(text: String) -> Option<String> {
    let text = if text.starts_with('[') { concat(&["{\"keys\":", &text, "}"]) } else { text };
    let is_set = Object::parse(&text)?.get("keys").is_some_and(|keys| keys.array().is_some());
    is_set.then_some(text)
}

/// Seconds with up to three decimals, as milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, decimals) = cut(text, b'.');
    let decimals = decimals.unwrap_or("0");
    let thousandths = digits(concat(&[decimals, "00"]).get(..3)?).filter(|_| decimals.len() <= 3)?;
    let milliseconds = digits(whole)?.checked_mul(1000)?.checked_add(thousandths)?;
    (1..=MAX_TIMEOUT_MS).contains(&milliseconds).then_some(milliseconds)
}

fn retries(text: &str) -> Option<u64> {
    digits(text).filter(|retries| *retries <= MOST_RETRIES)
}

#[cfg(test)]
mod tests {
    use super::{Config, Variables, base_url, key_set, milliseconds};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<&'static str>> {
        let lookup =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut variables = Variables::new(&lookup);
        let config = Config::read(&mut variables);
        if variables.faulty().is_empty() { Ok(config) } else { Err(variables.faulty().to_vec()) }
    }

    #[test]
    fn two_variables_are_enough() {
        let config =
            read(&[("SUPABASE_URL", "https://abc.supabase.co/"), ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")])
                .unwrap();
        assert_eq!(config.supabase_url, "https://abc.supabase.co");
        assert_eq!(config.issuer, "https://abc.supabase.co/auth/v1");
        assert_eq!(config.timeout_ms, 10_000);
    }

    #[test]
    fn missing_and_wrong_variables_are_all_named() {
        assert_eq!(read(&[]).unwrap_err(), ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY"]);
        let wrong = [
            ("SUPABASE_URL", "abc.supabase.co"),
            ("SUPABASE_PUBLISHABLE_KEY", "sb_secret_x"),
            ("SUPABASE_JWKS", "{}"),
            ("SUPABASE_TIMEOUT", "soon"),
        ];
        assert_eq!(read(&wrong).unwrap_err(), wrong.map(|(name, _)| name));
    }

    #[test]
    fn the_platforms_own_key_names_work() {
        let url = ("SUPABASE_URL", "https://abc.supabase.co");
        let key = |variable| read(&[url, variable]).unwrap().publishable_key;
        assert_eq!(key(("SUPABASE_PUBLISHABLE_KEYS", r#"{"web":"sb_1","default":"sb_2"}"#)), "sb_2");
        assert_eq!(key(("SUPABASE_PUBLISHABLE_KEYS", r#"{"web":"sb_1"}"#)), "sb_1");
        assert_eq!(key(("SUPABASE_ANON_KEY", "eyJ")), "eyJ");
    }

    #[test]
    fn a_variable_of_our_own_name_goes_before_the_platforms() {
        let config = read(&[
            ("SUPABASE_URL", "https://abc.supabase.co"),
            ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x"),
            ("SUPABASE_TIMEOUT", "1"),
            ("SELVEDGE_TIMEOUT", "2"),
        ]);
        assert_eq!(config.unwrap().timeout_ms, 2000);
    }

    #[test]
    fn a_base_url_is_an_origin() {
        assert_eq!(base_url("http://127.0.0.1:54321".to_owned()).as_deref(), Some("http://127.0.0.1:54321"));
        for url in ["", "https://", "ftp://a", "https://a/rest", "https://a?b", "https://user@a", "https://a b"] {
            assert_eq!(base_url(url.to_owned()), None, "{url}");
        }
    }

    #[test]
    fn timeouts_are_seconds() {
        assert_eq!(milliseconds("10"), Some(10_000));
        assert_eq!(milliseconds("0.25"), Some(250));
        for text in ["", "0", "-1", "1e3", "1.2345", "121", ".5", "99999999999"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_timeout_is_what_arithmetic_says(milliseconds in 0_u64..200_000) {
            let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
            prop_assert_eq!(super::milliseconds(&text), Some(milliseconds).filter(|ms| (1..=120_000).contains(ms)));
        }

        #[test]
        fn no_value_makes_a_reader_panic(text in any::<String>(), json in "[\\[\\]{}\"keys:,]{0,12}") {
            for text in [text, json] {
                let origin = base_url(text.clone());
                prop_assert!(origin.is_none_or(|url| url.starts_with("http") && !url.ends_with('/')));
                let set = key_set(text.clone());
                prop_assert!(set.is_none_or(|set| serde_json::from_str::<serde_json::Value>(&set).unwrap()["keys"].is_array()));
                let _ = milliseconds(&text);
            }
        }
    }
}
