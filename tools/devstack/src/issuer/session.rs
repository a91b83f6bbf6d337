//! Signed-in sessions and their refresh tokens.

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_postgres::{Client, GenericClient};
use uuid::Uuid;

use super::{DEVELOPER_EMAIL, Issuer, TOKEN_SECONDS, account::Account, claims, refusal::Refusal};
use crate::keys::now;

/// How long after its first use a refresh token may be used again, as on Supabase, in seconds.
const REUSE_SECONDS: f64 = 10.0;

impl Issuer {
    /// Begins a session: what a client gets when it signs in.
    pub async fn begin(&self, client: &Client, account: &Account) -> Result<Value, Refusal> {
        self.grant(client, account, Uuid::new_v4()).await
    }

    /// Goes on with one. A refresh token is good once, and for [`REUSE_SECONDS`] more, in which it answers with the
    /// session's current one: two tabs may refresh at the same time, and an answer may be lost. Used after that it ends
    /// its session, because somebody may have a copy.
    pub async fn refresh(&self, client: &mut Client, token: &str) -> Result<Value, Refusal> {
        let transaction = client.transaction().await?;
        // Locked: of two requests at once, the second sees what the first has done.
        let sql = "select user_id, session_id, revoked, revoked_at > now() - make_interval(secs => $2)
            from auth.refresh_tokens where token = $1 for update";
        let row = transaction.query_opt(sql, &[&token, &REUSE_SECONDS]).await?.ok_or_else(unknown)?;
        let (user, session, revoked): (Uuid, Uuid, bool) = (row.get(0), row.get(1), row.get(2));
        let account = Account::by_id(&transaction, user).await?.ok_or_else(unknown)?;
        let answer = if !revoked {
            let sql = "update auth.refresh_tokens set revoked = true, revoked_at = now() where token = $1";
            transaction.execute(sql, &[&token]).await?;
            Ok(self.grant(&transaction, &account, session).await?)
        } else if row.get::<_, Option<bool>>(3) == Some(true) {
            let sql = "select token from auth.refresh_tokens where session_id = $1 and not revoked";
            let current: String = transaction.query_one(sql, &[&session]).await?.get(0);
            Ok(self.answer(&account, session, &current))
        } else {
            transaction.execute("delete from auth.refresh_tokens where session_id = $1", &[&session]).await?;
            let message = "Invalid Refresh Token: Already Used";
            Err(Refusal::new(StatusCode::BAD_REQUEST, "refresh_token_already_used", message))
        };
        transaction.commit().await?;
        answer
    }

    /// Ends sessions: this one, the others, or all of a user's.
    pub async fn end(&self, client: &Client, user: Uuid, session: Uuid, scope: &str) -> Result<(), Refusal> {
        let which = match scope {
            "local" => "session_id = $2",
            "others" => "session_id <> $2",
            _ => "$2::uuid is not null",
        };
        let sql = format!("delete from auth.refresh_tokens where user_id = $1 and {which}");
        client.execute(&sql, &[&user, &session]).await?;
        Ok(())
    }

    /// Whether a session has not been ended.
    pub async fn is_open(client: &Client, session: Uuid) -> Result<bool, Refusal> {
        let sql = "select exists (select from auth.refresh_tokens where session_id = $1)";
        Ok(client.query_one(sql, &[&session]).await?.get(0))
    }

    async fn grant(&self, client: &impl GenericClient, account: &Account, session: Uuid) -> Result<Value, Refusal> {
        let refresh = Uuid::new_v4().simple().to_string();
        let sql = "insert into auth.refresh_tokens (token, user_id, session_id) values ($1, $2, $3)";
        client.execute(sql, &[&refresh, &account.id, &session]).await?;
        Ok(self.answer(account, session, &refresh))
    }

    /// What a client gets for a session.
    fn answer(&self, account: &Account, session: Uuid, refresh_token: &str) -> Value {
        let now = now();
        json!({
            "access_token": self.key().sign(&claims::of(&self.inner.name, account, session, now)),
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "expires_at": now + TOKEN_SECONDS,
            "refresh_token": refresh_token,
            "user": account.json,
        })
    }

    /// The id of the user with this email address, who is signed up with [`DEVELOPER_PASSWORD`] where there is none.
    pub async fn user_with(&self, email: &str) -> Result<Uuid, Refusal> {
        self.with_database(async |client| Ok(Account::found_or_made(client, email).await?.id)).await
    }

    /// Signs in the user of `cargo xtask dev`, the same one every time. Returns their access token.
    pub async fn sign_in_developer(&self) -> Result<String, Refusal> {
        self.with_database(async |client| {
            let account = Account::found_or_made(client, DEVELOPER_EMAIL).await?;
            let session = self.begin(client, &account).await?;
            Ok(session.get("access_token").and_then(Value::as_str).unwrap_or_default().to_owned())
        })
        .await
    }
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
}
