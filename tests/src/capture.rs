//! What the functions under test have sent upstream so far, from the record their stack keeps.

use serde_json::Value;

/// A request of a function.
#[derive(Debug)]
pub struct Sent {
    /// Path and query.
    pub target: String,
    /// Every header, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Sent {
    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What went upstream with a request id. An entry is written before the request it is about goes on, so whoever has
/// the answer finds it.
pub fn sent_with(request_id: &str) -> Vec<Sent> {
    let path = std::env::var("SELVEDGE_CAPTURE").expect(
        "SELVEDGE_CAPTURE must name the record of a stack that keeps one: `cargo xtask test --only conformance` sets it",
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The last line may be half written.
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let sent = entries.filter(|entry| entry["from"] == "function").map(|entry| Sent {
        target: entry["target"].as_str().expect("a target").to_owned(),
        headers: serde_json::from_value(entry["headers"].clone()).expect("headers"),
    });
    sent.filter(|sent| sent.header("x-request-id") == [request_id]).collect()
}
