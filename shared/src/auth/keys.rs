//! The issuer's public keys: a JSON Web Key Set (RFC 7517), fetched, remembered, and refetched when it should be.

use std::cell::{Cell, RefCell};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use crate::answer::{Problem, code};
use crate::auth::token::SignedToken;
use crate::config::Config;
use crate::host::{Algorithm, Host, Key, Outbound};
use crate::members::{Members, items, string};

/// Longest key set read, in bytes: those of Supabase's issuer have a few keys.
const SET_MAX_BYTES: u32 = 256 * 1024;
/// A fetched set is fresh this long.
const FRESH_MS: u64 = 10 * 60 * 1000;
/// A set that cannot be refetched is used this long all the same: an issuer that is down must not lock users out.
const STALE_MS: u64 = 60 * 60 * 1000;
/// How long to wait before looking again whether somebody else has fetched the set, in milliseconds.
const WAIT_MS: u32 = 20;
/// How long to wait for somebody else at most, in milliseconds: whoever is fetching may have gone away over it.
const PATIENCE_MS: u64 = 2000;
/// After a refetch that an unknown `kid` caused, or one that failed, not again for this long: made-up key ids must
/// not become a flood of requests.
const COOLDOWN_MS: u64 = 30 * 1000;

/// The keys an isolate knows.
#[derive(Debug, Default)]
pub(crate) struct KeyStore {
    keys: RefCell<Vec<PublicKey>>,
    /// The legacy shared secret, once a token asked for it.
    secret: RefCell<Option<PublicKey>>,
    /// Those of `SUPABASE_JWKS`, which do not age. A token whose key is not among them makes the store fetch the issuer's
    /// set as well, because a configuration may be older than a rotation; no token takes one of them away.
    configured: RefCell<Vec<PublicKey>>,
    /// When the set was last fetched; `None` before the first time.
    fetched_ms: Cell<Option<u64>>,
    /// No refetch for an unknown key, nor after a failure, before this time.
    cooldown_until_ms: Cell<u64>,
    /// Somebody is fetching the set, and is waited for until then.
    fetching_until_ms: Cell<u64>,
    /// How many fetches have come to an end.
    fetches: Cell<u32>,
}

/// One usable key of a set.
#[derive(Debug, Clone)]
struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    jwk: String,
    /// What the host made of it, once a token asked for it.
    key: Option<Key>,
}

impl KeyStore {
    /// Which key set this is, by when it was taken in; `None` when it is time to look for another.
    pub(crate) fn epoch(&self, host: &dyn Host, config: &Config) -> Option<u64> {
        let fetched = self.fetched_ms.get();
        // A project with a shared secret may never need a set.
        if config.jwks.is_some() || config.jwt_secret.is_some() && fetched.is_none() {
            return Some(fetched.unwrap_or(0));
        }
        fetched.filter(|_| !self.is_older(FRESH_MS, host.now_ms()))
    }

    /// The key a token names, with the algorithm that key is for.
    pub(crate) async fn find(
        &self,
        host: &dyn Host,
        config: &Config,
        token: &SignedToken<'_>,
    ) -> Result<(Algorithm, Key), Problem> {
        let found = match (&config.jwt_secret, token.algorithm.as_str()) {
            // A token that says HS256 is never verified with any other key than the shared secret.
            (Some(secret), "HS256") => self.shared_secret(secret),
            _ => self.of_set(host, config, token).await?,
        };
        let key = match found.key {
            Some(key) => key,
            None => {
                // One the host cannot use is as good as none.
                let key = host.import_key(found.algorithm, &found.jwk).await.ok_or_else(unknown)?;
                let (mut keys, mut configured) = (self.keys.borrow_mut(), self.configured.borrow_mut());
                let mut secret = self.secret.borrow_mut();
                let all = keys.iter_mut().chain(configured.iter_mut()).chain(secret.as_mut());
                for same in all.filter(|known| known.jwk == found.jwk) {
                    same.key = Some(key.clone());
                }
                key
            }
        };
        Ok((found.algorithm, key))
    }

    /// How many keys it has, fetched and configured ones.
    #[cfg(feature = "fake")]
    pub(crate) fn len(&self) -> usize {
        self.keys.borrow().len() + self.configured.borrow().len()
    }

    fn shared_secret(&self, secret: &str) -> PublicKey {
        let made = || PublicKey {
            id: None,
            algorithm: Algorithm::Hs256,
            jwk: format!("{{\"kty\":\"oct\",\"k\":\"{}\"}}", URL_SAFE_NO_PAD.encode(secret)),
            key: None,
        };
        self.secret.borrow_mut().get_or_insert_with(made).clone()
    }

    /// The key of the issuer's set that a token names, the set fetched or refetched should it be time to.
    async fn of_set(&self, host: &dyn Host, config: &Config, token: &SignedToken<'_>) -> Result<PublicKey, Problem> {
        if let Some(configured) = &config.jwks
            && self.configured.borrow().is_empty()
        {
            self.configured.replace(usable(configured).unwrap_or_default());
        }
        // What somebody else is fetching is for everybody: a key that was rotated must not look wrong meanwhile.
        let fetches = self.fetches.get();
        let is_told = || self.fetches.get() != fetches;
        let mut now = host.now_ms();
        while self.lacks(token, now) && !is_told() && self.is_fetching(now) {
            host.sleep(WAIT_MS).await;
            now = host.now_ms();
        }
        let is_old = self.is_older(FRESH_MS, now);
        let is_cooling = (1..=COOLDOWN_MS).contains(&self.cooldown_until_ms.get().saturating_sub(now));
        let is_due = match config.jwks {
            Some(_) => !is_cooling && (self.lacks(token, now) || self.fetched_ms.get().is_some() && is_old),
            None => self.is_older(STALE_MS, now) || !is_cooling && (is_old || self.lacks(token, now)),
        };
        if is_due && !is_told() && !self.is_fetching(now) {
            let is_fetched = self.fetch(host, config).await;
            // Only now: somebody who asks and goes away must not keep a new key from everybody.
            if !(is_fetched && is_old) || config.jwks.is_some() {
                self.cooldown_until_ms.set(host.now_ms() + COOLDOWN_MS);
            }
        }
        if config.jwks.is_none() && self.is_older(STALE_MS, now) {
            return Err(Problem::new(
                &code::KEYS_UNAVAILABLE,
                "The issuer's key set could not be fetched, so no token can be checked. Try again shortly.",
            ));
        }
        self.known(token, now).unwrap_or_else(|| Err(unknown()))
    }

    /// Whether somebody is fetching the set. For longer than they are waited for only a clock says that was set back.
    fn is_fetching(&self, now: u64) -> bool {
        (1..=PATIENCE_MS).contains(&self.fetching_until_ms.get().saturating_sub(now))
    }

    /// Whether the set was fetched longer ago than this, in milliseconds, or never.
    fn is_older(&self, than_ms: u64, now: u64) -> bool {
        self.fetched_ms.get().is_none_or(|fetched| now.saturating_sub(fetched) > than_ms)
    }

    /// Whether no key is known for this token.
    fn lacks(&self, token: &SignedToken<'_>, now: u64) -> bool {
        self.known(token, now).is_none()
    }

    /// Looks a token's key up in the fetched set, unless that is too old, and then among the configured keys. A token
    /// without `kid` means the only key of a set, where there is one.
    fn known(&self, token: &SignedToken<'_>, now: u64) -> Option<Result<PublicKey, Problem>> {
        let (fetched, configured) = (self.keys.borrow(), self.configured.borrow());
        let named = |keys: &[PublicKey]| match (&token.key_id, keys) {
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_ref() == Some(id)).cloned(),
        };
        let usable = if self.is_older(STALE_MS, now) { &[] } else { fetched.as_slice() };
        let found = named(usable).or_else(|| named(&configured))?;
        if found.algorithm.name() != token.algorithm {
            return Some(Err(Problem::new(
                &code::UNSUPPORTED_ALGORITHM,
                "The token's alg is not the one its key is for.",
            )));
        }
        Some(Ok(found))
    }

    /// Fetches the issuer's key set. On failure the old one stays.
    async fn fetch(&self, host: &dyn Host, config: &Config) -> bool {
        let url = format!("{}/auth/v1/.well-known/jwks.json", config.supabase_url);
        let headers = [("apikey", config.publishable_key.as_str())];
        let awaited_ms = host.now_ms() + PATIENCE_MS;
        self.fetching_until_ms.set(awaited_ms);
        let timeout_ms = u32::try_from(config.timeout_ms).unwrap_or(u32::MAX);
        let request =
            Outbound { method: "GET", url: &url, headers: &headers, body: None, timeout_ms, buffer: SET_MAX_BYTES };
        let answer = host.fetch(request).await;
        let is_replaced = answer.is_ok_and(|answer| {
            answer.status == 200
                && String::from_utf8(answer.body.into_bytes()).is_ok_and(|set| self.replace(&set, host.now_ms()))
        });
        if self.fetching_until_ms.get() == awaited_ms {
            self.fetching_until_ms.set(0);
        }
        self.fetches.set(self.fetches.get().wrapping_add(1));
        is_replaced
    }

    /// Replaces the fetched keys by those of a set that can be used, unless it is none.
    fn replace(&self, set: &str, now: u64) -> bool {
        let Some(keys) = usable(set) else {
            return false;
        };
        self.keys.replace(keys);
        self.fetched_ms.set(Some(now));
        true
    }
}

/// The keys of a set that can be used; `None` if it is no set.
fn usable(set: &str) -> Option<Vec<PublicKey>> {
    let set = Members::parse(set).ok().and_then(|set| items(set.get("keys")?))?;
    let key = |jwk: &RawValue| {
        let (id, algorithm) = purpose(&Members::parse(jwk.get()).ok()?)?;
        Some(PublicKey { id, algorithm, jwk: jwk.get().to_owned(), key: None })
    };
    Some(set.into_iter().filter_map(key).collect())
}

fn unknown() -> Problem {
    Problem::new(
        &code::UNKNOWN_KEY,
        "The token's kid is not in this project's key set: it is from another project, or its key was revoked.",
    )
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
    use super::{COOLDOWN_MS, FRESH_MS, KeyStore, PATIENCE_MS, STALE_MS, purpose};
    use crate::auth::token::SignedToken;
    use crate::config::{Config, Variables};
    use crate::host::fake::{FakeHost, run};
    use crate::members::Members;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert, proptest};

    fn config(jwks: Option<&str>) -> Config {
        config_with(jwks, None)
    }

    fn config_with(jwks: Option<&str>, secret: Option<&str>) -> Config {
        let lookup = |name: &str| match name {
            "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
            "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
            "SUPABASE_JWKS" => jwks.map(str::to_owned),
            "SUPABASE_JWT_SECRET" => secret.map(str::to_owned),
            _ => None,
        };
        Config::read(&mut Variables::new(&lookup))
    }

    fn find(keys: &KeyStore, host: &FakeHost, config: &Config, key_id: &str) -> &'static str {
        let token = FakeHost::token(key_id, "{}");
        match run(keys.find(host, config, &SignedToken::parse(&token).unwrap())).unwrap() {
            Ok((_, key)) => {
                assert_eq!(key.get::<String>().map(String::as_str), Some(key_id));
                "ok"
            }
            Err(problem) => problem.code.name,
        }
    }

    fn advance(host: &FakeHost, milliseconds: u64) {
        host.now_ms.set(host.now_ms.get() + milliseconds);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait() {
        let (host, keys, config) = (FakeHost::default(), KeyStore::default(), config(None));
        keys.fetching_until_ms.set(host.now_ms.get() + 3_600_000);
        keys.cooldown_until_ms.set(host.now_ms.get() + 3_600_000);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!((find(&keys, &host, &config, "k1"), host.slept.borrow().len()), ("ok", 0));
        keys.cooldown_until_ms.set(host.now_ms.get() + 3_600_000);
        host.answer(200, &FakeHost::key_set(&["k2"]));
        assert_eq!(find(&keys, &host, &config, "k2"), "ok");
    }

    #[test]
    fn a_set_is_fetched_once_and_kept_while_fresh() {
        let (host, keys, config) = (FakeHost::default(), KeyStore::default(), config(None));
        host.answer(200, &FakeHost::key_set(&["k1"]));
        for _ in 0..5 {
            assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        }
        advance(&host, FRESH_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.sent.borrow().len(), 1);
        assert_eq!(host.sent.borrow()[0].url, "https://abc.supabase.co/auth/v1/.well-known/jwks.json");
        advance(&host, 1);
        host.answer(200, &FakeHost::key_set(&["k2"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "unknown_key", "a revoked key ends with its freshness");
        assert_eq!(host.sent.borrow().len(), 2, "a set just fetched is not fetched again for an unknown key");
    }

    #[test]
    fn an_unknown_key_refetches_once_and_then_not_for_a_while() {
        let (host, keys, config) = (FakeHost::default(), KeyStore::default(), config(None));
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        host.answer(200, &FakeHost::key_set(&["k1", "k2"]));
        assert_eq!(find(&keys, &host, &config, "k2"), "ok", "a rotated key works at once");
        for _ in 0..5 {
            assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
        }
        assert_eq!(host.sent.borrow().len(), 2);
        advance(&host, COOLDOWN_MS);
        host.answer(200, &FakeHost::key_set(&["k1", "k2"]));
        assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
        assert_eq!(host.sent.borrow().len(), 3);
    }

    #[test]
    fn an_issuer_that_is_down_locks_nobody_out_for_an_hour() {
        let (host, keys, config) = (FakeHost::default(), KeyStore::default(), config(None));
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        advance(&host, FRESH_MS + 1);
        host.answer(500, "");
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.sent.borrow().len(), 2, "the failing issuer is not asked at every request");
        advance(&host, STALE_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "keys_unavailable");
    }

    #[test]
    fn whoever_goes_away_while_fetching_is_waited_for_no_longer_than_that() {
        let (host, keys, config) = (FakeHost::default(), KeyStore::default(), config(None));
        host.answer(200, &FakeHost::key_set(&["k1"]));
        // All that is left of somebody whose caller went away.
        keys.fetching_until_ms.set(host.now_ms.get() + PATIENCE_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.slept.borrow().iter().map(|slept| u64::from(*slept)).sum::<u64>(), PATIENCE_MS);
        assert_eq!(host.sent.borrow().len(), 1);
        // A set that is there and only old is used meanwhile.
        advance(&host, FRESH_MS + 1);
        keys.fetching_until_ms.set(host.now_ms.get() + PATIENCE_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.sent.borrow().len(), 1);
    }

    #[test]
    fn without_any_key_set_the_edge_is_unavailable_not_the_token_wrong() {
        for (status, body) in [(500, ""), (200, "<html>"), (200, r#"{"message":"ok"}"#), (404, r#"{"keys":[]}"#)] {
            let (host, keys) = (FakeHost::default(), KeyStore::default());
            host.answer(status, body);
            assert_eq!(find(&keys, &host, &config(None), "k1"), "keys_unavailable", "{status} {body}");
            host.answer(200, &FakeHost::key_set(&["k1"]));
            assert_eq!(find(&keys, &host, &config(None), "k1"), "ok", "the next request asks again");
        }
    }

    #[test]
    fn a_configured_set_does_not_age_and_is_fetched_only_for_a_key_it_lacks() {
        let (host, keys, config) =
            (FakeHost::default(), KeyStore::default(), config(Some(&FakeHost::key_set(&["k1"]))));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        advance(&host, 2 * STALE_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert!(host.sent.borrow().is_empty());
        // The key was rotated since the configuration was written.
        host.answer(200, &FakeHost::key_set(&["k2"]));
        assert_eq!(find(&keys, &host, &config, "k2"), "ok");
        for _ in 0..5 {
            assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
        }
        assert_eq!(host.sent.borrow().len(), 1, "then not again for a while");
        assert_eq!(find(&keys, &host, &config, "k1"), "ok", "what is configured stays");
        // What was fetched ages as usual.
        advance(&host, FRESH_MS + 1);
        host.answer(200, &FakeHost::key_set(&["k3"]));
        assert_eq!(find(&keys, &host, &config, "k2"), "unknown_key");
    }

    #[test]
    fn a_made_up_key_id_takes_no_configured_key_away() {
        for published in [FakeHost::key_set(&[]), FakeHost::key_set(&["other"]), "{}".to_owned()] {
            let (host, keys) = (FakeHost::default(), KeyStore::default());
            let config = config(Some(&FakeHost::key_set(&["k1"])));
            host.answer(200, &published);
            assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "{published}");
            advance(&host, 2 * STALE_MS);
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "{published}, and the issuer is down since");
        }
    }

    #[test]
    fn a_configured_set_outlives_an_issuer_that_is_down() {
        let (host, keys, config) =
            (FakeHost::default(), KeyStore::default(), config(Some(&FakeHost::key_set(&["k1"]))));
        assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
        advance(&host, 2 * STALE_MS);
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
    }

    #[test]
    fn a_token_without_key_id_means_the_only_key() {
        let token = FakeHost::token("k1", "{}").replacen(
            &URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#),
            &URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#),
            1,
        );
        let token = SignedToken::parse(&token).unwrap();
        for (set, found) in [(FakeHost::key_set(&["k1"]), true), (FakeHost::key_set(&["k1", "k2"]), false)] {
            let keys = KeyStore::default();
            assert_eq!(run(keys.find(&FakeHost::default(), &config(Some(&set)), &token)).unwrap().is_ok(), found);
        }
    }

    #[test]
    fn hs256_is_for_the_configured_secret_alone() {
        let token = |alg: &str| {
            let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"k1"}}"#);
            [header.as_str(), "{}", "x"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
        };
        let found = |alg: &str, config: &Config| {
            let text = token(alg);
            let found =
                run(KeyStore::default().find(&FakeHost::default(), config, &SignedToken::parse(&text).unwrap()));
            found.unwrap().map(|(algorithm, _)| algorithm.name()).map_err(|problem| problem.code.name)
        };
        let set = FakeHost::key_set(&["k1"]);
        let secret = "a-shared-secret-of-32-characters";
        assert_eq!(found("HS256", &config(Some(&set))), Err("unsupported_algorithm"));
        assert_eq!(found("HS256", &config_with(Some(&set), Some(secret))), Ok("HS256"));
        assert_eq!(found("ES256", &config_with(Some(&set), Some(secret))), Ok("ES256"));
        assert_eq!(found("none", &config_with(Some(&set), Some(secret))), Err("unsupported_algorithm"));
    }

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

    proptest! {
        #[test]
        fn no_key_set_makes_the_reader_panic_and_none_changes_what_a_key_is_for(
            text in any::<String>(), name in "kty|crv|alg|use|d|key_ops", value in "\"(RSA|HS256|enc|none|x)\"|\\[\"sign\"\\]|7"
        ) {
            let (host, config) = (FakeHost::default(), config(None));
            for set in [text, format!(r#"{{"keys":[{{"{name}":{value},"kty":"EC","crv":"P-256","kid":"k1","x":"k1"}}]}}"#)] {
                let keys = KeyStore::default();
                host.answer(200, &set);
                let found = find(&keys, &host, &config, "k1");
                // The first of two members of one name counts, so each of these takes the key away.
                prop_assert!(found != "ok", "{} {}", name, value);
                host.responses.borrow_mut().clear();
            }
        }
    }
}
