//! The client most callers use, unmodified.

use conformance::stack::{Stack, repository};
use tokio::process::Command;

#[tokio::test]
async fn supabase_js_signs_in_invokes_and_reads_back() {
    let stack = Stack::running();
    let output = Command::new("node")
        .arg(repository().join("tests/clients/supabase-js.mjs"))
        .args([&stack.api_url, &stack.publishable_key])
        .output()
        .await
        .expect("node");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
}
