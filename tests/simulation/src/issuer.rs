//! The issuer of tokens: its keys, which rotate, and the tokens that callers have, good ones and bad ones.
//!
//! A signature is a hash over the key's material and the signed text. Whoever knows the public part of a key could make
//! one, so it protects nothing; but it belongs to one key and one text, as a real one does.

use std::hash::{DefaultHasher, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where the project is.
pub(crate) const URL: &str = "https://abc.supabase.co";
/// Its publishable key.
pub(crate) const PUBLISHABLE_KEY: &str = "sb_publishable_x";
/// The shared secret of isolates that have one.
pub(crate) const SECRET: &str = "a secret of a legacy project, long";
/// How long a key set may be used that cannot be fetched again, in milliseconds: contract.md, section 4.
const STALE_MS: u64 = 60 * 60 * 1000;

/// A key that signs.
#[derive(Debug)]
struct SigningKey {
    id: String,
    published_ms: u64,
    revoked_ms: Option<u64>,
}

/// The issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    keys: Vec<SigningKey>,
}

/// Who signed a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The issuer, with the key at this place.
    Key(usize),
    /// The issuer, with the shared secret.
    Secret,
    /// Somebody else.
    Nobody,
}

/// Why a token must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// The claims were changed after it was signed.
    Changed,
    /// It is signed by a key of another project, under an id of ours.
    Forged,
    /// It names a key that does not exist.
    UnknownKey,
    /// It says HS256 and is signed with the public key's material.
    Confused,
    /// It says `none` and has no signature.
    Unsigned,
    WrongIssuer,
    WrongAudience,
    WrongRole,
    NoExpiry,
    NotYetValid,
    NoUser,
    /// It is no token at all.
    Malformed,
    /// It is a key of the API.
    ApiKey,
}

impl Defect {
    pub(crate) const ALL: [Self; 13] = [
        Self::Changed,
        Self::Forged,
        Self::UnknownKey,
        Self::Confused,
        Self::Unsigned,
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::WrongRole,
        Self::NoExpiry,
        Self::NotYetValid,
        Self::NoUser,
        Self::Malformed,
        Self::ApiKey,
    ];
}

/// A token a caller has.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) user: String,
    /// Seconds since 1970.
    pub(crate) expires: u64,
    signer: Signer,
    pub(crate) defect: Option<Defect>,
}

impl Token {
    /// Whether an isolate must refuse it, whose clock shows `clock` seconds since 1970, and which has this key set or this
    /// secret configured.
    pub(crate) fn is_bad(&self, issuer: &Issuer, now_ms: u64, clock: u64, has_set: bool, has_secret: bool) -> bool {
        let is_revoked = |place: usize| {
            let revoked = issuer.keys.get(place).and_then(|key| key.revoked_ms);
            // A configured set does not age.
            !has_set && revoked.is_some_and(|revoked| now_ms > revoked + 2 * STALE_MS)
        };
        self.defect.is_some()
            || self.expires <= clock
            || match self.signer {
                Signer::Key(place) => is_revoked(place),
                Signer::Secret => !has_secret,
                Signer::Nobody => true,
            }
    }
}

/// What a token is to say.
pub(crate) struct Wanted<'a> {
    pub(crate) user: &'a str,
    pub(crate) now_ms: u64,
    pub(crate) seconds: u64,
    pub(crate) defect: Option<Defect>,
    pub(crate) by_secret: bool,
    /// Makes it another token than any other.
    pub(crate) nonce: u64,
}

impl Issuer {
    /// With one key, published long ago.
    pub(crate) fn new() -> Self {
        Self { keys: vec![SigningKey { id: "k0".to_owned(), published_ms: 0, revoked_ms: None }] }
    }

    /// Publishes a new key and signs with it. The one before is revoked after so long.
    pub(crate) fn rotate(&mut self, now_ms: u64, revoked_after_ms: u64) {
        if let Some(last) = self.keys.last_mut() {
            last.revoked_ms = Some(now_ms + revoked_after_ms);
        }
        let id = format!("k{}", self.keys.len());
        self.keys.push(SigningKey { id, published_ms: now_ms, revoked_ms: None });
    }

    /// How many keys there have been.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The key set as it is at a moment.
    pub(crate) fn set(&self, at_ms: u64) -> String {
        let is_there =
            |key: &&SigningKey| key.published_ms <= at_ms && key.revoked_ms.is_none_or(|revoked_ms| at_ms < revoked_ms);
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter(is_there)
            .map(|SigningKey { id, .. }| {
                format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","use":"sig","alg":"ES256","x":"x-{id}","y":""}}"#)
            })
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Makes a token.
    pub(crate) fn token(&self, wanted: &Wanted<'_>) -> Token {
        let Wanted { user, now_ms, seconds, defect, by_secret, nonce } = *wanted;
        let now = now_ms / 1000;
        let expires = now + seconds;
        let is = |one: Defect| defect == Some(one);
        let place = self.keys.len().saturating_sub(1);
        let id = self.keys.last().map(|key| key.id.as_str()).unwrap_or_default();
        let (algorithm, key_id, material, signer) = match defect {
            Some(Defect::Forged) => ("ES256", id, "another project's".to_owned(), Signer::Nobody),
            Some(Defect::UnknownKey) => ("ES256", "made-up", "made-up".to_owned(), Signer::Nobody),
            Some(Defect::Confused) => ("HS256", id, format!("x-{id}"), Signer::Nobody),
            Some(Defect::Unsigned) => ("none", id, String::new(), Signer::Nobody),
            _ if by_secret => ("HS256", id, URL_SAFE_NO_PAD.encode(SECRET), Signer::Secret),
            _ => ("ES256", id, format!("x-{id}"), Signer::Key(place)),
        };
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{key_id}"}}"#);
        let issuer = if is(Defect::WrongIssuer) { "https://abd.supabase.co" } else { URL };
        let audience = if is(Defect::WrongAudience) { "anon" } else { "authenticated" };
        let role = if is(Defect::WrongRole) { "service_role" } else { "authenticated" };
        let subject = if is(Defect::NoUser) { "nobody" } else { user };
        let early = if is(Defect::NotYetValid) { now + 7 * 24 * 60 * 60 } else { now };
        let expiry = if is(Defect::NoExpiry) { String::new() } else { format!(r#","exp":{expires}"#) };
        let payload = format!(
            r#"{{"iss":"{issuer}/auth/v1","sub":"{subject}","aud":"{audience}","role":"{role}","iat":{early},"jti":"{nonce}"{expiry}}}"#
        );
        let signed = [header.as_str(), payload.as_str()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = if is(Defect::Unsigned) { Vec::new() } else { sign(&material, signed.as_bytes()) };
        let text = match defect {
            Some(Defect::Changed) => {
                let payload = payload.replace(user, "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e");
                let parts = [header.as_bytes(), payload.as_bytes(), &signature];
                parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
            }
            Some(Defect::Malformed) => signed,
            Some(Defect::ApiKey) => "sb_secret_x".to_owned(),
            _ => format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
        };
        Token { text, user: user.to_owned(), expires, signer, defect }
    }
}

/// The signature over a text by whoever has the material.
pub(crate) fn sign(material: &str, data: &[u8]) -> Vec<u8> {
    let half = |number: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(number);
        hasher.write(material.as_bytes());
        hasher.write(data);
        hasher.finish().to_be_bytes()
    };
    [half(0), half(1)].concat()
}
