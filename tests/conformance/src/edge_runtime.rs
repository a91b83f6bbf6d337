//! Supabase's edge runtime, as far as Deno of the version it follows stands in for it: runs an entry file from any
//! folder, as the stack runs those of the checkout.

use crate::stack::checkout;
use std::path::Path;
use std::time::Duration;

use devstack::stack::home::Home;
use devstack::stack::service::Service;
use devstack::stack::{function_env, ports, probe};
use devstack::tools::toolbox::Toolbox;
use tokio::process::Command;

use crate::openapi;
use crate::stack::Stack;

/// A function that runs outside the stack, on the stack's database. Dropped, it is killed.
#[derive(Debug)]
pub struct EdgeRuntime {
    /// URL of the function.
    pub url: String,
    service: Service,
}

impl EdgeRuntime {
    /// Runs a function's entry file, and waits until it answers. It may read what lies beside that file, and no more.
    pub async fn start(home: &Home, stack: &Stack, function: &str, entry: &Path) -> Self {
        let checkout = checkout();
        let port = ports::free(1).expect("a free port")[0];
        let deno = Toolbox::new(&checkout).and_then(|toolbox| toolbox.deno()).expect("Deno");
        let mut command = Command::new(deno);
        command
            .current_dir(checkout.root())
            .env_clear()
            .envs(function_env::variables(&stack.api_url, &stack.publishable_key, &|_| None))
            .env("DENO_DIR", home.folder().join("deno"))
            .env("DENO_NO_UPDATE_CHECK", "1")
            .args(["run", "--quiet", "--no-prompt", "--no-lock", "--cached-only", "--allow-net=127.0.0.1"])
            .arg(format!("--allow-env={}", function_env::names().collect::<Vec<_>>().join(",")))
            .arg(format!("--allow-read={}", entry.parent().unwrap().display()))
            .arg("supabase/local/serve.ts")
            .arg(port.to_string())
            .arg(entry);
        let service = Service::start(home, &format!("deno-{function}"), command).expect("Deno");
        let url = format!("http://127.0.0.1:{port}/{function}");
        let ready = service.until_ready(Duration::from_secs(20), probe::until_ok(&format!("{url}/health"))).await;
        ready.unwrap_or_else(|error| panic!("{error}"));
        openapi::runs_at(&url, function);
        Self { url, service }
    }

    /// Stops it.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}
