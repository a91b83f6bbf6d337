//! Configuration: read once per isolate from the host's variables; `docs/configuration.md` is its table.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use serde_json::Value;

/// Longest upstream request allowed unless `SUPABASE_TIMEOUT` says otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 10_000;
/// More than this no caller waits for, and hosts cut requests off anyway.
const MAX_TIMEOUT_MS: u64 = 120_000;

/// Retries unless `SUPABASE_MAX_RETRIES` says otherwise.
const DEFAULT_MAX_RETRIES: u32 = 3;
/// More retries than this only add to the load of a database in trouble.
const MOST_RETRIES: u32 = 10;

/// Shortest shared secret accepted, in bytes: RFC 7518 section 3.2 asks for the size of the hash.
const SECRET_MIN_BYTES: usize = 32;

/// What every function needs to know.
#[derive(Debug)]
pub struct Config {
    /// `SUPABASE_URL` without a slash at its end.
    pub supabase_url: String,
    /// The publishable key, or the legacy `anon` key: sent as `apikey`.
    pub publishable_key: String,
    /// What a token's `iss` must be.
    pub issuer: String,
    /// A fixed key set, instead of the one the issuer publishes, as its text. Whoever verifies tokens reads it.
    pub jwks: Option<String>,
    /// The shared secret of a legacy project, with which its HS256 tokens are verified.
    pub jwt_secret: Option<String>,
    /// How long a call of Supabase may take, all its tries together, in milliseconds.
    pub timeout_ms: u64,
    /// How often a call that failed for a transient reason is retried.
    pub max_retries: u32,
    /// Which pages may call.
    pub allowed_origins: AllowedOrigins,
    /// Whether functions that take visitors without an account take them.
    pub takes_visitors: bool,
    /// What the `type` of problems begins with; `docs/errors.md#<code>` follows.
    pub problem_type_base: String,
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

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == word)
    }
}

/// Origins whose pages may call: a comma list of origins (`https://app.example`), or `*`. None by default.
#[derive(Debug, Default)]
pub struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    /// Reads a list; `None` if a part of it is neither an origin nor `*`.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').map(|origin| normalised(origin.trim_ascii())).collect::<Option<_>>().map(Self)
    }

    /// Whether an origin, as a browser writes it, is on the list.
    pub fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|allowed| allowed == origin)
    }

    /// Whether pages of an origin may call.
    pub fn allows(&self, origin: &str) -> bool {
        self.is_any() || self.contains(origin)
    }

    /// Whether every page may call.
    pub fn is_any(&self) -> bool {
        self.contains("*")
    }
}

/// An origin as browsers write it in `Origin` (RFC 6454 section 6.2): in lower case, without the scheme's own port. `*`
/// stays. `None` if it is no origin.
fn normalised(origin: &str) -> Option<String> {
    if origin == "*" {
        return Some(origin.to_owned());
    }
    let (_, authority) = origin.split_once("://")?;
    if authority.contains(['/', '?', '#', '@', '*']) {
        return None;
    }
    let uri: Uri = origin.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
    let port = match (scheme.as_str(), uri.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    // A colon with no port behind it, or one that is no number.
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    (has_port == uri.port_u16().is_some()).then(|| format!("{scheme}://{host}{port}"))
}

/// The host's variables, and which of them were missing or wrong.
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
        let ours = name.strip_prefix("SUPABASE_").and_then(|rest| value(&format!("SELVEDGE_{rest}")));
        ours.or_else(|| value(name))
    }

    /// Notes a variable as missing or wrong.
    pub fn fault(&mut self, name: &'static str) {
        self.faulty.push(name);
    }

    /// A variable as `parse` reads it, if it is set. One that does not parse is noted as wrong.
    pub fn read<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
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
    /// Reads the variables every function shares. What is wrong is noted in `variables`.
    pub fn read(variables: &mut Variables) -> Self {
        let supabase_url = variables.get("SUPABASE_URL").as_deref().and_then(base_url).unwrap_or_else(|| {
            variables.fault("SUPABASE_URL");
            String::new()
        });
        let publishable_key = publishable_key(variables).unwrap_or_else(|| {
            variables.fault("SUPABASE_PUBLISHABLE_KEY");
            String::new()
        });
        Self {
            issuer: variables.get("SUPABASE_JWT_ISSUER").unwrap_or_else(|| format!("{supabase_url}/auth/v1")),
            supabase_url,
            publishable_key,
            jwks: variables.get("SUPABASE_JWKS"),
            jwt_secret: variables
                .read("SUPABASE_JWT_SECRET", |secret| (secret.len() >= SECRET_MIN_BYTES).then(|| secret.to_owned())),
            timeout_ms: variables.read("SUPABASE_TIMEOUT", milliseconds).unwrap_or(DEFAULT_TIMEOUT_MS),
            max_retries: variables
                .read("SUPABASE_MAX_RETRIES", |text| whole(text, 0..=MOST_RETRIES))
                .unwrap_or(DEFAULT_MAX_RETRIES),
            allowed_origins: variables.read("ALLOWED_ORIGINS", AllowedOrigins::parse).unwrap_or_default(),
            takes_visitors: variables.read("ANONYMOUS", on_or_off).unwrap_or(true),
            problem_type_base: variables.read("PROBLEM_TYPE_BASE", type_base).unwrap_or_else(|| "/".to_owned()),
            log_level: variables.read("LOG_LEVEL", Level::parse).unwrap_or(Level::Info),
        }
    }
}

/// `on` or `off`.
fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A URL without query and fragment, or a path; with a slash at its end.
fn type_base(text: &str) -> Option<String> {
    let is_based = text.starts_with('/') || text.starts_with("https://") || text.starts_with("http://");
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(&byte));
    (is_based && is_plain).then(|| format!("{}/", text.strip_suffix('/').unwrap_or(text)))
}

/// A whole number in decimal digits, within bounds.
pub fn whole(text: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && bounds.contains(number))
}

/// `SUPABASE_PUBLISHABLE_KEY`, the platform's own dictionary of them, or the legacy anon key.
fn publishable_key(variables: &Variables) -> Option<String> {
    let from_dictionary = || {
        let keys: Value = serde_json::from_str(&variables.get("SUPABASE_PUBLISHABLE_KEYS")?).ok()?;
        let keys = keys.as_object()?;
        Some(keys.get("default").or_else(|| keys.values().next())?.as_str()?.to_owned())
    };
    variables
        .get("SUPABASE_PUBLISHABLE_KEY")
        .or_else(from_dictionary)
        .or_else(|| variables.get("SUPABASE_ANON_KEY"))
        .filter(|key| is_header_value(key) && is_publishable(key))
}

/// Whether a key may be given to anybody: no secret key, and of the legacy keys, which are tokens, the role `anon`'s.
fn is_publishable(key: &str) -> bool {
    let mut parts = key.split('.').skip(1);
    let Some(payload) = parts.next() else { return !key.starts_with("sb_secret_") };
    let claims = URL_SAFE_NO_PAD.decode(payload).ok().and_then(|claims| serde_json::from_slice::<Value>(&claims).ok());
    claims.is_some_and(|claims| claims.pointer("/role").is_some_and(|role| role == "anon"))
}

fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An `http` or `https` origin, without a slash at its end.
fn base_url(url: &str) -> Option<String> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    (!host.is_empty() && is_header_value(host) && !host.contains(['/', '?', '#', '@'])).then(|| url.to_owned())
}

/// Seconds with up to three decimals, as milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(seconds) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let milliseconds = format!("{seconds}{decimals:0<3}").parse().ok()?;
    (1..=MAX_TIMEOUT_MS).contains(&milliseconds).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::{AllowedOrigins, Config, Variables, base_url, milliseconds, type_base};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
        let anon = legacy_key("anon");
        assert_eq!(key(("SUPABASE_ANON_KEY", &anon)), anon);
    }

    /// A legacy API key: a token that names a role.
    fn legacy_key(role: &str) -> String {
        let payload = format!(r#"{{"iss":"supabase","ref":"abc","role":"{role}","iat":1,"exp":2}}"#);
        format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}.x", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_key_that_is_not_for_everybody_is_misconfigured() {
        let url = ("SUPABASE_URL", "https://abc.supabase.co");
        for key in
            [legacy_key("service_role"), legacy_key("authenticated"), "a.b.c".to_owned(), "sb_secret_x".to_owned()]
        {
            for name in ["SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEY"] {
                assert_eq!(read(&[url, (name, &key)]).unwrap_err(), ["SUPABASE_PUBLISHABLE_KEY"], "{key}");
            }
        }
    }

    #[test]
    fn an_origin_is_compared_as_browsers_write_it() {
        for (configured, written) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("HTTPS://app.example.com:443", "https://app.example.com"),
            ("http://Localhost:80", "http://localhost"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert!(AllowedOrigins::parse(configured).unwrap().allows(written), "{configured}");
        }
    }

    #[test]
    fn the_base_of_problem_types_is_a_url_or_a_path() {
        for (text, base) in [("https://a.example/docs", "https://a.example/docs/"), ("/", "/"), ("/x/", "/x/")] {
            assert_eq!(type_base(text).as_deref(), Some(base));
        }
        for text in ["a.example", "https://a.example/?x", "https://a.example/#x", "https://a b", "/\u{e9}"] {
            assert_eq!(type_base(text), None, "{text}");
        }
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
        assert_eq!(base_url("http://127.0.0.1:54321").as_deref(), Some("http://127.0.0.1:54321"));
        for url in ["", "https://", "ftp://a", "https://a/rest", "https://a?b", "https://user@a", "https://a b"] {
            assert_eq!(base_url(url), None, "{url}");
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

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "a.example",
            "https://a.example/path",
            "https://a.example/",
            "https://",
            "https://*.example",
            "https://a,",
            "https://user@a.example",
            "https://a.example:",
            "https://a.example:x",
            "https://a example",
            "null",
        ] {
            assert!(AllowedOrigins::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_list_of_origins_makes_the_reader_panic(text in any::<String>()) {
            let _ = AllowedOrigins::parse(&text);
        }

        #[test]
        fn a_timeout_is_what_arithmetic_says(milliseconds in 0_u64..200_000) {
            let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
            prop_assert_eq!(super::milliseconds(&text), Some(milliseconds).filter(|ms| (1..=120_000).contains(ms)));
        }

        #[test]
        fn no_value_makes_a_reader_panic(text in any::<String>()) {
            let origin = base_url(&text);
            prop_assert!(origin.is_none_or(|url| url.starts_with("http") && !url.ends_with('/')));
            let _ = milliseconds(&text);
        }
    }
}
