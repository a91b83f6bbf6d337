//! The stack's signing key, and the tokens it signs.
//!
//! ES256, as hosted projects use now: the public half is at `/auth/v1/.well-known/jwks.json`, PostgREST has it too,
//! and nobody but the issuer needs the private half.

pub mod rsa_key;
pub mod secret_file;
pub mod token;

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fs_err as fs;
use p256::{
    SecretKey,
    ecdsa::{
        Signature, SigningKey,
        signature::{Signer as _, Verifier as _},
    },
    elliptic_curve::{
        Generate as _,
        pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::{Context as _, Error, Result};

/// A key pair, known by its thumbprint.
#[derive(Debug, Clone)]
pub struct StackKey {
    key: SigningKey,
    kid: String,
    coordinates: [String; 2],
    /// Where the RSA key pair is that RS256 tokens are signed with, for a key on disk.
    rsa: Option<PathBuf>,
}

impl StackKey {
    /// A new key.
    pub fn generate() -> Self {
        Self::from(SecretKey::generate())
    }

    /// The key in a file.
    pub fn load(file: &Path) -> Result<Self> {
        let pem = fs::read_to_string(file)?;
        let key = SecretKey::from_pkcs8_pem(&pem)
            .map_err(|error| Error::new(format!("{} holds no P-256 key: {error}", file.display())))?;
        Ok(Self { rsa: Some(rsa_file(file)), ..Self::from(key) })
    }

    /// The key in a file, made the first time, so that tokens outlive a restart.
    pub fn load_or_create(file: &Path) -> Result<Self> {
        secret_file::keep(file, || {
            let pem = SecretKey::generate().to_pkcs8_pem(LineEnding::LF);
            pem.map(|pem| pem.to_string()).context(|| "The new key cannot be written down".into())
        })?;
        rsa_key::ensure(&rsa_file(file))?;
        Self::load(file)
    }

    /// The public half as a JSON Web Key.
    pub fn public_jwk(&self) -> Value {
        let [x, y] = &self.coordinates;
        json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": true
        })
    }

    /// The key set anybody may read.
    pub fn jwks(&self) -> Value {
        let rsa = self.rsa.as_deref().and_then(|file| rsa_key::public_jwk(file).ok());
        let keys: Vec<Value> = std::iter::once(self.public_jwk()).chain(rsa).collect();
        json!({ "keys": keys })
    }

    /// A token with these claims, signed with the RSA key.
    pub fn sign_rs256(&self, claims: &Value) -> Result<String> {
        let file = self.rsa.as_deref().ok_or_else(|| Error::new("this stack has no RSA key"))?;
        let signed = unsigned(&rsa_key::header(), claims);
        let signature = rsa_key::signature(file, &signed)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature)))
    }

    /// The id tokens name this key by.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let signed = unsigned(&json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" }), claims);
        let signature = self.signature(&signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature))
    }

    /// The signature over any text: r, then s, 32 bytes each.
    pub fn signature(&self, signed: &str) -> Vec<u8> {
        let signature: Signature = self.key.sign(signed.as_bytes());
        signature.to_bytes().to_vec()
    }

    /// The claims of a token this key signed and that has not expired; none otherwise.
    pub fn verify(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        self.key.verifying_key().verify(signed.as_bytes(), &signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (claims.get("exp")?.as_i64()? > now()).then_some(claims)
    }
}

impl From<SecretKey> for StackKey {
    fn from(secret: SecretKey) -> Self {
        let key = SigningKey::from(secret);
        // SEC 1, uncompressed: a byte that says so, then x and y, 32 bytes each.
        let point = key.verifying_key().to_sec1_bytes();
        let (x, y) = point.get(point.len().saturating_sub(64)..).unwrap_or_default().split_at(32);
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        // RFC 7638: these members, in this order, without spaces.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        Self { kid: URL_SAFE_NO_PAD.encode(thumbprint), key, coordinates: [x, y], rsa: None }
    }
}

/// The first two parts of a token: what gets signed.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Where the RSA key pair is that goes with a signing key.
fn rsa_file(signing_key: &Path) -> PathBuf {
    signing_key.with_file_name("rsa-key.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not() {
        let key = StackKey::generate();
        let token = key.sign(&json!({ "sub": "someone", "exp": now() + 60 }));
        assert_eq!(key.verify(&token).and_then(|claims| claims.get("sub").cloned()), Some(json!("someone")));
        assert!(StackKey::generate().verify(&token).is_none());
        let parts: Vec<&str> = token.split('.').collect();
        let other = unsigned(&json!({}), &json!({ "sub": "other", "exp": now() + 60 }));
        assert!(key.verify(&format!("{other}.{}", parts.last().unwrap_or(&""))).is_none());
        assert!(key.verify("a.b.c").is_none());
    }

    #[test]
    fn an_expired_token_does_not_verify() {
        let key = StackKey::generate();
        assert!(key.verify(&key.sign(&json!({ "exp": now() }))).is_none());
    }

    #[test]
    fn a_key_on_disk_stays_the_same_and_private() -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("signing-key.pem");
        let (first, second) = (StackKey::load_or_create(&file)?, StackKey::load_or_create(&file)?);
        assert_eq!(first.jwks(), second.jwks());
        assert_eq!(first.jwks().pointer("/keys/1/alg"), Some(&json!("RS256")));
        assert!(!first.jwks().to_string().contains("\"d\""), "no private half is published");
        assert_eq!(first.sign_rs256(&json!({}))?.split('.').count(), 3);
        let mode = fs::metadata(&file).map(|meta| meta.permissions().mode() & 0o777);
        assert_eq!(mode.ok(), Some(0o600));
        Ok(())
    }
}
