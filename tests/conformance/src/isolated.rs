//! A function of its own, on the host the suite runs for, with variables the test chooses.

use crate::stack::checkout;
use std::collections::BTreeMap;

use devstack::checkout::Checkout;
use devstack::stack::function_env::{self, Ground};
use devstack::stack::service::Service;
use devstack::stack::{deno, ports, workerd};
use devstack::tools::toolbox::Toolbox;

use crate::openapi;
use crate::scratch::Scratch;
use crate::stack::Stack;

/// A function that runs outside the stack. Dropped, it is killed.
#[derive(Debug)]
pub struct Isolated {
    /// URL of the function.
    pub url: String,
    _services: Vec<Service>,
    // Last, so that what runs in it ends first.
    _scratch: Scratch,
}

impl Isolated {
    /// Starts a function with these variables added to, or put in place of, those the stack gives.
    pub async fn start(stack: &Stack, function: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_of(&checkout(), stack, function, variables).await
    }

    /// The same for a function that was built elsewhere.
    pub async fn start_of(checkout: &Checkout, stack: &Stack, function: &str, variables: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("isolated").await;
        let toolbox = Toolbox::new(&crate::stack::checkout()).expect("the npm tools");
        let port = ports::free(1).expect("a free port")[0];
        let ports = BTreeMap::from([(function.to_owned(), port)]);
        let chosen =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        let variables = function_env::variables(&stack.api_url, &stack.publishable_key, &chosen);
        let ground = Ground { home: &scratch, checkout, toolbox: &toolbox, variables: &variables };
        let (url, started) = if stack.host == "workers" {
            let started = workerd::start(ground, &ports).await;
            (format!("http://127.0.0.1:{port}"), started.map(|service| vec![service]))
        } else {
            let started = deno::start(ground, &ports).await;
            (format!("http://127.0.0.1:{port}/{function}"), started)
        };
        openapi::runs_at(&url, function);
        let services = started.unwrap_or_else(|error| panic!("{error}"));
        Self { url, _services: services, _scratch: scratch }
    }
}
