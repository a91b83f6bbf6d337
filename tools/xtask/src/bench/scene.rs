//! A stack of its own with people who are signed in: what every comparison begins with.

use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::call::{Caller, Door, People, Person};
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    gateway::Watch,
    host::Host,
    keys::now,
    progress::Progress,
    stack::{Stack, StackOptions, database},
};

/// How many people write. Nobody may write more than 30 messages a minute, so it takes many to write fast.
pub const PEOPLE: usize = 96;

/// Seconds of a day.
const A_DAY: i64 = 24 * 3600;

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
    pub people: People,
    /// The processes of the functions, of PostgREST and of PostgreSQL.
    pub processes: [u32; 3],
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
        let (caller, signup) = (Caller::default(), auth.request("POST", "/signup", r#"{"data":{}}"#));
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            let answer: Value = serde_json::from_slice(&caller.send(&signup).await?).unwrap_or_default();
            let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
            let claims = stack.key().verify(token).ok_or_else(|| Error::new("signing up brought no access_token"))?;
            // The same token, good for longer than any run.
            let claims = claims.into_iter().chain([("exp".to_owned(), Value::from(now() + A_DAY))]).collect();
            let token = stack.key().sign(&Value::Object(claims));
            people.push(Person { token, session: Uuid::new_v4() });
        }
        let database = database::connect(&described.db_url).await?;
        // A limit costs the same however high it is, and more callers than a minute has room for are to be measured.
        let raised = "update public.rate_limits set at_most = 1000000000 where what <> 'user_messages'";
        database.execute(raised, &[]).await?;
        Ok(Self {
            host,
            postgrest: door(postgrest, ""),
            rest: door(port, "/rest/v1"),
            people: people.into(),
            processes: stack.processes()?,
            database,
        })
    }

    /// A function as a page reaches it, through the gateway.
    pub fn function(&self, name: &str) -> Door {
        Door { prefix: format!("/functions/v1/{name}"), ..self.rest.clone() }
    }

    /// The first of the people.
    pub fn first(&self) -> Result<&Person> {
        self.people.first().ok_or_else(|| Error::new("nobody is signed in"))
    }

    /// One value of the database, as text.
    pub async fn asked(&self, query: &str) -> Result<String> {
        let row = self.database.query_one(query, &[]).await?;
        row.try_get(0).context(|| format!("{query} gives no text"))
    }
}
