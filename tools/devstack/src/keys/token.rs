//! Tokens of the stack's issuer, and some that only pretend to be.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use strum::{EnumString, VariantNames};
use uuid::Uuid;

use super::{StackKey, now, unsigned};
use crate::error::Result;

/// How a token is signed, by the name in its `alg`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Algorithm {
    /// As it should be.
    #[default]
    Es256,
    /// As it should be, with the stack's other key.
    Rs256,
    /// A classic forgery: the public key's text as the shared secret.
    Hs256,
    /// Another: no signature.
    #[strum(serialize = "none")]
    None,
}

/// What a token is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenOptions {
    /// Whose; random when not given.
    pub sub: Option<String>,
    /// In which role.
    pub role: String,
    /// For how many seconds from now; negative for a token that has expired.
    pub ttl: i64,
    /// Signed how.
    pub algorithm: Algorithm,
    /// Claims that replace or join the others; null takes one away.
    pub claims: Map<String, Value>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        let (role, ttl, algorithm) = ("authenticated".into(), 3600, Algorithm::default());
        Self { sub: None, role, ttl, algorithm, claims: Map::new() }
    }
}

/// A token from the issuer of the stack at `api_url`, or one that pretends to be.
pub fn mint(key: &StackKey, api_url: &str, options: &TokenOptions) -> Result<String> {
    let sub = options.sub.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let mut claims = json!({
        "iss": format!("{api_url}/auth/v1"),
        "sub": sub,
        "aud": "authenticated",
        "role": options.role,
        "iat": now(),
        "exp": now() + options.ttl,
        "session_id": Uuid::new_v4(),
        "is_anonymous": false,
    });
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(options.claims.clone());
        claims.retain(|_, value| !value.is_null());
    }
    Ok(match options.algorithm {
        Algorithm::Es256 => key.sign(&claims),
        Algorithm::Rs256 => key.sign_rs256(&claims)?,
        Algorithm::None => format!("{}.", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims)),
        Algorithm::Hs256 => {
            let jwk = key.public_jwk();
            let signed = unsigned(&json!({ "alg": "HS256", "kid": jwk.get("kid"), "typ": "JWT" }), &claims);
            let mac = Hmac::<Sha256>::new_from_slice(jwk.to_string().as_bytes())
                .map(|mac| mac.chain_update(&signed).finalize().into_bytes());
            // HMAC takes a key of any length, so this is never empty.
            format!("{signed}.{}", mac.map(|mac| URL_SAFE_NO_PAD.encode(mac)).unwrap_or_default())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_replace_and_null_removes() {
        let key = StackKey::generate();
        let claims = json!({ "aud": ["x"], "iss": null }).as_object().cloned().unwrap_or_default();
        let token = mint(&key, "http://api", &TokenOptions { claims, ..TokenOptions::default() }).unwrap_or_default();
        let claims = key.verify(&token).unwrap_or_default();
        assert_eq!(claims.get("aud"), Some(&json!(["x"])));
        assert_eq!(claims.get("iss"), None);
        assert_eq!(claims.get("role"), Some(&json!("authenticated")));
    }

    #[test]
    fn forgeries_are_not_what_the_key_signed() {
        let key = StackKey::generate();
        for algorithm in [Algorithm::Hs256, Algorithm::None] {
            let token =
                mint(&key, "http://api", &TokenOptions { algorithm, ..TokenOptions::default() }).unwrap_or_default();
            assert_eq!(token.split('.').count(), 3);
            assert!(key.verify(&token).is_none());
        }
    }
}
