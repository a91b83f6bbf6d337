//! A JSON Web Key Set (RFC 7517): the keys of it that verify tokens.

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::value::RawValue;

use crate::answer::{Problem, code};
use crate::auth::token::SignedToken;
use crate::host::{Algorithm, Host, Key};
use crate::members::{Members, items, string};

/// A key that verifies tokens.
#[derive(Debug)]
pub(super) struct PublicKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    jwk: String,
    /// What the host made of it, once a token asked for it.
    imported: OnceCell<Key>,
}

impl PublicKey {
    pub(super) fn new(id: Option<String>, algorithm: Algorithm, jwk: String) -> Self {
        Self { id, algorithm, jwk, imported: OnceCell::new() }
    }

    /// Reads a JSON Web Key. `None` if it is not for verifying tokens, or if a name stands twice in it: the host, which
    /// imports the same text, might read the other of the two.
    fn parse(jwk: &RawValue) -> Option<Self> {
        let members = Members::parse(jwk.get()).ok().filter(|members| !members.has_duplicates())?;
        let (id, algorithm) = purpose(&members)?;
        Some(Self::new(id, algorithm, jwk.get().to_owned()))
    }

    /// The key as the host has it; imported once. `None` if the host cannot use it.
    pub(super) async fn import(&self, host: &dyn Host) -> Option<Key> {
        if let Some(key) = self.imported.get() {
            return Some(key.clone());
        }
        let key = host.import_key(self.algorithm, &self.jwk).await?;
        Some(self.imported.get_or_init(|| key).clone())
    }
}

/// A key set.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    usable: Vec<Rc<PublicKey>>,
    /// Whether it has keys that are not usable.
    has_others: bool,
}

impl KeySet {
    /// Reads a key set. `None` if it is none, or if it has two lists of keys.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let set = Members::parse(text).ok().filter(|set| !set.has_duplicates())?;
        let listed = items(set.get("keys")?)?;
        let usable: Vec<_> = listed.iter().filter_map(|jwk| PublicKey::parse(jwk)).map(Rc::new).collect();
        Some(Self { has_others: usable.len() < listed.len(), usable })
    }

    /// Whether no key of it is usable.
    pub(super) fn is_empty(&self) -> bool {
        self.usable.is_empty()
    }

    /// How many keys it has.
    #[cfg(feature = "fake")]
    pub(super) fn len(&self) -> usize {
        self.usable.len()
    }

    /// Whether it has keys, and none of them is usable.
    pub(super) fn is_useless(&self) -> bool {
        self.usable.is_empty() && self.has_others
    }

    /// The key that a token names, or why it is not that token's. A token without `kid` means the only key.
    pub(super) fn find(&self, token: &SignedToken<'_>) -> Option<Result<Rc<PublicKey>, Problem>> {
        let found = match (&token.key_id, self.usable.as_slice()) {
            (None, [only]) => only,
            (None, _) => return None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_ref() == Some(id))?,
        };
        if found.algorithm.name() != token.algorithm {
            return Some(Err(Problem::new(
                &code::UNSUPPORTED_ALGORITHM,
                "The token's alg is not the one its key is for.",
            )));
        }
        Some(Ok(Rc::clone(found)))
    }
}

/// The id of a key and the algorithm it verifies with; `None` when verifying is not what it is for (RFC 7517
/// sections 4.1 to 4.4), or when it is not one this function knows.
fn purpose(jwk: &Members) -> Option<(Option<String>, Algorithm)> {
    let text = |name| jwk.string(name);
    let is_or_absent = |name, wanted: &str| jwk.get(name).is_none_or(|value| string(value).as_deref() == Some(wanted));
    let algorithm = match (text("kty")?.as_str(), text("crv").as_deref()) {
        ("EC", Some("P-256")) => Algorithm::Es256,
        // Shorter moduli than 2048 bits (342 characters) can be factored: RFC 7518 section 3.3.
        ("RSA", None) if text("n").is_some_and(|modulus| modulus.len() >= 342) => Algorithm::Rs256,
        ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
        _ => return None,
    };
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        items(operations).is_some_and(|all| all.into_iter().any(|one| string(one).as_deref() == Some("verify")))
    });
    let is_private = jwk.get("d").is_some();
    (verifies && !is_private && is_or_absent("use", "sig") && is_or_absent("alg", algorithm.name()))
        .then(|| (text("kid"), algorithm))
}

#[cfg(test)]
mod tests {
    use super::{KeySet, purpose};
    use crate::members::Members;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn a_key_is_used_only_for_what_it_is_for() {
        let usable = |jwk: &str| purpose(&Members::parse(jwk).unwrap()).is_some();
        let rsa = |characters: usize| format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, "x".repeat(characters));
        assert!(usable(&rsa(342)) && !usable(&rsa(341)), "RSA keys of 2048 bits and more");
        assert!(usable(r#"{"kty":"OKP","crv":"Ed25519"}"#) && !usable(r#"{"kty":"OKP","crv":"X25519"}"#));
        assert!(usable(r#"{"kty":"EC","crv":"P-256"}"#));
        assert!(usable(r#"{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","key_ops":["verify"]}"#));
        for jwk in [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#,
            r#"{"kty":"EC","crv":"P-384"}"#,
            r#"{"kty":"EC","crv":"P-256","use":"enc"}"#,
            r#"{"kty":"EC","crv":"P-256","alg":"ES384"}"#,
            r#"{"kty":"EC","crv":"P-256","key_ops":["sign"]}"#,
            r#"{"kty":"EC","crv":"P-256","key_ops":"verify"}"#,
            r#"{"kty":"EC","crv":"P-256","d":"private"}"#,
            r#"{"crv":"P-256"}"#,
        ] {
            assert!(!usable(jwk), "{jwk}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let key = r#"{"kty":"EC","crv":"P-256","kid":"k1","x":"k1"}"#;
        let usable = |set: &str| KeySet::parse(set).map(|set| set.usable.len());
        assert_eq!(usable(&format!(r#"{{"keys":[{key},{key}]}}"#)), Some(2));
        for member in [r#""x":"k2""#, r#""\u0078":"k2""#, r#""kty":"RSA""#, r#""note":1,"note":1"#] {
            let twice = key.replace('}', &format!(",{member}}}"));
            let set = KeySet::parse(&format!(r#"{{"keys":[{twice},{key}]}}"#)).unwrap();
            assert_eq!((set.usable.len(), set.has_others), (1, true), "{twice}");
        }
        assert_eq!(usable(&format!(r#"{{"keys":[{key}],"keys":[]}}"#)), None);
    }

    proptest! {
        #[test]
        fn no_key_set_makes_the_reader_panic(text in any::<String>(), json in "[\\[\\]{}\"keys:,]{0,12}") {
            for text in [text, json] {
                let is_set = KeySet::parse(&text).is_some();
                let theirs: Option<serde_json::Value> = serde_json::from_str(&text).ok();
                prop_assert!(!is_set || theirs.is_none_or(|set| set["keys"].is_array()));
            }
        }
    }
}
