//! Configuration: read once per isolate from the host's variables; `docs/configuration.md` is its table.

use crate::cors::AllowedOrigins;
use crate::json::Object;

/// Longest upstream exchange allowed unless `SUPABASE_TIMEOUT` says otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: u32 = 10_000;
/// More than this no caller waits for, and hosts cut requests off anyway.
const MAX_TIMEOUT_MS: u32 = 120_000;

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
    /// How long an exchange with Supabase may take, in milliseconds.
    pub timeout_ms: u32,
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
        let value =
            |name: &str| (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        name.strip_prefix("SUPABASE_").and_then(|rest| value(&format!("SELVEDGE_{rest}"))).or_else(|| value(name))
    }

    /// Remembers a variable as missing or wrong.
    pub fn fault(&mut self, name: &'static str) {
        self.faulty.push(name);
    }

    /// A variable parsed, if it is set. One that does not parse is remembered as faulty.
    pub fn parsed<T>(&mut self, name: &'static str, parse: impl FnOnce(String) -> Option<T>) -> Option<T> {
        let parsed = parse(self.get(name)?);
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
        let issuer = variables.get("SUPABASE_JWT_ISSUER").unwrap_or_else(|| format!("{supabase_url}/auth/v1"));
        let jwks = variables.parsed("SUPABASE_JWKS", key_set);
        let jwt_secret = variables.parsed("SUPABASE_JWT_SECRET", |secret| (secret.len() >= 32).then_some(secret));
        let timeout_ms = variables.parsed("SUPABASE_TIMEOUT", milliseconds).unwrap_or(DEFAULT_TIMEOUT_MS);
        Self { supabase_url, publishable_key, issuer, jwks, jwt_secret, timeout_ms }
    }

    /// Reads `ALLOWED_ORIGINS`; no browser page is let in unless it is set.
    pub fn read_allowed_origins(variables: &mut Variables) -> AllowedOrigins {
        variables.parsed("ALLOWED_ORIGINS", AllowedOrigins::parse).unwrap_or_default()
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
    let url = url.strip_suffix('/').unwrap_or(&url);
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    (!host.is_empty() && is_header_value(host) && !host.contains(['/', '?', '#', '@'])).then(|| url.to_owned())
}

/// A JSON Web Key Set, or the bare array of keys some of the platform's versions hand over.
fn key_set(text: String) -> Option<String> {
    let text = if text.starts_with('[') { format!("{{\"keys\":{text}}}") } else { text };
    let is_set = Object::parse(&text)?.get("keys").is_some_and(|keys| keys.array().is_some());
    is_set.then_some(text)
}

/// Seconds with up to three decimals, as milliseconds.
fn milliseconds(text: String) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let milliseconds: u64 = format!("{whole}{decimals:0<3}").parse().ok()?;
    u32::try_from(milliseconds).ok().filter(|milliseconds| (1..=MAX_TIMEOUT_MS).contains(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::{Config, Variables, base_url, milliseconds};

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
        assert_eq!(milliseconds("10".to_owned()), Some(10_000));
        assert_eq!(milliseconds("0.25".to_owned()), Some(250));
        for text in ["", "0", "-1", "1e3", "1.2345", "121", ".5", "99999999999"] {
            assert_eq!(milliseconds(text.to_owned()), None, "{text}");
        }
    }
}
