//! Tokens no honest issuer gives out, one step away from one it does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use devstack::keys::{StackKey, now};
use serde_json::{Map, Value, json};

use crate::person::Person;

/// Makes tokens for a person, right but for what a test makes wrong.
pub struct Forge {
    key: StackKey,
    issuer: String,
    sub: String,
}

impl Forge {
    /// With the stack's own key.
    pub fn new(person: &Person) -> Self {
        let issuer = format!("{}/auth/v1", person.stack.api_url);
        Self { key: person.stack.signing_key(), issuer, sub: person.user_id.to_string() }
    }

    /// The same with another key, which the issuer does not publish.
    #[must_use]
    pub fn with_foreign_key(mut self) -> Self {
        self.key = StackKey::generate();
        self
    }

    /// The key in use.
    pub fn key(&self) -> &StackKey {
        &self.key
    }

    /// A header that is right.
    pub fn header(&self) -> Value {
        json!({ "alg": "ES256", "kid": self.key.kid(), "typ": "JWT" })
    }

    /// Claims that are right.
    pub fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "sub": self.sub, "aud": "authenticated", "role": "authenticated",
            "iat": now(), "nbf": now(), "exp": now() + 3600, "is_anonymous": true,
        })
    }

    /// A token that is right.
    pub fn good(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }

    /// A token with this header and payload, signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token of any bytes, signed.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.key.signature(&signed));
        format!("{signed}.{signature}")
    }

    /// A good token but for some members of its header; `null` takes one out.
    pub fn header_with(&self, members: Value) -> String {
        self.sign(&merged(self.header(), members), &self.claims())
    }

    /// A good token but for some claims; `null` takes one out.
    pub fn claims_with(&self, members: Value) -> String {
        self.sign(&self.header(), &merged(self.claims(), members))
    }

    /// A good token but for its signature.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        let good = self.good();
        let (signed, _) = good.rsplit_once('.').unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn merged(base: Value, members: Value) -> Value {
    let (Value::Object(mut base), Value::Object(members)) = (base, members) else { panic!("two objects") };
    base.extend(members);
    Value::Object(base.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}
