//! The token policy, as a table: forged, stale, mangled and misdirected tokens, each refused with its own code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use conformance::assertions::assert_problem;
use conformance::client::call;
use conformance::forgery::Forge;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use devstack::keys::now;
use serde_json::json;
use uuid::Uuid;

/// The order of the group P-256 works in: a signature's halves must lie below it.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

struct Table {
    person: Person,
    session_id: Uuid,
    tried: usize,
}

impl Table {
    async fn new() -> Self {
        Self { person: Person::new(&Stack::running()).await, session_id: Uuid::new_v4(), tried: 0 }
    }

    /// Sends a message with this Authorization header, which must be refused.
    async fn refuses(&mut self, what: &str, authorization: &str, status: u16, code: &str) {
        self.refuses_all(what, &[authorization], status, code).await;
    }

    async fn refuses_all(&mut self, what: &str, authorizations: &[&str], status: u16, code: &str) {
        let mut call = call("POST", self.person.stack.function("chat-message"));
        for authorization in authorizations {
            call = call.header("authorization", *authorization);
        }
        let answer = call.json(&message(self.session_id, "hello")).send().await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{what}: {}", answer.text());
        assert_problem(&answer, status, code);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{what}: {challenge}");
        assert_eq!(challenge.contains("error="), code != "missing_token", "{what}: {challenge}");
        self.tried += 1;
    }

    /// Nothing was written, and the same with a good token would have been.
    async fn finish(self, least: usize) {
        assert!(self.tried >= least, "{}", self.tried);
        let count = "select count(*) from public.sessions where session_id = $1";
        let database = self.person.stack.database().await;
        assert_eq!(database.query_one(count, &[&self.session_id]).await.unwrap().get::<_, i64>(0), 0);
        let honest = Person { token: Forge::new(&self.person).good(), ..self.person.clone() };
        honest.say(self.session_id, "hello").await;
    }
}

fn bearer(token: impl AsRef<str>) -> String {
    format!("Bearer {}", token.as_ref())
}

#[tokio::test]
async fn headers_that_carry_no_token_are_refused() {
    let mut table = Table::new().await;
    let good = Forge::new(&table.person).good();
    for (what, authorization, code) in [
        ("nothing", String::new(), "missing_token"),
        ("the scheme alone", "Bearer".to_owned(), "missing_token"),
        ("the scheme and spaces", "Bearer   ".to_owned(), "missing_token"),
        ("another scheme", format!("Basic {good}"), "missing_token"),
        ("no scheme", good.clone(), "missing_token"),
        ("a scheme that begins alike", format!("BearerToken {good}"), "missing_token"),
        ("the scheme twice", format!("Bearer Bearer {good}"), "malformed_token"),
        ("two tokens", format!("Bearer {good} {good}"), "malformed_token"),
        ("a comma behind it", format!("Bearer {good},"), "malformed_token"),
        ("a quoted token", format!("Bearer \"{good}\""), "malformed_token"),
        ("a secret key", bearer("sb_secret_0123456789abcdefghij"), "api_key_as_token"),
        ("a publishable key", bearer(table.person.stack.publishable_key.clone()), "api_key_as_token"),
        ("8 KiB and a byte", bearer("x".repeat(8193)), "token_too_large"),
        ("8 KiB of nothing", bearer("x".repeat(8192)), "malformed_token"),
    ] {
        table.refuses(what, &authorization, 401, code).await;
    }
    let twice = bearer(&good);
    table.refuses_all("two headers", &[&twice, &twice], 401, "malformed_token").await;
    table.finish(15).await;
}

#[tokio::test]
async fn a_bearer_in_odd_case_is_a_bearer() {
    let person = Person::new(&Stack::running()).await;
    let good = Forge::new(&person).good();
    for scheme in ["bearer", "BEARER", "BeArEr", "Bearer  "] {
        let answer = call("POST", person.stack.function("chat-message"))
            .header("authorization", format!("{scheme} {good}"))
            .json(&message(Uuid::new_v4(), "hello"))
            .send()
            .await;
        assert_eq!(answer.status, 201, "{scheme}: {}", answer.text());
    }
}

#[tokio::test]
async fn mangled_tokens_are_refused() {
    let mut table = Table::new().await;
    let forge = Forge::new(&table.person);
    let good = forge.good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("{good}") };
    let claims = forge.claims().to_string();
    let with_header = |bytes: &[u8]| forge.sign_bytes(bytes, claims.as_bytes());
    for (what, token) in [
        ("one part", "abc".to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature}")),
        ("empty parts", "..".to_owned()),
        ("parts that are no base64url", "a.b.c".to_owned()),
        ("a padded part", format!("{header}=.{payload}.{signature}")),
        ("base64 of the other alphabet", format!("{header}.{payload}.+/{}", &signature[2..])),
        ("a line break inside", format!("{header}.{payload}.\t{signature}")),
        ("bits left over", format!("{header}.{payload}.{}", &signature[..85])),
        ("a header that is no JSON", with_header(b"alg=ES256")),
        ("a header that is an array", with_header(br#"["ES256"]"#)),
        ("a header that is not UTF-8", with_header(b"{\"alg\":\"ES256\xff\"}")),
        ("alg twice", with_header(br#"{"alg":"ES256","alg":"none"}"#)),
        ("alg twice, escaped", with_header(br#"{"alg":"ES256","\u0061lg":"none"}"#)),
        ("no alg", with_header(b"{}")),
        ("an alg that is a number", with_header(br#"{"alg":256}"#)),
        ("an alg that is an array", with_header(br#"{"alg":["ES256"]}"#)),
        ("a kid that is a number", forge.header_with(json!({ "kid": 1 }))),
        ("a kid that is an object", forge.header_with(json!({ "kid": {} }))),
        ("critical parameters", forge.header_with(json!({ "crit": ["exp"], "exp": 1 }))),
        ("an unencoded payload", forge.header_with(json!({ "crit": ["b64"], "b64": false }))),
        ("an empty list of critical parameters", forge.header_with(json!({ "crit": [] }))),
        ("a payload that is not UTF-8", forge.sign_bytes(forge.header().to_string().as_bytes(), b"{\"sub\":\"\xfe\"}")),
    ] {
        table.refuses(what, &bearer(token), 401, "malformed_token").await;
    }
    table.finish(23).await;
}

#[tokio::test]
async fn the_algorithm_is_the_keys_never_the_tokens_choice() {
    let mut table = Table::new().await;
    let forge = Forge::new(&table.person);
    let unsigned = |alg: &str| {
        let token = forge.header_with(json!({ "alg": alg }));
        let (signed, _) = token.rsplit_once('.').unwrap();
        signed.to_owned()
    };
    for alg in
        ["none", "None", "NONE", "", "es256", "ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "HS256", "HS512"]
    {
        let signed_all_the_same = forge.header_with(json!({ "alg": alg }));
        table.refuses(alg, &bearer(signed_all_the_same), 401, "unsupported_algorithm").await;
        table.refuses(alg, &bearer(format!("{}.", unsigned(alg))), 401, "unsupported_algorithm").await;
    }
    // HS256 with what is public as the secret: the classic confusion of keys.
    let options = devstack::keys::token::TokenOptions {
        algorithm: devstack::keys::token::Algorithm::Hs256,
        sub: Some(table.person.user_id.to_string()),
        ..Default::default()
    };
    let confused = table.person.stack.mint(&options);
    table.refuses("HS256 with the public key", &bearer(confused), 401, "unsupported_algorithm").await;
    table.finish(27).await;
}

#[tokio::test]
async fn a_token_does_not_bring_its_own_key() {
    let mut table = Table::new().await;
    let forge = Forge::new(&table.person);
    let foreign = Forge::new(&table.person).with_foreign_key();
    let own_kid = forge.key().kid().to_owned();
    let jwk = foreign.key().public_jwk();
    table.refuses("a foreign key by its own kid", &bearer(foreign.good()), 401, "unknown_key").await;
    for kid in ["", "../../../dev/null", "' or '1'='1", "https://evil.example/key", &own_kid.to_uppercase()] {
        table.refuses(kid, &bearer(forge.header_with(json!({ "kid": kid }))), 401, "unknown_key").await;
    }
    for (what, members) in [
        ("the issuer's kid", json!({})),
        ("an embedded jwk", json!({ "jwk": jwk })),
        ("a jku", json!({ "jku": "https://evil.example/jwks.json" })),
        ("an x5u", json!({ "x5u": "https://evil.example/cert.pem" })),
        ("an x5c", json!({ "x5c": ["MIIB"] })),
    ] {
        let mut header = members;
        header["kid"] = json!(own_kid);
        table.refuses(what, &bearer(foreign.header_with(header)), 401, "bad_signature").await;
    }
    table.finish(11).await;
}

#[tokio::test]
async fn signatures_that_are_none_are_refused() {
    let mut table = Table::new().await;
    let forge = Forge::new(&table.person);
    let good = forge.good();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let raw = forge.key().signature(signed);
    let (r, s) = raw.split_at(32);
    // SEC 1 (DER) instead of JWS's two halves side by side.
    let der = [&[0x30, 70, 0x02, 33, 0][..], r, &[0x02, 33, 0], s].concat();
    let zero = [0_u8; 32];
    for (what, signature) in [
        ("empty", vec![]),
        ("one byte", vec![1]),
        ("truncated", raw[..63].to_vec()),
        ("a byte too long", [&raw[..], &[0]].concat()),
        ("twice", [&raw[..], &raw[..]].concat()),
        ("r and s zero", vec![0; 64]),
        ("r zero", [&zero, s].concat()),
        ("s zero", [r, &zero].concat()),
        ("r the order", [&P256_ORDER, s].concat()),
        ("s the order", [r, &P256_ORDER].concat()),
        ("both the order", [P256_ORDER, P256_ORDER].concat()),
        ("all ones", vec![0xff; 64]),
        ("swapped", [s, r].concat()),
        ("DER", der),
        ("of something else", forge.key().signature("something else")),
    ] {
        table.refuses(what, &bearer(forge.with_signature(&signature)), 401, "bad_signature").await;
    }
    let (_, signature) = good.rsplit_once('.').unwrap();
    let mut other = forge.claims();
    other["sub"] = json!(Uuid::new_v4());
    let tampered = format!(
        "{}.{}.{signature}",
        URL_SAFE_NO_PAD.encode(forge.header().to_string().as_bytes()),
        URL_SAFE_NO_PAD.encode(other.to_string().as_bytes())
    );
    table.refuses("another payload", &bearer(tampered), 401, "bad_signature").await;
    table.finish(16).await;
}

#[tokio::test]
async fn every_claim_is_judged() {
    let mut table = Table::new().await;
    let forge = Forge::new(&table.person);
    let issuer = forge.claims()["iss"].as_str().unwrap().to_owned();
    for (what, claims, status, code) in [
        ("expired", json!({ "exp": now() - 60 }), 401, "token_expired"),
        ("expires now", json!({ "exp": now() }), 401, "token_expired"),
        ("no exp", json!({ "exp": null }), 401, "invalid_claims"),
        ("exp a string", json!({ "exp": (now() + 3600).to_string() }), 401, "invalid_claims"),
        ("exp 1e308", json!({ "exp": 1e308 }), 401, "invalid_claims"),
        ("exp negative", json!({ "exp": -1 }), 401, "invalid_claims"),
        ("exp in the year 10000", json!({ "exp": 253_402_300_800_u64 }), 401, "invalid_claims"),
        ("exp true", json!({ "exp": true }), 401, "invalid_claims"),
        ("exp an object", json!({ "exp": { "value": now() + 3600 } }), 401, "invalid_claims"),
        ("nbf in the future", json!({ "nbf": now() + 3600 }), 401, "token_not_yet_valid"),
        ("nbf a string", json!({ "nbf": "0" }), 401, "invalid_claims"),
        ("iat in the future", json!({ "iat": now() + 3600 }), 401, "token_not_yet_valid"),
        ("no iss", json!({ "iss": null }), 401, "wrong_issuer"),
        ("another iss", json!({ "iss": "https://other.supabase.co/auth/v1" }), 401, "wrong_issuer"),
        ("iss with a slash more", json!({ "iss": format!("{issuer}/") }), 401, "wrong_issuer"),
        ("iss an array", json!({ "iss": [issuer] }), 401, "wrong_issuer"),
        ("no aud", json!({ "aud": null }), 401, "wrong_audience"),
        ("another aud", json!({ "aud": "anon" }), 401, "wrong_audience"),
        ("aud an empty array", json!({ "aud": [] }), 401, "wrong_audience"),
        ("aud nested", json!({ "aud": [["authenticated"]] }), 401, "wrong_audience"),
        ("aud an object", json!({ "aud": { "authenticated": true } }), 401, "wrong_audience"),
        ("no role", json!({ "role": null }), 403, "role_not_allowed"),
        ("service_role", json!({ "role": "service_role" }), 403, "role_not_allowed"),
        ("supabase_admin", json!({ "role": "supabase_admin" }), 403, "role_not_allowed"),
        ("postgres", json!({ "role": "postgres" }), 403, "role_not_allowed"),
        ("anon", json!({ "role": "anon" }), 403, "role_not_allowed"),
        ("a role in odd case", json!({ "role": "Authenticated" }), 403, "role_not_allowed"),
        ("a role with a space", json!({ "role": "authenticated " }), 403, "role_not_allowed"),
        ("a role in an array", json!({ "role": ["authenticated"] }), 403, "role_not_allowed"),
        ("no sub", json!({ "sub": null }), 401, "invalid_claims"),
        ("sub no UUID", json!({ "sub": "1" }), 401, "invalid_claims"),
        ("sub a number", json!({ "sub": 1 }), 401, "invalid_claims"),
        ("sub an object", json!({ "sub": { "id": 1 } }), 401, "invalid_claims"),
    ] {
        table.refuses(what, &bearer(forge.claims_with(claims)), status, code).await;
    }
    let header = forge.header().to_string();
    let claims = forge.claims().to_string();
    for (what, payload) in [
        ("an array", "[]".to_owned()),
        ("no JSON", "sub=1".to_owned()),
        ("a byte order mark", format!("\u{feff}{claims}")),
        ("a claim twice", claims.replacen('{', r#"{"role":"service_role","#, 1)),
        ("a claim twice, escaped", claims.replacen('{', r#"{"r\u006fle":"service_role","#, 1)),
    ] {
        let token = forge.sign_bytes(header.as_bytes(), payload.as_bytes());
        table.refuses(what, &bearer(token), 401, "invalid_claims").await;
    }
    table.finish(38).await;
}

#[tokio::test]
async fn claims_a_token_may_have_besides_do_no_harm() {
    let person = Person::new(&Stack::running()).await;
    let forge = Forge::new(&person);
    for claims in [
        json!({ "aud": ["authenticated", "other"] }),
        json!({ "app_metadata": { "plan": [[["free"]]] } }),
        json!({ "nbf": null }),
    ] {
        let honest = Person { token: forge.claims_with(claims), ..person.clone() };
        honest.say(Uuid::new_v4(), "hello").await;
    }
}
