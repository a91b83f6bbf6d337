//! A record of everything the functions send upstream, and of what their clients asked: written by the [`recorder`] at
//! the gateway, read as a [`record`], and held to the [`rules`] when the suite has run.

mod record;
pub mod recorder;
pub mod rules;
mod tee;

use record::Entry;
pub use record::Sent;

/// What went upstream with a request id. An entry is written before the request it is about goes on, so whoever has
/// the response finds it.
pub fn sent_with(request_id: &str) -> Vec<Sent> {
    let path = std::env::var("SELVEDGE_CAPTURE")
        .expect("SELVEDGE_CAPTURE must name the record of a stack that keeps one: `cargo run -p conformance` sets it");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The last line may be half written.
    let entries = text.lines().filter_map(record::entry);
    let sent = entries.filter_map(|entry| if let Entry::Sent(sent) = entry { Some(sent) } else { None });
    sent.filter(|sent| sent.all("x-request-id") == [request_id]).collect()
}
