//! A real `supabase functions deploy`: what it uploads is the function, whole, and nothing else.

use conformance::stack::checkout;
use std::collections::BTreeSet;
use std::fs;

use conformance::client::call;
use conformance::edge_runtime::EdgeRuntime;
use conformance::person::{Person, message};
use conformance::scratch::Scratch;
use conformance::stack::Stack;
use conformance::supabase_api::deploy;
use devstack::checkout::Checkout;
use devstack::host::Host;
use devstack::output::Output;
use devstack::tools::command::Tool;
use devstack::tools::rust::cargo;
use serde_json::json;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The checkout, with every function built for Supabase: a suite that runs for Workers may be the first to need that.
async fn built() -> Checkout {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let checkout = checkout();
    let build = async || {
        let build = Tool::new(cargo(), checkout.root()).args(["xtask", "build", "supabase"]);
        build.succeed("Building for Supabase").await.unwrap_or_else(|error| panic!("{error}"));
    };
    BUILT.get_or_init(build).await;
    checkout
}

#[tokio::test]
async fn a_deploy_uploads_entry_glue_and_wasm_of_each_function_and_nothing_else() {
    let checkout = built().await;
    let scratch = Scratch::new("deploy").await;
    for function in checkout.functions().unwrap() {
        let upload = deploy(scratch.folder(), &function.name, &[]).await;
        let folder = format!("supabase/functions/{}", function.name);
        // The types beside them stay on the disk, as would a lock file, an .env or a note.
        let loaded = Output::of(&checkout, Host::Supabase, &function).loaded_files().unwrap();
        let mut expected: BTreeSet<_> = loaded
            .iter()
            .map(|file| file.strip_prefix(checkout.root()).unwrap().to_str().unwrap().to_owned())
            .collect();
        assert!(expected.iter().any(|file| file.contains("/snippets/")), "the driver is a file of its own");
        expected.insert(format!("{folder}/index.ts"));
        assert_eq!(upload.files.keys().cloned().collect::<BTreeSet<_>>(), expected);
        for (path, bytes) in &upload.files {
            assert!(fs::read(checkout.path(path)).unwrap() == *bytes, "{path} is not the file that was built");
        }
        assert_eq!(upload.slug, function.name);
        assert_eq!(upload.metadata["entrypoint_path"], format!("{folder}/index.ts"));
        assert_eq!(upload.metadata["static_patterns"], json!([]), "the wasm must get there by being imported");
        assert_eq!(upload.metadata["verify_jwt"], false, "config.toml must say so to whoever forgets the flag");
    }
}

#[tokio::test]
async fn what_was_uploaded_saves_and_replays_a_message() {
    built().await;
    let stack = Stack::running();
    let scratch = Scratch::new("deployed").await;
    let upload = deploy(scratch.folder(), "chat-message", &["--no-verify-jwt"]).await;
    let folder = scratch.folder().join("uploaded");
    upload.unpack(&folder);
    let entry = folder.join(upload.metadata["entrypoint_path"].as_str().expect("an entry point"));
    let runtime = EdgeRuntime::start(&scratch, &stack, "chat-message", &entry).await;

    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let sent = message(session_id, "Does it still run there?");
    let save =
        || call("POST", &runtime.url).header("authorization", format!("Bearer {}", person.token)).json(&sent).send();
    let first = save().await;
    assert_eq!(first.status, 201, "{}", first.text());
    let again = save().await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["replayed"], true);
    assert_eq!(again.json()["message"], first.json()["message"]);
    let history = person.history(session_id, "").await.json();
    assert_eq!(history["messages"], json!([first.json()["message"]]), "the stack's own function finds it");
    runtime.stop().await;
}
