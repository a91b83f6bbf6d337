//! The stack under test, as its `stack.json` describes it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use devstack::checkout::Checkout;
use devstack::keys::StackKey;
use devstack::keys::token::{self, TokenOptions};
use devstack::stack::description::Description;
use devstack::stack::{database, home};

/// The variable that tells the scenarios whose gateway the stack's behaves as.
pub const GATEWAY: &str = "SELVEDGE_GATEWAY";

/// A running stack: its `stack.json`, and where that lies.
#[derive(Debug, Clone)]
pub struct Stack {
    description: Description,
    /// Its signing key is there too.
    folder: PathBuf,
}

impl Deref for Stack {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

impl Stack {
    /// The stack `SELVEDGE_STACK` names.
    pub fn running() -> Self {
        let path = std::env::var("SELVEDGE_STACK")
            .expect("SELVEDGE_STACK must name a running stack's stack.json: `cargo xtask test` sets it");
        // An absolute path stays as it is.
        Self::described(&repository().join(path))
    }

    /// The stack a `stack.json` describes.
    pub fn described(path: &Path) -> Self {
        let description = Description::read(path).unwrap_or_else(|error| panic!("{error}"));
        Self { description, folder: path.parent().unwrap().to_owned() }
    }

    /// The same, reached at another URL than its gateway's: that of a proxy, which stands between.
    #[must_use]
    pub fn behind(&self, url: &str) -> Self {
        let description = Description { api_url: url.to_owned(), ..self.description.clone() };
        Self { description, ..self.clone() }
    }

    /// Whether its gateway behaves as Kong: `cargo run -p conformance -- --gateway kong`.
    pub fn is_behind_kong() -> bool {
        std::env::var(GATEWAY).is_ok_and(|name| name == "kong")
    }

    /// URL of a function.
    pub fn function(&self, name: &str) -> &str {
        self.functions.get(name).unwrap_or_else(|| panic!("the stack has no function {name}"))
    }

    /// Whether it has a function of this name.
    pub fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name)
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
        database::connect(&self.db_url).await.expect("the stack's database")
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
