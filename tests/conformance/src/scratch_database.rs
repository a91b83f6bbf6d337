//! A database of a test's own, beside the stack's in the same PostgreSQL: what is done to it disturbs nobody.

use devstack::stack::database;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::stack::{Stack, repository};

/// A database with no rows but those of migrations.
#[derive(Debug)]
pub struct ScratchDatabase {
    name: String,
    stack: Stack,
}

impl ScratchDatabase {
    /// One with nothing in it.
    pub async fn empty(stack: &Stack) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        stack.database().await.batch_execute(&format!("create database {name}")).await.expect("a new database");
        Self { name, stack: stack.clone() }
    }

    /// One with all migrations.
    pub async fn new(stack: &Stack) -> Self {
        let scratch = Self::empty(stack).await;
        // The roles are the server's, and there already.
        let mut files = vec![repository().join("supabase/local/20_auth.sql")];
        let migrations = std::fs::read_dir(repository().join("migrations")).unwrap();
        let mut migrations: Vec<_> = migrations.map(|entry| entry.unwrap().path()).collect();
        migrations.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
        migrations.sort();
        files.extend(migrations);
        let client = scratch.connect().await;
        for file in files {
            let script = std::fs::read_to_string(&file).unwrap();
            client.batch_execute(&script).await.unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        }
        scratch
    }

    /// Its URL, as the superuser.
    pub fn url(&self) -> String {
        let (server, _) = self.stack.db_url.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// A connection as the superuser.
    pub async fn connect(&self) -> Client {
        database::connect(&self.url()).await.expect("the scratch database")
    }

    /// Drops it. One that a failed test leaves goes with the stack.
    pub async fn remove(self) {
        let drop = format!("drop database {} with (force)", self.name);
        self.stack.database().await.batch_execute(&drop).await.expect("the scratch database to go");
    }
}
