//! A PostgREST of a test's own, on a database of its own: limits can be changed, backends watched and tables filled, and
//! nobody else notices.

use devstack::keys::token::TokenOptions;
use devstack::stack::postgrest::{self, PostgrestOptions};
use devstack::stack::{ports, service::Service};
use devstack::tools::toolbox::Toolbox;
use serde_json::Value;
use uuid::Uuid;

use crate::client::{Answer, Call, call};
use crate::scratch::Scratch;
use crate::scratch_database::ScratchDatabase;
use crate::stack::{Stack, checkout};

/// Roles are the server's and shared, so this PostgREST logs in under a name of its own.
#[derive(Debug)]
pub struct ScratchApi {
    url: String,
    /// The role it logs in as: its backends are found by this name.
    pub login: String,
    /// The database behind it.
    pub database: ScratchDatabase,
    stack: Stack,
    _postgrest: Service,
    // Last, so that what runs in it ends first.
    _scratch: Scratch,
}

/// Somebody who calls it.
#[derive(Debug, Clone)]
pub struct Caller {
    url: String,
    token: Option<String>,
    /// `auth.users.id`; nil for visitors and for service_role.
    pub user_id: Uuid,
}

impl ScratchApi {
    /// One that holds so many connections, on a database with all migrations and no other rows.
    pub async fn new(stack: &Stack, connections: u16) -> Self {
        let database = ScratchDatabase::new(stack).await;
        let (login, password) = (format!("login_{}", Uuid::new_v4().simple()), Uuid::new_v4().simple());
        let role = format!(
            "create role {login} login noinherit password '{password}';
             alter role {login} set statement_timeout = '8s';
             grant anon, authenticated, service_role to {login};"
        );
        database.connect().await.batch_execute(&role).await.expect("a role to log in as");
        let scratch = Scratch::new("api").await;
        let ports = ports::free(2).expect("two free ports");
        let (_, server) = database.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a URL");
        let options = PostgrestOptions {
            db_url: format!("postgresql://{login}:{password}@{server}"),
            pool: connections,
            ..PostgrestOptions::new(ports[0], ports[1])
        };
        let toolbox = Toolbox::new(&checkout()).expect("the tools");
        let postgrest = postgrest::start(&scratch, &toolbox, &stack.signing_key(), &options).await;
        let postgrest = postgrest.unwrap_or_else(|error| panic!("{error}"));
        let url = format!("http://127.0.0.1:{}", ports[0]);
        Self { url, login, database, stack: stack.clone(), _postgrest: postgrest, _scratch: scratch }
    }

    /// Somebody without a token.
    pub fn visitor(&self) -> Caller {
        Caller { url: self.url.clone(), token: None, user_id: Uuid::nil() }
    }

    /// Somebody new who is signed in.
    pub async fn person(&self) -> Caller {
        let user_id = Uuid::new_v4();
        let made = self.database.connect().await;
        made.execute("insert into auth.users (id) values ($1)", &[&user_id]).await.expect("a user");
        self.known(user_id)
    }

    /// Somebody who is in `auth.users` already.
    pub fn known(&self, user_id: Uuid) -> Caller {
        let options = TokenOptions { sub: Some(user_id.to_string()), ..TokenOptions::default() };
        Caller { url: self.url.clone(), token: Some(self.stack.mint(&options)), user_id }
    }

    /// A backend with the service key.
    pub fn service(&self) -> Caller {
        // As the real key: nobody's.
        let claims = [("sub".to_owned(), Value::Null)].into_iter().collect();
        let options = TokenOptions { role: "service_role".into(), claims, ..TokenOptions::default() };
        Caller { url: self.url.clone(), token: Some(self.stack.mint(&options)), user_id: Uuid::nil() }
    }

    /// Ends it, and removes database and role.
    pub async fn remove(self) {
        let Self { login, database, stack, _postgrest, .. } = self;
        drop(_postgrest);
        database.remove().await;
        stack.database().await.batch_execute(&format!("drop role {login}")).await.expect("the role to go");
    }
}

impl Caller {
    /// Begins a request to PostgREST.
    pub fn rest(&self, method: &str, target: &str) -> Call {
        let begun = call(method, format!("{}/{target}", self.url));
        match &self.token {
            Some(token) => begun.header("authorization", format!("Bearer {token}")),
            None => begun,
        }
    }

    /// Calls a database function.
    pub async fn rpc(&self, function: &str, arguments: &Value) -> Answer {
        self.rest("POST", &format!("rpc/{function}")).json(arguments).send().await
    }

    /// Inserts a row, or an array of rows.
    pub async fn insert(&self, table: &str, rows: &Value) -> Answer {
        self.rest("POST", table).header("prefer", "return=minimal").json(rows).send().await
    }
}
