//! Who is calling: a user's access token, checked before anything else is believed.
//!
//! The token is a signed JSON Web Token (RFC 7519, RFC 7515) in `Authorization: Bearer` (RFC 6750). The edge
//! refuses early what PostgREST would refuse anyway; PostgREST and Row Level Security remain the authority.

mod claims;
mod keys;
mod memory;
mod token;

use std::hash::{DefaultHasher, Hasher as _};

use crate::code;
use crate::config::Config;
use crate::host::Host;
use crate::http::Request;
use crate::id::Id;
use crate::problem::Problem;
use crate::text::cut;
use claims::Claims;
use keys::KeyStore;
use memory::Memory;
use token::SignedToken;

/// Longest token read, in bytes: gateways cut headers off at about this size.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A signature algorithm (RFC 7518 section 3.1). It is always the key's, never the token's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: what Supabase projects sign with.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519 (RFC 8037), where the host's WebCrypto has it.
    EdDsa,
    /// HMAC with SHA-256: legacy projects, and only where `SUPABASE_JWT_SECRET` is set.
    Hs256,
}

impl Algorithm {
    /// The name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// A caller whose token has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token as it came, to be forwarded byte for byte.
    pub token: String,
    /// Who it is, as the log has them: a hash of the token's subject.
    pub user: u64,
}

/// Whom an isolate trusts, and whom it has just verified.
#[derive(Debug)]
pub struct Authenticator<K> {
    keys: KeyStore<K>,
    memory: Memory,
}

impl<K: Clone> Authenticator<K> {
    /// Knows nobody yet.
    pub fn new<H: Host<Key = K>>(host: &H) -> Self {
        let mut secret = [0; 16];
        host.random(&mut secret);
        Self { keys: KeyStore::new(), memory: Memory::new(secret) }
    }

    /// Finds out whose token this is, or why nobody may be let in with it. Costs one verification by the host, and none
    /// when the token was verified a moment ago.
    pub async fn authenticate<H: Host<Key = K>>(
        &self,
        host: &H,
        config: &Config,
        text: &str,
    ) -> Result<Caller, Problem> {
        check_form(text)?;
        let now = host.now_ms() / 1000;
        // Without a fresh key set nobody is remembered: a key that was revoked ends with its set.
        let known = self.keys.epoch(host, config).and_then(|epoch| self.memory.knows(text, epoch, now));
        let user = match known {
            Some(user) => user,
            None => {
                let token = SignedToken::parse(text)?;
                let (algorithm, key) = self.keys.find(host, config, &token).await?;
                if !host.verify(algorithm, &key, &token.signature, token.signed.as_bytes()).await {
                    return Err(Problem::new(
                        &code::BAD_SIGNATURE,
                        "The signature does not belong to this header and payload.",
                    ));
                }
                let (expires, subject) = Claims::parse(&token.payload)?.check(&config.issuer, now)?;
                let user = hash(&subject);
                if let Some(epoch) = self.keys.epoch(host, config) {
                    self.memory.learn(text, epoch, now, expires, user);
                }
                user
            }
        };
        Ok(Caller { token: text.to_owned(), user })
    }
}

/// Who somebody is in the log, the same in every isolate. Ids of users are random: nobody can try them all.
fn hash(subject: &Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(subject.as_str().as_bytes());
    hasher.finish()
}

/// The token in `Authorization: Bearer <token>` (the scheme in any case, RFC 9110 section 11.1), if there is such a
/// header.
pub fn bearer(request: &Request) -> Result<Option<&str>, Problem> {
    let header = request.header("authorization").unwrap_or("").trim_ascii();
    if header.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = cut(header, b' ');
    let token = token.unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Problem::new(&code::MISSING_TOKEN, "The Authorization header must be `Bearer <token>`."));
    }
    Ok(Some(token.trim_ascii_start()))
}

/// What a caller without a token is told.
pub fn missing() -> Problem {
    Problem::new(&code::MISSING_TOKEN, "Send the signed-in user's access token as `Authorization: Bearer <token>`.")
}

/// What can be told of a token without taking it apart.
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
    use super::bearer;
    use crate::http::Request;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn token(header: &str) -> Result<Option<String>, &'static str> {
        let request = Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: vec![("authorization", header.to_owned())],
            body: Vec::new(),
            body_error: None,
        };
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
