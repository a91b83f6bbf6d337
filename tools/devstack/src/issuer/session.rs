//! Signed-in sessions and their refresh tokens, each good once.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{DEVELOPER_EMAIL, Issuer, TOKEN_SECONDS, account::Account, claims, refusal::Refusal};
use crate::keys::now;

impl Issuer {
    /// Begins a session: what a client gets when it signs in.
    pub async fn begin(&self, client: &Client, account: &Account) -> Result<Value, Refusal> {
        self.grant(client, account, Uuid::new_v4()).await
    }

    /// Goes on with one. A refresh token that was used before ends its session: somebody has a copy.
    pub async fn refresh(&self, client: &Client, token: &str) -> Result<Value, Refusal> {
        let taken = "update auth.refresh_tokens set revoked = true
            where token = $1 and not revoked returning user_id, session_id";
        if let Some(row) = client.query_opt(taken, &[&token]).await? {
            let (user, session): (Uuid, Uuid) = (row.get(0), row.get(1));
            let account = Account::by_id(client, user).await?;
            return self.grant(client, &account.ok_or_else(unknown)?, session).await;
        }
        let ended = "delete from auth.refresh_tokens where session_id =
            (select session_id from auth.refresh_tokens where token = $1)";
        match client.execute(ended, &[&token]).await? {
            0 => Err(unknown()),
            _ => Err(Refusal::bad_request("refresh_token_already_used", "Invalid Refresh Token: Already Used")),
        }
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

    async fn grant(&self, client: &Client, account: &Account, session: Uuid) -> Result<Value, Refusal> {
        let refresh = Uuid::new_v4().simple().to_string();
        let sql = "insert into auth.refresh_tokens (token, user_id, session_id) values ($1, $2, $3)";
        client.execute(sql, &[&refresh, &account.id, &session]).await?;
        let now = now();
        Ok(json!({
            "access_token": self.key().sign(&claims::of(&self.inner.name, account, session, now)),
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "expires_at": now + TOKEN_SECONDS,
            "refresh_token": refresh,
            "user": account.json,
        }))
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
    Refusal::bad_request("refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
}
