//! A development-only issuer of users and tokens: enough of Supabase's auth server for unmodified clients.
//!
//! Everybody who asks may sign up, nobody confirms an e-mail address, and nothing is rate-limited. It exists so that
//! the stack needs no Docker; it is never deployed.

pub mod account;
pub mod claims;
pub mod refusal;
pub mod routes;
pub mod session;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio::sync::Semaphore;
use tokio_postgres::Client;

use crate::{
    error::{Error, Result, why},
    keys::{StackKey, now},
    stack::database,
};

/// The email address of the user who is signed in when `cargo xtask dev` is ready.
pub const DEVELOPER_EMAIL: &str = "developer@example.com";
/// The password of every user that a command signs up.
pub const DEVELOPER_PASSWORD: &str = "development";

/// How long an access token is good for, in seconds.
pub const TOKEN_SECONDS: i64 = 3600;

/// How long the gateway's own token for callers without one is good for, and how long before its end it is renewed.
const ANON_SECONDS: (i64, i64) = (600, 300);

/// The issuer; clones are the same one.
#[derive(Debug, Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The `iss` of its tokens.
    name: String,
    db_url: String,
    key: StackKey,
    /// Connections are made for each request, so that a restarted database is no news; not too many at once.
    connections: Semaphore,
    anon: Mutex<(i64, String)>,
}

impl Issuer {
    /// An issuer of the stack at `api_url`.
    pub async fn new(api_url: &str, db_url: &str, key: &StackKey) -> Result<Self> {
        // Passwords are hashed as Supabase hashes them: bcrypt, by pgcrypto.
        let prepare = "create schema if not exists extensions;
            create extension if not exists pgcrypto with schema extensions;";
        let client = database::connect(db_url).await?;
        client.batch_execute(prepare).await.map_err(|error| {
            let why = why(&error);
            Error::new(format!("the extension pgcrypto, which hashes passwords, cannot be had: {why}"))
        })?;
        let inner = Inner {
            name: format!("{api_url}/auth/v1"),
            db_url: db_url.to_owned(),
            key: key.clone(),
            connections: Semaphore::new(32),
            anon: Mutex::new((0, String::new())),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The key it signs with.
    pub fn key(&self) -> &StackKey {
        &self.inner.key
    }

    /// A token of the role `anon`, good for some minutes yet.
    pub fn anon_token(&self) -> String {
        let mut kept = self.inner.anon.lock().unwrap_or_else(PoisonError::into_inner);
        let (lifetime, renew) = ANON_SECONDS;
        if kept.0 < now() + renew {
            let expires = now() + lifetime;
            let claims = json!({ "iss": self.inner.name, "role": "anon", "iat": now(), "exp": expires });
            *kept = (expires, self.key().sign(&claims));
        }
        kept.1.clone()
    }

    /// Runs something on a connection of its own.
    async fn with_database<T>(
        &self,
        run: impl AsyncFnOnce(&mut Client) -> Result<T, refusal::Refusal>,
    ) -> Result<T, refusal::Refusal> {
        let _permit = self.inner.connections.acquire().await;
        let mut client = database::connect(&self.inner.db_url).await.map_err(|_| refusal::Refusal::unavailable())?;
        run(&mut client).await
    }
}
