//! The request log: one JSON line a request, with nothing in it that the caller wrote but the request id.

use serde::Serialize;

use crate::config::Level;

/// A line. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) ts: &'a str,
    pub(super) level: &'static str,
    pub(super) function: &'a str,
    pub(super) request_id: &'a str,
    pub(super) method: &'a str,
    pub(super) route: &'static str,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    /// The caller, as a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    pub(super) dur_ms: u64,
    pub(super) db_ms: u64,
    pub(super) retries: u32,
    pub(super) breaker: &'static str,
}

/// The severity of a response: failures are errors, refusals warnings.
pub(super) fn level(status: u16) -> Level {
    match status {
        500.. => Level::Error,
        400.. => Level::Warn,
        _ => Level::Info,
    }
}

/// The line's text.
pub(super) fn line(line: &Line<'_>) -> String {
    // A struct of texts and numbers can always be written.
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Line, level, line};

    #[test]
    fn a_line_has_its_fields_and_no_others() {
        let written = line(&Line {
            ts: "2027-01-15T08:00:00.000Z",
            level: level(503).name(),
            function: "documents",
            request_id: "r-1",
            method: "GET",
            route: "/sessions/{id}",
            status: 503,
            code: Some("upstream_unavailable"),
            user: Some("00000000000000ab".to_owned()),
            dur_ms: 12,
            db_ms: 0,
            retries: 2,
            breaker: "open",
        });
        assert_eq!(
            written,
            r#"{"ts":"2027-01-15T08:00:00.000Z","level":"error","function":"documents","request_id":"r-1","method":"GET","route":"/sessions/{id}","status":503,"code":"upstream_unavailable","user":"00000000000000ab","dur_ms":12,"db_ms":0,"retries":2,"breaker":"open"}"#
        );
    }
}
