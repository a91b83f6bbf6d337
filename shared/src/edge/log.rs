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
    /// The trace the request belongs to (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<&'a str>,
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

/// The trace id of a `traceparent` (W3C Trace Context section 3.2): `00-<trace id>-<parent id>-<flags>`, in lower-case
/// hexadecimal digits. `None` if it is none, so that nothing else of a caller's gets into the log.
pub(super) fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let mut part = |length| {
        let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(|part| part.len() == length).filter(is_hex)
    };
    let (_, trace_id, _, _) = (part(2)?, part(32)?, part(16)?, part(2)?);
    trace_id.bytes().any(|byte| byte != b'0').then_some(trace_id)
}

/// The line's text.
pub(super) fn line(line: &Line<'_>) -> String {
    // A struct of texts and numbers can always be written.
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Line, level, line, trace_id};

    #[test]
    fn a_trace_id_is_read_only_where_it_is_one() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{id}-b7ad6b7169203331-01")), Some(id));
        for wrong in [
            "",
            "00-x-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "secret",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c",
        ] {
            assert_eq!(trace_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_has_its_fields_and_no_others() {
        let written = line(&Line {
            ts: "2027-01-15T08:00:00.000Z",
            level: level(503).name(),
            function: "documents",
            request_id: "r-1",
            trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
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
            r#"{"ts":"2027-01-15T08:00:00.000Z","level":"error","function":"documents","request_id":"r-1","trace_id":"0af7651916cd43dd8448eb211c80319c","method":"GET","route":"/sessions/{id}","status":503,"code":"upstream_unavailable","user":"00000000000000ab","dur_ms":12,"db_ms":0,"retries":2,"breaker":"open"}"#
        );
    }
}
