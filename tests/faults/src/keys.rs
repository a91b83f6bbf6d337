//! The issuer's key set cannot be had: no caller is to blame, and whoever has keys goes on with them.

use std::sync::Arc;

use conformance::client::{Answer, call};
use conformance::fault_proxy::{Canned, Fault as Break, FaultProxy};
use conformance::forgery::Forge;
use conformance::isolated::Isolated;
use conformance::person::message;
use serde_json::json;
use uuid::Uuid;

use crate::list::problem;
use crate::scene::Scene;

const KEY_SET: &str = "/auth/v1/.well-known/jwks.json";

/// Every way in which it cannot be had, for a function that has no keys yet and for one that has.
pub(crate) async fn unavailable(scene: Arc<Scene>) {
    let proxy = FaultProxy::start(&scene.stack.api_url, KEY_SET).await;
    let issuer = format!("{}/auth/v1", scene.stack.api_url);
    let variables = [("SUPABASE_URL", proxy.url.as_str()), ("SUPABASE_JWT_ISSUER", &issuer), ("SUPABASE_TIMEOUT", "1")];
    let function = Isolated::start(&scene.stack, "chat-message", &variables).await;
    let forge = Forge::new(&scene.person);
    // A token each time that nobody has seen, so that none is remembered.
    let save = async || -> Answer {
        call("POST", &function.url)
            .header("authorization", format!("Bearer {}", forge.claims_with(json!({ "jti": Uuid::new_v4() }))))
            .json(&message(Uuid::new_v4(), "hello"))
            .send()
            .await
    };
    let rubbish =
        Canned { status: 200, retry_after: None, body: ("application/json", "<html>sorry</html>".to_owned()) };
    let breaks = [
        Break::ResetUnread,
        Break::HalfAnswer,
        Break::Garbage,
        Break::EndlessHeaders,
        Break::Silence,
        Break::StalledBody,
        Break::Answer(Canned::page(500)),
        Break::Answer(Canned::page(503)),
        Break::Answer(rubbish),
    ];
    let unavailable = |answer: &Answer, what: &Break| {
        problem(answer, 503, "keys_unavailable").unwrap_or_else(|error| panic!("{what:?}: {error}"));
    };
    for what in &breaks {
        proxy.always(what.clone());
        unavailable(&save().await, what);
        assert!(!proxy.seen().is_empty(), "{what:?} happened to nobody");
        proxy.forget();
    }
    proxy.refuse().await;
    problem(&save().await, 503, "keys_unavailable").unwrap_or_else(|error| panic!("refused: {error}"));
    proxy.accept().await;
    proxy.clear();
    assert_eq!(save().await.status, 201, "with keys again");
    for what in breaks {
        proxy.always(what.clone());
        let answer = save().await;
        assert_eq!(answer.status, 201, "{what:?}, and the keys are known: {}", answer.text());
    }
}
