//! The stack under test, as its `stack.json` describes it.

use std::path::{Path, PathBuf};

use devstack::checkout::Checkout;
use devstack::keys::StackKey;
use devstack::keys::token::{self, TokenOptions};
use devstack::stack::home;
use serde_json::Value;
use tokio_postgres::NoTls;

/// A running stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Gateway, laid out as Supabase's API.
    pub api_url: String,
    /// Key every client of the gateway sends.
    pub publishable_key: String,
    /// PostgreSQL, as its superuser.
    pub db_url: String,
    /// `workers` or `supabase`.
    pub host: String,
    functions: Value,
    /// Where its `stack.json` lies, with its signing key beside it.
    folder: PathBuf,
}

impl Stack {
    /// The stack `SELVEDGE_STACK` names.
    pub fn running() -> Self {
        let path = std::env::var("SELVEDGE_STACK")
            .expect("SELVEDGE_STACK must name a running stack's stack.json: `cargo xtask test` sets it");
        Self::described(&if Path::new(&path).is_absolute() { PathBuf::from(path) } else { repository().join(path) })
    }

    /// The stack a `stack.json` describes.
    pub fn described(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let json: Value = serde_json::from_str(&text).unwrap();
        let member = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("stack.json has no {name}")).to_owned();
        Self {
            api_url: member("api_url"),
            publishable_key: member("publishable_key"),
            db_url: member("db_url"),
            host: member("host"),
            functions: json["functions"].clone(),
            folder: path.parent().unwrap().to_owned(),
        }
    }

    /// URL of a function.
    pub fn function(&self, name: &str) -> &str {
        self.functions[name].as_str().unwrap_or_else(|| panic!("the stack has no function {name}"))
    }

    /// Whether it has a function of this name.
    pub fn has(&self, name: &str) -> bool {
        self.functions[name].is_string()
    }

    /// The key the stack's issuer signs with.
    pub fn signing_key(&self) -> StackKey {
        StackKey::load(&home::signing_key(&self.folder)).expect("the stack's signing key")
    }

    /// A token signed by the stack's own key: with the right options, one its issuer would never give out.
    pub fn mint(&self, options: &TokenOptions) -> String {
        token::mint(&self.signing_key(), &self.api_url, options).expect("a token")
    }

    /// A connection to the database as its superuser: for looking at what is really stored, and for setting a
    /// scene no caller could set.
    pub async fn database(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.db_url, NoTls).await.expect("the stack's database");
        tokio::spawn(connection);
        client
    }
}

/// The checkout the tests run in.
pub fn checkout() -> Checkout {
    Checkout::here().unwrap_or_else(|error| panic!("{error}"))
}

/// Its root.
pub fn repository() -> PathBuf {
    checkout().root().to_owned()
}
