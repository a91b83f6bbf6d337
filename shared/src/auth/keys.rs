//! The issuer's public keys: when its key set is fetched, how long it is used, and which key a token means.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key_set::{KeySet, PublicKey};
use super::single_flight::{PATIENCE_MS, SingleFlight};
use crate::answer::{Problem, code};
use crate::auth::token::SignedToken;
use crate::config::{Config, Variables};
use crate::host::{Algorithm, Host, Key, Outbound};

/// Longest key set read, in bytes: those of Supabase's issuer have a few keys.
const SET_MAX_BYTES: u32 = 256 * 1024;
/// A fetched set older than this is fetched anew in the background, in milliseconds.
const YOUNG_MS: u64 = 5 * 60 * 1000;
/// A fetched set is fresh this long, in milliseconds. After that a caller has it fetched anew first.
const FRESH_MS: u64 = 10 * 60 * 1000;
/// A set that cannot be refetched is used this long all the same: an issuer that is down must not lock users out.
const STALE_MS: u64 = 60 * 60 * 1000;
/// How long a caller whose key is known waits for a fresh set, in milliseconds.
const REFRESH_MS: u32 = 1000;
/// After a refetch that an unknown `kid` caused, or one that failed, not again for this long: made-up key ids must
/// not become a flood of requests.
const COOLDOWN_MS: u64 = 30 * 1000;

/// The keys an isolate knows.
#[derive(Debug)]
pub(crate) struct KeyStore {
    /// The legacy shared secret (`SUPABASE_JWT_SECRET`).
    secret: Option<Rc<PublicKey>>,
    /// Those of `SUPABASE_JWKS`, which do not age. A token whose key is not among them makes the store fetch the issuer's
    /// set as well, because a configuration may be older than a rotation; no token takes one of them away.
    configured: KeySet,
    fetched: RefCell<KeySet>,
    /// When the set was last fetched; `None` before the first time.
    fetched_ms: Cell<Option<u64>>,
    /// No refetch for an unknown key, nor after a failure, before this time.
    cooldown_until_ms: Cell<u64>,
    /// Whether the last fetch failed: then no caller whose key is known waits for the next.
    is_failing: Cell<bool>,
    /// Whether the set should be fetched anew in the background.
    is_refresh_due: Cell<bool>,
    flight: SingleFlight,
}

/// A key of the store, or why it is not the token's, and when its set was fetched: `None` for one that does not age.
type Known = (Result<Rc<PublicKey>, Problem>, Option<u64>);

/// The key of a token.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Key,
    /// When the set was fetched that has the key. `None` of one that does not age.
    pub(crate) epoch: Option<u64>,
}

impl KeyStore {
    /// Reads the keys of the configuration. A `SUPABASE_JWKS` that is no key set is noted as wrong, and so is one with keys
    /// of which none verifies tokens. One without keys counts as not set: a platform's copy may be older than the
    /// project's first key. So does one without a usable key where there is a shared secret.
    pub(crate) fn new(config: &Config, variables: &mut Variables) -> Self {
        let secret = config.jwt_secret.as_ref().map(|secret| {
            let jwk = format!("{{\"kty\":\"oct\",\"k\":\"{}\"}}", URL_SAFE_NO_PAD.encode(secret));
            Rc::new(PublicKey::new(None, Algorithm::Hs256, jwk))
        });
        let configured = match config.jwks.as_deref().map(configured) {
            Some(Some(set)) if secret.is_some() || !set.is_useless() => set,
            None => KeySet::default(),
            Some(_) => {
                variables.fault("SUPABASE_JWKS");
                KeySet::default()
            }
        };
        Self {
            secret,
            configured,
            fetched: RefCell::default(),
            fetched_ms: Cell::new(None),
            cooldown_until_ms: Cell::new(0),
            is_failing: Cell::new(false),
            is_refresh_due: Cell::new(false),
            flight: SingleFlight::default(),
        }
    }

    /// When the fetched set was fetched; `None` when it is no longer fresh, or was never there.
    pub(crate) fn epoch(&self, now_ms: u64) -> Option<u64> {
        self.fetched_ms.get().filter(|_| !self.is_older(FRESH_MS, now_ms))
    }

    /// The key a token names, with the algorithm that key is for.
    pub(crate) async fn find(
        &self,
        host: &dyn Host,
        config: &Config,
        token: &SignedToken<'_>,
    ) -> Result<Found, Problem> {
        let (found, epoch) = match (&self.secret, token.algorithm.as_str()) {
            // A token that says HS256 is never verified with any other key than the shared secret.
            (Some(secret), "HS256") => (Rc::clone(secret), None),
            _ => self.of_set(host, config, token).await?,
        };
        // One the host cannot use is as good as none.
        let key = found.import(host).await.ok_or_else(unknown)?;
        Ok(Found { algorithm: found.algorithm, key, epoch })
    }

    /// How many keys it has, fetched and configured ones.
    #[cfg(feature = "fake")]
    pub(crate) fn len(&self) -> usize {
        self.fetched.borrow().len() + self.configured.len()
    }

    /// The key of a set that a token names, the issuer's set fetched or refetched should it be time to.
    async fn of_set(
        &self,
        host: &dyn Host,
        config: &Config,
        token: &SignedToken<'_>,
    ) -> Result<(Rc<PublicKey>, Option<u64>), Problem> {
        // What somebody else is fetching is for everybody: a key that was rotated must not look wrong meanwhile.
        let is_told = self.flight.join(host, |now| self.known(token, now).is_none()).await;
        let now = host.now_ms();
        let known = self.known(token, now);
        let may_fetch = !is_told && !self.flight.is_taken(now);
        // For longer than the pause only a clock says that was set back.
        let is_cooling = (1..=COOLDOWN_MS).contains(&self.cooldown_until_ms.get().saturating_sub(now));
        if known.is_none() && may_fetch && (!is_cooling || !self.has_set(now)) {
            self.fetch(host, config, u32::try_from(config.timeout_ms).unwrap_or(u32::MAX)).await;
        } else if matches!(known, Some((_, Some(_)))) && may_fetch && !is_cooling && self.is_older(YOUNG_MS, now) {
            // Whose key is known does not wait for an issuer that does not answer.
            if self.is_older(FRESH_MS, now) && !self.is_failing.get() {
                self.fetch(host, config, REFRESH_MS).await;
            } else {
                self.is_refresh_due.set(true);
            }
        }
        if !self.has_set(now) {
            return Err(Problem::new(
                &code::KEYS_UNAVAILABLE,
                "The issuer's key set could not be fetched, so no token can be checked. Try again shortly.",
            ));
        }
        match self.known(token, now) {
            Some((found, epoch)) => found.map(|found| (found, epoch)),
            None => Err(unknown()),
        }
    }

    /// Whether the set should be fetched anew while nobody waits for it.
    pub(crate) fn is_refresh_due(&self) -> bool {
        self.is_refresh_due.get()
    }

    /// Fetches the set anew, if that is due and nobody else does.
    pub(crate) async fn refresh(&self, host: &dyn Host, config: &Config) {
        if self.is_refresh_due.take() && !self.flight.is_taken(host.now_ms()) {
            self.fetch(host, config, PATIENCE_MS as u32).await;
        }
    }

    /// Whether the set was fetched longer ago than this, in milliseconds, or never.
    fn is_older(&self, than_ms: u64, now: u64) -> bool {
        self.fetched_ms.get().is_none_or(|fetched| now.saturating_sub(fetched) > than_ms)
    }

    /// Whether there is a set to look keys up in.
    fn has_set(&self, now: u64) -> bool {
        !self.configured.is_empty() || !self.is_older(STALE_MS, now)
    }

    /// Looks a token's key up in the fetched set, unless that is too old, and then among the configured keys. With it comes
    /// when its set was fetched.
    fn known(&self, token: &SignedToken<'_>, now: u64) -> Option<Known> {
        let fetched = self.fetched_ms.get().filter(|_| !self.is_older(STALE_MS, now));
        let of_fetched = fetched.and_then(|epoch| Some((self.fetched.borrow().find(token)?, Some(epoch))));
        of_fetched.or_else(|| Some((self.configured.find(token)?, None)))
    }

    /// Fetches the issuer's key set. On failure the old one stays.
    async fn fetch(&self, host: &dyn Host, config: &Config, timeout_ms: u32) {
        let was_old = self.is_older(FRESH_MS, host.now_ms());
        let url = format!("{}/auth/v1/.well-known/jwks.json", config.supabase_url);
        let headers = [("apikey", config.publishable_key.as_str())];
        let buffer = SET_MAX_BYTES;
        let request = Outbound { method: "GET", url: &url, headers: &headers, body: None, timeout_ms, buffer };
        let replacing = async {
            let response = host.fetch(request).await.ok().filter(|response| response.status == 200)?;
            let set = KeySet::parse(std::str::from_utf8(&response.body.into_bytes().ok()?).ok()?)?;
            self.fetched.replace(set);
            self.fetched_ms.set(Some(host.now_ms()));
            Some(())
        };
        let is_replaced = self.flight.lead(host, replacing).await.is_some();
        self.is_failing.set(!is_replaced);
        // Only now: somebody who asks and goes away must not keep a new key from everybody.
        let is_routine = is_replaced && was_old && self.configured.is_empty();
        if !is_routine {
            self.cooldown_until_ms.set(host.now_ms() + COOLDOWN_MS);
        }
    }
}

/// The configured key set: a JSON Web Key Set, or the bare array of keys some of the platform's versions hand over.
fn configured(text: &str) -> Option<KeySet> {
    if text.starts_with('[') { KeySet::parse(&format!("{{\"keys\":{text}}}")) } else { KeySet::parse(text) }
}

fn unknown() -> Problem {
    Problem::new(
        &code::UNKNOWN_KEY,
        "The token's kid is not in this project's key set: it is from another project, or its key was revoked.",
    )
}

#[cfg(test)]
mod tests {
    use super::{COOLDOWN_MS, FRESH_MS, Found, KeyStore, PATIENCE_MS, REFRESH_MS, STALE_MS, YOUNG_MS};
    use crate::auth::token::SignedToken;
    use crate::config::{Config, Variables};
    use crate::host::FetchError;
    use crate::host::fake::{FakeHost, run};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert, proptest};
    use std::pin::pin;
    use std::task::{Context, Waker};

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

    /// The keys of a configuration without faults.
    fn store(config: &Config) -> KeyStore {
        let (keys, faulty) = read(config);
        assert_eq!(faulty, [""; 0]);
        keys
    }

    /// The keys of a configuration, and the names of variables that are wrong.
    fn read(config: &Config) -> (KeyStore, Vec<&'static str>) {
        let mut variables = Variables::new(&|_| None);
        let keys = KeyStore::new(config, &mut variables);
        (keys, variables.faulty().to_vec())
    }

    fn find(keys: &KeyStore, host: &FakeHost, config: &Config, key_id: &str) -> &'static str {
        let token = FakeHost::token(key_id, "{}");
        match run(keys.find(host, config, &SignedToken::parse(&token).unwrap())).unwrap() {
            Ok(Found { key, .. }) => {
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
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
        keys.flight.abandon(host.now_ms.get() + 3_600_000);
        keys.cooldown_until_ms.set(host.now_ms.get() + 3_600_000);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!((find(&keys, &host, &config, "k1"), host.slept.borrow().len()), ("ok", 0));
        keys.cooldown_until_ms.set(host.now_ms.get() + 3_600_000);
        host.answer(200, &FakeHost::key_set(&["k2"]));
        assert_eq!(find(&keys, &host, &config, "k2"), "ok");
    }

    #[test]
    fn a_set_is_fetched_once_and_kept_while_fresh() {
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
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
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
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
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
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
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        // All that is left of somebody whose caller went away.
        keys.flight.abandon(host.now_ms.get());
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.slept.borrow().iter().map(|slept| u64::from(*slept)).sum::<u64>(), PATIENCE_MS);
        assert_eq!(host.sent.borrow().len(), 1);
        // A set that is there and only old is used meanwhile.
        advance(&host, FRESH_MS + 1);
        keys.flight.abandon(host.now_ms.get());
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!(host.sent.borrow().len(), 1);
    }

    #[test]
    fn without_any_key_set_the_edge_is_unavailable_not_the_token_wrong() {
        for (status, body) in [(500, ""), (200, "<html>"), (200, r#"{"message":"ok"}"#), (404, r#"{"keys":[]}"#)] {
            let (host, config) = (FakeHost::default(), config(None));
            let keys = store(&config);
            host.answer(status, body);
            assert_eq!(find(&keys, &host, &config, "k1"), "keys_unavailable", "{status} {body}");
            host.answer(200, &FakeHost::key_set(&["k1"]));
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "the next request asks again");
        }
    }

    #[test]
    fn a_configured_set_does_not_age_and_is_fetched_only_for_a_key_it_lacks() {
        let (host, config) = (FakeHost::default(), config(Some(&FakeHost::key_set(&["k1"]))));
        let keys = store(&config);
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
            let (host, config) = (FakeHost::default(), config(Some(&FakeHost::key_set(&["k1"]))));
            let keys = store(&config);
            host.answer(200, &published);
            assert_eq!(find(&keys, &host, &config, "made-up"), "unknown_key");
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "{published}");
            advance(&host, 2 * STALE_MS);
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "{published}, and the issuer is down since");
        }
    }

    #[test]
    fn a_configured_set_outlives_an_issuer_that_is_down() {
        let (host, config) = (FakeHost::default(), config(Some(&FakeHost::key_set(&["k1"]))));
        let keys = store(&config);
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
            let (config, host) = (config(Some(&set)), FakeHost::default());
            assert_eq!(run(store(&config).find(&host, &config, &token)).unwrap().is_ok(), found);
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
            let found = run(store(config).find(&FakeHost::default(), config, &SignedToken::parse(&text).unwrap()));
            found.unwrap().map(|found| found.algorithm.name()).map_err(|problem| problem.code.name)
        };
        let set = FakeHost::key_set(&["k1"]);
        let secret = "a-shared-secret-of-32-characters";
        assert_eq!(found("HS256", &config(Some(&set))), Err("unsupported_algorithm"));
        assert_eq!(found("HS256", &config_with(Some(&set), Some(secret))), Ok("HS256"));
        assert_eq!(found("ES256", &config_with(Some(&set), Some(secret))), Ok("ES256"));
        assert_eq!(found("none", &config_with(Some(&set), Some(secret))), Err("unsupported_algorithm"));
    }

    #[test]
    fn a_configured_set_without_a_usable_key_is_a_fault_of_the_configuration() {
        let unusable = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
        for wrong in ["{}", "[", "x", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, unusable, "[{}]"] {
            assert_eq!(read(&config(Some(wrong))).1, ["SUPABASE_JWKS"], "{wrong}");
        }
        // What a platform hands over of a project that has nothing but a shared secret.
        let secret = "a-shared-secret-of-32-characters";
        assert!(read(&config_with(Some(unusable), Some(secret))).1.is_empty());
        for good in [FakeHost::key_set(&["k1"]), r#"[{"kty":"EC","crv":"P-256"}]"#.to_owned()] {
            assert!(!store(&config(Some(&good))).configured.is_empty(), "{good}");
        }
    }

    #[test]
    fn a_configured_set_without_keys_is_as_good_as_none() {
        let (host, config) = (FakeHost::default(), config(Some(r#"{"keys":[]}"#)));
        let keys = store(&config);
        assert_eq!(find(&keys, &host, &config, "k1"), "keys_unavailable");
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
    }

    #[test]
    fn the_host_imports_a_key_once() {
        let (host, config) = (FakeHost::default(), config(Some(&FakeHost::key_set(&["k1"]))));
        let keys = store(&config);
        for _ in 0..3 {
            assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        }
        assert_eq!(host.imported.get(), 1);
    }

    #[test]
    fn a_set_that_is_no_longer_young_is_fetched_anew_while_nobody_waits() {
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        advance(&host, YOUNG_MS);
        assert_eq!((find(&keys, &host, &config, "k1"), keys.is_refresh_due()), ("ok", false));
        advance(&host, 1);
        assert_eq!((find(&keys, &host, &config, "k1"), keys.is_refresh_due()), ("ok", true));
        assert_eq!(host.sent.borrow().len(), 1);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        run(keys.refresh(&host, &config)).unwrap();
        assert_eq!((host.sent.borrow().len(), keys.is_refresh_due()), (2, false));
        advance(&host, FRESH_MS);
        assert_eq!((find(&keys, &host, &config, "k1"), host.sent.borrow().len()), ("ok", 2), "and is young again");
    }

    #[test]
    fn an_issuer_that_hangs_delays_one_caller_whose_key_is_known_by_a_second_and_then_none() {
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        advance(&host, FRESH_MS + 1);
        host.responses.borrow_mut().push_back(Err(FetchError::Timeout));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        assert_eq!((host.sent.borrow().len(), host.sent.borrow()[1].timeout_ms), (2, REFRESH_MS));
        for _ in 0..20 {
            advance(&host, COOLDOWN_MS);
            assert_eq!((find(&keys, &host, &config, "k1"), host.sent.borrow().len()), ("ok", 2));
            assert!(keys.is_refresh_due(), "it is asked again where nobody waits");
        }
        host.answer(200, &FakeHost::key_set(&["k2"]));
        run(keys.refresh(&host, &config)).unwrap();
        assert_eq!(find(&keys, &host, &config, "k2"), "ok", "until it is there again");
    }

    #[test]
    fn whoever_looks_for_an_unknown_key_keeps_nobody_waiting_whose_key_is_known() {
        let (host, config) = (FakeHost::default(), config(None));
        let keys = store(&config);
        host.answer(200, &FakeHost::key_set(&["k1"]));
        assert_eq!(find(&keys, &host, &config, "k1"), "ok");
        for age in [0, YOUNG_MS, FRESH_MS] {
            advance(&host, age);
            host.hangs.set(true);
            let token = FakeHost::token("made-up", "{}");
            let token = SignedToken::parse(&token).unwrap();
            let mut unknown = pin!(keys.find(&host, &config, &token));
            assert!(unknown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it is fetching");
            assert_eq!(find(&keys, &host, &config, "k1"), "ok", "{age}");
            assert!(host.slept.borrow().is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_key_set_makes_the_reader_panic_and_none_changes_what_a_key_is_for(
            text in any::<String>(), name in "kty|crv|alg|use|d|key_ops", value in "\"(RSA|HS256|enc|none|x)\"|\\[\"sign\"\\]|7"
        ) {
            let (host, config) = (FakeHost::default(), config(None));
            for set in [text, format!(r#"{{"keys":[{{"{name}":{value},"kty":"EC","crv":"P-256","kid":"k1","x":"k1"}}]}}"#)] {
                let keys = store(&config);
                host.answer(200, &set);
                let found = find(&keys, &host, &config, "k1");
                // Each of these takes the key away: it stands twice, or says that the key is for something else.
                prop_assert!(found != "ok", "{} {}", name, value);
                host.responses.borrow_mut().clear();
            }
        }
    }
}
