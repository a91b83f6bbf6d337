//! What the OpenAPI document says of this function beyond its types and routes. Not in the wasm.
#![expect(dead_code, reason = "these types only describe responses, which the database writes")]

use schemars::JsonSchema;
use shared::edge::openapi::{Answer, Api, Operation, Wire};
use shared::http::Method;
use shared::request::{DateTime, Id};
use shared::serde_json::{Value, json};

/// A saved entry.
#[derive(JsonSchema)]
struct Saved {
    entry: Entry,
    /// Whether it had been saved before: then nothing was written.
    replayed: bool,
}

/// A page of entries.
#[derive(JsonSchema)]
struct Entries {
    entries: Vec<Entry>,
    /// Send it as `before` for the page that follows; null at the end.
    next: Option<String>,
}

/// An entry.
#[derive(JsonSchema)]
struct Entry {
    id: Wire<Id>,
    text: String,
    created_at: Wire<DateTime>,
}

const ID: &str = "eb36b44c-bf54-429f-acee-24cacd296a32";

/// The document, or what is wrong with this declaration.
pub fn openapi() -> Result<Value, String> {
    Api::new("Selvedge: {{name}}", "Keeps entries and reads them back, as the caller.")
        .operation(Method::POST, "/", save())
        .operation(Method::GET, "/", list())
        .document(&crate::function())
}

fn save() -> Operation {
    let saved = |replayed: bool| json!({ "entry": entry(), "replayed": replayed });
    Operation::new("save_{{stem}}", "Saves an entry")
        .request("application/json", "entry", json!({ "id": ID, "text": "Hello" }))
        .answer(Answer::json::<Saved>(201, "The entry is saved.", saved(false)))
        .answer(Answer::json::<Saved>(200, "It had been saved before; nothing was written.", saved(true)))
}

fn list() -> Operation {
    let page = json!({ "entries": [entry()], "next": null });
    Operation::new("list_{{stem}}", "A page of the caller's entries, the newest first")
        .answer(Answer::json::<Entries>(200, "The page.", page))
}

fn entry() -> Value {
    json!({ "id": ID, "text": "Hello", "created_at": "2026-11-21T12:02:50.747121+00:00" })
}
