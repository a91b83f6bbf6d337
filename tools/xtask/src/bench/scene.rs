//! A stack of its own with people who are signed in: what every comparison begins with.

use std::sync::Arc;

use hyper::Method;
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::call::{Caller, Door};
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    gateway::Watch,
    host::Host,
    progress::Progress,
    stack::{Stack, StackOptions, database},
};

/// How many people write. Nobody may write more than 30 messages a minute, so it takes many to write fast.
pub const PEOPLE: usize = 96;

/// Somebody who is signed in.
#[derive(Debug)]
pub struct Person {
    /// Their access token.
    pub token: String,
    /// Their conversation.
    pub session_id: Uuid,
}

/// A running stack, and who is there.
#[derive(Debug)]
pub struct Scene {
    /// Where its functions run.
    pub host: Host,
    /// PostgREST itself, with nothing in front of it.
    pub postgrest: Door,
    /// PostgREST as a page reaches it, through the gateway.
    pub rest: Door,
    /// Those who are signed in.
    pub people: Arc<[Person]>,
    /// The database, as its superuser.
    pub database: Client,
}

/// Starts an empty stack, runs something on it, and stops it.
pub async fn with<T>(
    checkout: &Checkout,
    host: Host,
    watch: Option<Watch>,
    progress: Progress,
    run: impl AsyncFnOnce(&Scene) -> Result<T>,
) -> Result<T> {
    // Its PostgreSQL does not wait for the disk. That favours whoever commits often: the single inserts.
    let mut stack = Stack::reserve(checkout, StackOptions::ephemeral(checkout, host)).await?;
    if let Some(watch) = watch {
        stack.watch(watch)?;
    }
    let postgrest = stack.postgrest_options().port;
    let stack = stack.started(progress).await?;
    let outcome = async {
        let scene = Scene::set(&stack, host, postgrest).await?;
        run(&scene).await
    };
    let outcome = tokio::select! {
        outcome = outcome => outcome,
        error = stack.broken() => Err(error),
    };
    stack.stop().await;
    outcome
}

impl Scene {
    async fn set(stack: &Stack, host: Host, postgrest: u16) -> Result<Self> {
        let described = stack.description();
        let (_, port) = described.api_url.rsplit_once(':').unwrap_or_default();
        let port = port.parse().context(|| format!("{} names no port", described.api_url))?;
        let door = |port, prefix: &str| Door { port, prefix: prefix.into(), key: described.publishable_key.clone() };
        let auth = door(port, "/auth/v1");
        let mut caller = Caller::to(port).await?;
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            let answer = caller.ask(&auth.request(Method::POST, "/signup", None, r#"{"data":{}}"#)).await?;
            let token = answer.get("access_token").and_then(Value::as_str);
            let token = token.ok_or_else(|| Error::new("signing up brought no access_token"))?.to_owned();
            people.push(Person { token, session_id: Uuid::new_v4() });
        }
        Ok(Self {
            host,
            postgrest: door(postgrest, ""),
            rest: door(port, "/rest/v1"),
            people: people.into(),
            database: database::connect(&described.db_url).await?,
        })
    }

    /// A function as a page reaches it, through the gateway.
    pub fn function(&self, name: &str) -> Door {
        Door { prefix: format!("/functions/v1/{name}"), ..self.rest.clone() }
    }

    /// PostgREST's version, as its own description of the API tells it.
    pub async fn postgrest_version(&self) -> Result<String> {
        let token = self.people.first().map(|person| person.token.as_str());
        let root = self.postgrest.request(Method::GET, "/", token, "");
        let described = Caller::to(self.postgrest.port).await?.ask(&root).await?;
        let version = described.pointer("/info/version").and_then(Value::as_str);
        Ok(version.unwrap_or("of no version").to_owned())
    }

    /// One value of the database, as text.
    pub async fn asked(&self, query: &str) -> Result<String> {
        let row = self.database.query_one(query, &[]).await.map_err(|error| Error::new(database::why(&error)))?;
        row.try_get(0).context(|| format!("{query} gives no text"))
    }
}

/// The people by turns: whose request of this number it is.
pub fn whose(people: &[Person], number: usize) -> Option<&Person> {
    people.get(number % people.len().max(1))
}
