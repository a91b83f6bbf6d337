//! Who is calling: a user's access token, checked before anything else is believed.
//!
//! The token is a signed JSON Web Token (RFC 7519, RFC 7515) in `Authorization: Bearer` (RFC 6750). The edge
//! refuses early what PostgREST would refuse anyway; PostgREST and Row Level Security remain the authority.

mod claims;
mod key_set;
mod keys;
mod memory;
mod single_flight;
mod token;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use uuid::Uuid;

use crate::answer::{Problem, code};
use crate::config::{Config, Variables};
use crate::host::{Host, Request};
use crate::upstream::Identity;
use claims::Claims;
use keys::{Found, KeyStore};
use memory::Memory;
use token::SignedToken;

/// Longest token read, in bytes: gateways cut headers off at about this size.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A caller whose token has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token as it came, to be forwarded byte for byte.
    token: String,
    /// Who it is, as the log shows it: a hash of the token's subject.
    pub(crate) user: u64,
}

impl Identity for Caller {
    fn token(&self) -> Option<&str> {
        Some(&self.token)
    }
}

impl Identity for Option<Caller> {
    fn token(&self) -> Option<&str> {
        self.as_ref()?.token()
    }
}

/// Verifies tokens; one per isolate.
pub struct Authenticator {
    host: Rc<dyn Host>,
    config: Rc<Config>,
    keys: KeyStore,
    memory: Memory,
}

impl Authenticator {
    /// Knows nobody yet. A key set of the configuration that cannot be used is noted in `variables`.
    pub fn new(host: Rc<dyn Host>, config: Rc<Config>, variables: &mut Variables) -> Self {
        let mut secret = [0; 16];
        host.random(&mut secret);
        let keys = KeyStore::new(&config, variables);
        Self { host, config, keys, memory: Memory::new(secret) }
    }

    /// Whether the issuer's key set should be fetched anew while nobody waits for it.
    pub fn is_refresh_due(&self) -> bool {
        self.keys.is_refresh_due()
    }

    /// Fetches the issuer's key set anew, if that is due.
    pub async fn refresh(&self) {
        self.keys.refresh(&*self.host, &self.config).await;
    }

    /// Verifies a token. Costs one verification by the host, and none when the token was verified a moment ago.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        check_form(token)?;
        let Self { host, config, keys, memory } = self;
        let now_ms = host.now_ms();
        let now = now_ms / 1000;
        // A key that was revoked ends with its set.
        let user = match memory.get(token, keys.epoch(now_ms), now) {
            Some(user) => user,
            None => {
                let parsed = SignedToken::parse(token)?;
                let Found { algorithm, key, epoch } = keys.find(&**host, config, &parsed).await?;
                if !host.verify(algorithm, &key, &parsed.signature, parsed.signed.as_bytes()).await {
                    return Err(Problem::new(
                        &code::BAD_SIGNATURE,
                        "The signature does not belong to this header and payload.",
                    ));
                }
                let (expires, subject) = Claims::parse(&parsed.payload)?.check(&config.issuer, now)?;
                let user = hash(subject);
                memory.insert(token, epoch, now, expires, user);
                user
            }
        };
        Ok(Caller { token: token.to_owned(), user })
    }

    /// How many tokens and how many keys it remembers.
    #[cfg(feature = "fake")]
    pub(crate) fn remembered(&self) -> (usize, usize) {
        (self.memory.len(), self.keys.len())
    }
}

/// Who somebody is in the log, the same in every isolate. Ids of users are random: nobody can try them all.
fn hash(subject: Uuid) -> u64 {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    hasher.finish()
}

/// The token in `Authorization: Bearer <token>` (the scheme in any case, RFC 9110 section 11.1), if there is such a
/// header.
pub fn bearer(request: &Request) -> Result<Option<&str>, Problem> {
    let header = request.header(http::header::AUTHORIZATION).unwrap_or_default().trim_ascii();
    if header.is_empty() {
        return Ok(None);
    }
    match header.split_once(' ').map(|(scheme, token)| (scheme, token.trim_ascii_start())) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => Ok(Some(token)),
        _ => Err(Problem::new(&code::MISSING_TOKEN, "The Authorization header must be `Bearer <token>`.")),
    }
}

/// What a caller without a token gets.
pub fn missing() -> Problem {
    Problem::new(&code::MISSING_TOKEN, "Send the signed-in user's access token as `Authorization: Bearer <token>`.")
}

/// Refuses what is no user's token at first sight.
fn check_form(token: &str) -> Result<(), Problem> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Problem::new(&code::TOKEN_TOO_LARGE, "The token is longer than 8 KiB."));
    }
    let detail = if token.starts_with("sb_publishable_") {
        "A publishable key belongs in the apikey header. Send the access token of a signed-in user here; an anonymous \
         one will do."
    } else if token.starts_with("sb_secret_") {
        "A secret key belongs on a server, never in a request to this function. If a browser sent it, replace it now."
    } else {
        return Ok(());
    };
    Err(Problem::new(&code::API_KEY_AS_TOKEN, detail))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{Authenticator, bearer};
    use crate::config::{Config, Variables};
    use crate::host::Request;
    use crate::host::fake::{FakeHost, run};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn a_token_of_the_shared_secret_stays_remembered_when_a_key_set_grows_old() {
        const SECRET: &str = "a-shared-secret-of-32-characters";
        const CLAIMS: &str = r#"{"iss":"https://abc.supabase.co/auth/v1","sub":"018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "aud":"authenticated","role":"authenticated","exp":1800009999}"#;
        let host = Rc::new(FakeHost::default());
        let lookup = |name: &str| match name {
            "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
            "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
            "SUPABASE_JWT_SECRET" => Some(SECRET.to_owned()),
            _ => None,
        };
        let mut variables = Variables::new(&lookup);
        let config = Rc::new(Config::read(&mut variables));
        let authenticator = Authenticator::new(Rc::<FakeHost>::clone(&host), config, &mut variables);
        let is_let_in = |token: &str| run(authenticator.authenticate(token)).unwrap().is_ok();
        // The fake host finds a signature good that is the key's own text.
        let key = URL_SAFE_NO_PAD.encode(SECRET);
        let legacy = [r#"{"alg":"HS256"}"#, CLAIMS, &key].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert!(is_let_in(&FakeHost::token("k1", CLAIMS)));
        host.now_ms.set(host.now_ms.get() + 11 * 60 * 1000);
        let verified = host.verified.get();
        for _ in 0..5 {
            assert!(is_let_in(&legacy));
        }
        assert_eq!(host.verified.get(), verified + 1);
    }

    fn token(header: &str) -> Result<Option<String>, &'static str> {
        let mut request = Request::new("GET", "/");
        request.add_header(http::header::AUTHORIZATION, header);
        bearer(&request).map(|token| token.map(str::to_owned)).map_err(|problem| problem.code.name)
    }

    proptest! {
        #[test]
        fn the_scheme_is_bearer_in_any_case_and_nothing_else(
            scheme in "[Bb][Ee][Aa][Rr][Ee][Rr]|[a-z]{0,7}", blank in " {1,3}", text in "[A-Za-z0-9._-]{1,20}"
        ) {
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            let expected = if is_bearer { Ok(Some(text.clone())) } else { Err("missing_token") };
            prop_assert_eq!(token(&format!("{scheme}{blank}{text} ")), expected);
        }

        #[test]
        fn no_header_makes_the_reader_panic(header in any::<String>()) {
            let _ = token(&header);
        }
    }
}
