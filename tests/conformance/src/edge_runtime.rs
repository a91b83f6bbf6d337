//! Supabase's edge runtime, as far as Deno of the version it follows stands in for it: runs an entry file from any
//! folder, as the stack runs those of the checkout.

use crate::stack::checkout;
use std::path::Path;

use devstack::stack::deno::{self, Program};
use devstack::stack::function_env::{self, Ground};
use devstack::stack::home::Home;
use devstack::stack::ports;
use devstack::stack::service::Service;
use devstack::tools::toolbox::Toolbox;

use crate::openapi;
use crate::stack::Stack;

/// A function that runs outside the stack, on the stack's database. Dropped, it is killed.
#[derive(Debug)]
pub struct EdgeRuntime {
    /// URL of the function.
    pub url: String,
    services: Vec<Service>,
}

impl EdgeRuntime {
    /// Runs a function's entry file, and waits until it answers. It may read what lies beside that file, and no more.
    pub async fn start(home: &Home, stack: &Stack, function: &str, entry: &Path) -> Self {
        let checkout = checkout();
        let port = ports::free(1).expect("a free port")[0];
        let toolbox = Toolbox::new(&checkout).expect("the npm tools");
        let program = Program { name: function.to_owned(), port, entry: entry.to_owned() };
        let variables = function_env::variables(&stack.api_url, &stack.publishable_key, &|_| None);
        let ground = Ground { home, checkout: &checkout, toolbox: &toolbox, variables: &variables };
        let services = deno::serve(ground, &[program]).await;
        let services = services.unwrap_or_else(|error| panic!("{error}"));
        let url = format!("http://127.0.0.1:{port}/{function}");
        openapi::runs_at(&url, function);
        Self { url, services }
    }

    /// Stops it.
    pub async fn stop(self) {
        for service in self.services {
            service.stop().await;
        }
    }
}
