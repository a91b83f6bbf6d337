//! Who is calling: a user's access token, checked before anything else is believed.
//!
//! The token is a signed JSON Web Token (RFC 7519, RFC 7515) in `Authorization: Bearer` (RFC 6750). The edge
//! refuses early what PostgREST would refuse anyway; PostgREST and Row Level Security remain the authority.

mod claims;
mod keys;
mod token;

pub use keys::KeyStore;

use crate::code;
use crate::config::Config;
use crate::host::Host;
use crate::http::Request;
use crate::problem::Problem;
use claims::Claims;
use token::SignedToken;

/// Longest token read, in bytes: gateways cut headers off at about this size.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A signature algorithm (RFC 7518 section 3.1). It is always the key's, never the token's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: what Supabase projects sign with.
    Es256,
}

impl Algorithm {
    /// The name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
        }
    }
}

/// A caller whose token has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token as it came, to be forwarded byte for byte.
    pub token: String,
}

/// Finds out who is calling, or why nobody may be let in.
pub async fn authenticate<H: Host>(
    host: &H,
    config: &Config,
    keys: &KeyStore<H::Key>,
    request: &Request,
) -> Result<Caller, Problem> {
    let text = bearer(request)?;
    let token = SignedToken::parse(text)?;
    let (algorithm, key) = keys.find(host, config, &token).await?;
    if !host.verify(algorithm, &key, &token.signature, token.signed.as_bytes()).await {
        return Err(Problem::new(&code::BAD_SIGNATURE, "The signature does not belong to this header and payload."));
    }
    Claims::parse(&token.payload)?.check(&config.issuer, host.now_ms() / 1000)?;
    Ok(Caller { token: text.to_owned() })
}

/// The token in `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 section 11.1).
fn bearer(request: &Request) -> Result<&str, Problem> {
    let missing = |detail| Problem::new(&code::MISSING_TOKEN, detail);
    let header = request.header("authorization").unwrap_or("").trim();
    if header.is_empty() {
        return Err(missing("Send the signed-in user's access token as `Authorization: Bearer <token>`."));
    }
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let token = token.trim_start();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(missing("The Authorization header must be `Bearer <token>`."));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Problem::new(&code::TOKEN_TOO_LARGE, "The token is longer than 8 KiB."));
    }
    if token.starts_with("sb_publishable_") {
        return Err(Problem::new(
            &code::API_KEY_AS_TOKEN,
            "This is a publishable key: it belongs in the apikey header. Sign the user in (anonymously will do) and \
             send that session's access token here.",
        ));
    }
    if token.starts_with("sb_secret_") {
        return Err(Problem::new(
            &code::API_KEY_AS_TOKEN,
            "This is a secret key: it belongs on a server, and never in a request to this function. If a browser sent \
             it, replace it now. Send a signed-in user's access token here.",
        ));
    }
    Ok(token)
}
