//! Which keys are trusted, and for how long: rotation, revocation, outages, other algorithms.
//!
//! Each scenario runs a function of its own against an issuer whose key set the test decides. That the edge accepts a
//! token shows in the request it makes upstream; the stack's real PostgREST then knows only the stack's own key.

use std::time::Duration;

use conformance::assertions::assert_problem;
use conformance::client::{Answer, call};
use conformance::forgery::Forge;
use conformance::isolated::Isolated;
use conformance::key_server::{Counts, KeyServer};
use conformance::person::{Person, message};
use conformance::stack::{Stack, repository};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

const SECRET: &str = "a-shared-secret-of-a-legacy-project";

struct Scene {
    function: Isolated,
    issuer: KeyServer,
    person: Person,
}

impl Scene {
    /// A function that trusts these keys, with more variables where the test needs some.
    async fn new(person: Person, keys: &[Value], variables: &[(&str, &str)]) -> Self {
        let issuer = KeyServer::publishing(&person.stack, keys).await;
        let stack_issuer = format!("{}/auth/v1", person.stack.api_url);
        let mut all = vec![("SUPABASE_URL", issuer.url.as_str()), ("SUPABASE_JWT_ISSUER", &stack_issuer)];
        all.extend(variables);
        Self { function: Isolated::start(&person.stack, "chat-message", &all).await, issuer, person }
    }

    async fn save(&self, token: &str) -> Answer {
        call("POST", &self.function.url)
            .header("authorization", format!("Bearer {token}"))
            .json(&message(Uuid::new_v4(), "hello"))
            .send()
            .await
    }

    /// The edge lets the token through, and PostgREST, which does not know its key, refuses it.
    async fn reaches_the_database(&self, token: &str) {
        let before = self.issuer.counts().forwarded;
        assert_problem(&self.save(token).await, 401, "token_rejected");
        assert_eq!(self.issuer.counts().forwarded, before + 1);
    }

    /// The edge refuses the token itself.
    async fn is_refused(&self, token: &str, status: u16, code: &str) {
        let before = self.issuer.counts().forwarded;
        assert_problem(&self.save(token).await, status, code);
        assert_eq!(self.issuer.counts().forwarded, before, "a refused token never causes a request upstream");
    }
}

/// A new key of another algorithm, and a token signed with it: `{jwk, token}`.
async fn signed(algorithm: &str, claims: &Value, secret: &str) -> Value {
    let script = repository().join("tests/clients/sign.mjs");
    let arguments = [algorithm, "other-key", &claims.to_string(), secret];
    let output = Command::new("node").arg(script).args(arguments).output().await.expect("node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn keys_rotate_and_are_revoked_without_a_restart() {
    let person = Person::new(&Stack::running()).await;
    let old = Forge::new(&person);
    let new = Forge::new(&person).with_foreign_key();
    let (old_jwk, new_jwk) = (old.key().public_jwk(), new.key().public_jwk());
    let scene = Scene::new(person, std::slice::from_ref(&old_jwk), &[]).await;
    assert_eq!(scene.save(&old.good()).await.status, 201);
    scene.is_refused(&Forge::new(&scene.person).with_foreign_key().good(), 401, "unknown_key").await;
    let cooldown = tokio::time::sleep(Duration::from_secs(31));

    // The unknown key has just been looked for, so the new one is not found before the cooldown is over.
    scene.issuer.publish(&[old_jwk, new_jwk.clone()]);
    scene.is_refused(&new.good(), 401, "unknown_key").await;
    assert_eq!(scene.issuer.counts().key_sets, 2);
    cooldown.await;
    scene.reaches_the_database(&new.good()).await;
    assert_eq!(scene.save(&old.good()).await.status, 201, "old and new side by side");

    scene.issuer.publish(&[new_jwk]);
    tokio::time::sleep(Duration::from_secs(31)).await;
    scene.is_refused(&Forge::new(&scene.person).with_foreign_key().good(), 401, "unknown_key").await;
    scene.is_refused(&old.good(), 401, "unknown_key").await;
    scene.reaches_the_database(&new.good()).await;
}

#[tokio::test]
async fn a_rotated_key_works_at_once() {
    let person = Person::new(&Stack::running()).await;
    let (old, new) = (Forge::new(&person), Forge::new(&person).with_foreign_key());
    let scene = Scene::new(person, &[old.key().public_jwk()], &[]).await;
    assert_eq!(scene.save(&old.good()).await.status, 201);
    scene.issuer.publish(&[old.key().public_jwk(), new.key().public_jwk()]);
    scene.reaches_the_database(&new.good()).await;
    assert_eq!(scene.issuer.counts(), Counts { key_sets: 2, forwarded: 2 });
}

#[tokio::test]
async fn of_many_callers_at_once_one_fetches_the_key_set_and_all_are_let_in() {
    let person = Person::new(&Stack::running()).await;
    let (old, new) = (Forge::new(&person), Forge::new(&person).with_foreign_key());
    let (old_jwk, new_jwk) = (old.key().public_jwk(), new.key().public_jwk());
    let scene = Scene::new(person, std::slice::from_ref(&old_jwk), &[]).await;
    let first = join_all((0..20).map(|_| async { scene.save(&old.good()).await })).await;
    assert!(first.iter().all(|answer| answer.status == 201), "{}", first[0].text());
    assert_eq!(scene.issuer.counts().key_sets, 1);

    scene.issuer.publish(&[old_jwk, new_jwk]);
    for answer in join_all((0..20).map(|_| async { scene.save(&new.good()).await })).await {
        // As far as PostgREST, which does not know the key.
        assert_problem(&answer, 401, "token_rejected");
    }
    assert_eq!(scene.issuer.counts().key_sets, 2);
}

#[tokio::test]
async fn without_a_key_set_nobody_waits_for_more_than_one_attempt_of_another() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let scene = Scene::new(person, &[], &[]).await;
    scene.issuer.answer(500, "");
    for answer in join_all((0..20).map(|_| async { scene.save(&forge.good()).await })).await {
        assert_problem(&answer, 503, "keys_unavailable");
    }
    // All but those that came after the first attempt had failed.
    assert!(scene.issuer.counts().key_sets <= 3, "{:?}", scene.issuer.counts());
}

/// Nobody waits for another for more than two seconds, and then one more asks, not all.
#[tokio::test]
async fn a_slow_issuer_is_not_asked_by_everybody_at_once() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let scene = Scene::new(person, &[forge.key().public_jwk()], &[]).await;
    scene.issuer.slow_down(Duration::from_secs(3));
    let answers = join_all((0..20).map(|_| async { scene.save(&forge.good()).await })).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{}", answers[0].text());
    assert!(scene.issuer.counts().key_sets <= 2, "{:?}", scene.issuer.counts());
}

#[tokio::test]
async fn made_up_key_ids_are_no_flood_of_requests() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let scene = Scene::new(person, &[forge.key().public_jwk()], &[]).await;
    for _ in 0..30 {
        scene.is_refused(&forge.header_with(json!({ "kid": Uuid::new_v4() })), 401, "unknown_key").await;
    }
    assert!(scene.issuer.counts().key_sets <= 2, "{:?}", scene.issuer.counts());
}

#[tokio::test]
async fn an_issuer_that_is_down_is_a_503_and_not_the_tokens_fault() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let jwk = forge.key().public_jwk();
    let scene = Scene::new(person, &[], &[]).await;
    for (status, body) in [(500, ""), (404, "{}"), (200, "<html>"), (200, "[]"), (200, r#"{"keys":{}}"#)] {
        scene.issuer.answer(status, body);
        let answer = scene.save(&forge.good()).await;
        assert_problem(&answer, 503, "keys_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(scene.issuer.counts().forwarded, 0);
    scene.issuer.publish(std::slice::from_ref(&jwk));
    assert_eq!(scene.save(&forge.good()).await.status, 201);
    // And once there is a set, the issuer may go away.
    scene.issuer.answer(500, "");
    assert_eq!(scene.save(&forge.claims_with(json!({ "jti": Uuid::new_v4() }))).await.status, 201);
}

#[tokio::test]
async fn rs256_and_eddsa_keys_are_accepted_for_what_they_sign() {
    let person = Person::new(&Stack::running()).await;
    let claims = Forge::new(&person).claims();
    for algorithm in ["RS256", "EdDSA"] {
        let made = signed(algorithm, &claims, "").await;
        let token = made["token"].as_str().unwrap();
        let scene = Scene::new(person.clone(), std::slice::from_ref(&made["jwk"]), &[]).await;
        scene.reaches_the_database(token).await;
        // The same signature under other claims.
        let (_, signature) = token.rsplit_once('.').unwrap();
        let other = signed(algorithm, &json!({ "role": "service_role" }), "").await;
        let (signed, _) = other["token"].as_str().unwrap().rsplit_once('.').unwrap();
        scene.is_refused(&format!("{signed}.{signature}"), 401, "bad_signature").await;
        scene
            .is_refused(&Forge::new(&person).header_with(json!({ "kid": "other-key" })), 401, "unsupported_algorithm")
            .await;
    }
}

#[tokio::test]
async fn hs256_needs_the_explicit_secret_and_is_never_verified_with_a_public_key() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let claims = forge.claims();
    let legacy = signed("HS256", &claims, SECRET).await;
    let legacy = legacy["token"].as_str().unwrap();
    let public = forge.key().public_jwk();
    let confused = signed("HS256", &claims, &public.to_string()).await;
    let empty = signed("HS256", &claims, "").await;

    let scene = Scene::new(person.clone(), std::slice::from_ref(&public), &[("SUPABASE_JWT_SECRET", SECRET)]).await;
    scene.reaches_the_database(legacy).await;
    assert_eq!(scene.issuer.counts().key_sets, 0, "a shared secret needs no key set");
    scene.is_refused(confused["token"].as_str().unwrap(), 401, "bad_signature").await;
    scene.is_refused(empty["token"].as_str().unwrap(), 401, "bad_signature").await;
    assert_eq!(scene.save(&forge.good()).await.status, 201, "and the published key goes on working");

    let without = Scene::new(person, std::slice::from_ref(&public), &[]).await;
    without.is_refused(legacy, 401, "unknown_key").await;
}

#[tokio::test]
async fn keys_that_are_not_for_verifying_are_never_used() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let with = |members: Value| {
        let mut jwk = forge.key().public_jwk();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    };
    let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": forge.key().kid(), "alg": "HS256" });
    for jwk in [
        with(json!({ "use": "enc" })),
        with(json!({ "key_ops": ["encrypt"] })),
        with(json!({ "alg": "ES384" })),
        with(json!({ "crv": "P-384" })),
        secret,
    ] {
        let scene = Scene::new(person.clone(), std::slice::from_ref(&jwk), &[]).await;
        scene.is_refused(&forge.good(), 401, "unknown_key").await;
    }
}

#[tokio::test]
async fn a_configured_key_set_is_fetched_only_for_a_key_it_lacks() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    // As an object, and as the bare array some versions of the platform hand over.
    for set in [json!({ "keys": [forge.key().public_jwk()] }), json!([forge.key().public_jwk()])] {
        let scene = Scene::new(person.clone(), &[], &[("SUPABASE_JWKS", &set.to_string())]).await;
        assert_eq!(scene.save(&forge.good()).await.status, 201);
        assert_eq!(scene.issuer.counts().key_sets, 0);
        // The project's key was rotated since the configuration was written.
        let rotated = Forge::new(&person).with_foreign_key();
        scene.issuer.publish(&[rotated.key().public_jwk()]);
        scene.reaches_the_database(&rotated.good()).await;
        scene.is_refused(&Forge::new(&person).with_foreign_key().good(), 401, "unknown_key").await;
        assert_eq!(scene.issuer.counts().key_sets, 1);
    }
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_it_has_expired() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    let scene = Scene::new(person, &[forge.key().public_jwk()], &[]).await;
    let short = forge.claims_with(json!({ "exp": devstack::keys::now() + 3 }));
    assert_eq!(scene.save(&short).await.status, 201);
    assert_eq!(scene.save(&short).await.status, 201);
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.is_refused(&short, 401, "token_expired").await;
}

#[tokio::test]
async fn a_wrong_configuration_is_named_and_its_values_are_not() {
    let stack = Stack::running();
    let wrong =
        [("SUPABASE_JWT_SECRET", "short"), ("SUPABASE_TIMEOUT", "soon"), ("SUPABASE_URL", "ftp://secret.example")];
    let function = Isolated::start(&stack, "chat-message", &wrong).await;
    let answer = call("POST", &function.url).json(&json!({})).send().await;
    let problem = assert_problem(&answer, 500, "misconfigured");
    let detail = problem["detail"].as_str().unwrap();
    for (name, value) in wrong {
        assert!(detail.contains(name) && !detail.contains(value), "{detail}");
    }
}

#[tokio::test]
async fn a_publishable_key_that_the_gateway_refuses_is_a_fault_of_the_configuration() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let wrong = [("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_of_another_project")];
    let function = Isolated::start(&stack, "chat-message", &wrong).await;
    let bearer = format!("Bearer {}", Forge::new(&person).good());
    let answer = call("GET", format!("{}/sessions", function.url)).header("authorization", bearer).send().await;
    let problem = assert_problem(&answer, 500, "misconfigured");
    assert!(problem["detail"].as_str().unwrap().contains("SUPABASE_PUBLISHABLE_KEY"), "{problem}");
}
