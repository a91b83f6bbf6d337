//! The issuer over HTTP, in the shapes of Supabase's auth server.

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use hyper::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    Issuer,
    account::{Account, Changes},
    refusal::Refusal,
};
use crate::gateway::reply;

/// Every path below `/auth/v1`.
pub fn router<S: Clone + Send + Sync + 'static>(issuer: Issuer) -> Router<S> {
    Router::new()
        .route("/signup", post(signup))
        .route("/token", post(token))
        .route("/user", get(user).put(change_user))
        .route("/logout", post(logout))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/health", get(health))
        .route("/settings", get(settings))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(issuer)
}

type Answer = Result<Response, Refusal>;

async fn signup(State(issuer): State<Issuer>, body: Bytes) -> Answer {
    let body = object(&body)?;
    let metadata = body.get("data").filter(|data| data.is_object()).cloned().unwrap_or_else(|| json!({}));
    let session = issuer
        .with_database(async |client| {
            let account = match text(&body, "email") {
                "" if !body.contains_key("phone") => Account::anonymous(client, &metadata).await?,
                email => Account::with_email(client, email, text(&body, "password"), &metadata).await?,
            };
            issuer.begin(client, &account).await
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &session))
}

async fn token(State(issuer): State<Issuer>, Query(query): Query<Map<String, Value>>, body: Bytes) -> Answer {
    let body = object(&body)?;
    let session = issuer
        .with_database(async |client| match text(&query, "grant_type") {
            "password" => {
                let account = Account::by_password(client, text(&body, "email"), text(&body, "password")).await?;
                issuer.begin(client, &account).await
            }
            "refresh_token" => issuer.refresh(client, text(&body, "refresh_token")).await,
            _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "unsupported_grant_type")),
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &session))
}

async fn user(State(issuer): State<Issuer>, headers: HeaderMap) -> Answer {
    let caller = Caller::of(&issuer, &headers)?;
    let account = issuer.with_database(async |client| caller.account(client).await).await?;
    Ok(reply::json(StatusCode::OK, &account.json))
}

async fn change_user(State(issuer): State<Issuer>, headers: HeaderMap, body: Bytes) -> Answer {
    let caller = Caller::of(&issuer, &headers)?;
    let body = object(&body)?;
    if !text(&body, "phone").is_empty() {
        let message = "Unsupported phone provider";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "phone_provider_disabled", message));
    }
    let given = |name| body.get(name).and_then(Value::as_str);
    let data = body.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    let email = given("email").filter(|email| !email.is_empty());
    let changes = Changes { email, password: given("password"), data: &data };
    let account = issuer
        .with_database(async |client| {
            let account = caller.account(client).await?.change(client, &changes).await?;
            if changes.password.is_some() {
                // Whoever knew the old one is out.
                issuer.end(client, caller.user, caller.session, "others").await?;
            }
            Ok(account)
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &account.json))
}

async fn method_not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not have this method")
}

async fn logout(State(issuer): State<Issuer>, Query(query): Query<Map<String, Value>>, headers: HeaderMap) -> Answer {
    let caller = Caller::of(&issuer, &headers)?;
    issuer
        .with_database(async |client| issuer.end(client, caller.user, caller.session, text(&query, "scope")).await)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn jwks(State(issuer): State<Issuer>) -> Response {
    reply::json(StatusCode::OK, &issuer.key().jwks())
}

async fn health() -> Response {
    let body = json!({ "name": "Selvedge's development issuer", "description": "for this machine only" });
    reply::json(StatusCode::OK, &body)
}

async fn settings() -> Response {
    let external = json!({ "anonymous_users": true, "email": true, "phone": false });
    let body = json!({
        "external": external, "disable_signup": false, "mailer_autoconfirm": true, "phone_autoconfirm": false
    });
    reply::json(StatusCode::OK, &body)
}

/// Who a verified token says is calling.
struct Caller {
    user: Uuid,
    session: Uuid,
}

impl Caller {
    fn of(issuer: &Issuer, headers: &HeaderMap) -> Result<Self, Refusal> {
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let missing = || {
            Refusal::new(StatusCode::UNAUTHORIZED, "no_authorization", "This endpoint requires a valid Bearer token")
        };
        let bad =
            || Refusal::new(StatusCode::FORBIDDEN, "bad_jwt", "invalid JWT: unable to verify it, or it has expired");
        let claims = issuer.key().verify(sent.ok_or_else(missing)?).ok_or_else(bad)?;
        let id = |name| Uuid::parse_str(text(&claims, name)).map_err(|_| bad());
        Ok(Self { user: id("sub")?, session: id("session_id")? })
    }

    /// Their account, if their session has not been ended.
    async fn account(&self, client: &Client) -> Result<Account, Refusal> {
        let refuse = |code, message| Refusal::new(StatusCode::FORBIDDEN, code, message);
        if !Issuer::is_open(client, self.session).await? {
            return Err(refuse("session_not_found", "Session from session_id claim in JWT does not exist"));
        }
        let gone = || refuse("user_not_found", "User from sub claim in JWT does not exist");
        Account::by_id(client, self.user).await?.ok_or_else(gone)
    }
}

/// A body that is an object; an empty one is `{}`.
fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_json", "Could not parse request body as JSON: an object is expected")
    })
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> &'a str {
    map.get(name).and_then(Value::as_str).unwrap_or_default()
}
