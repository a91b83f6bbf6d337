//! The request log: one JSON line a request, with nothing in it that the caller wrote but the request id.

use std::cell::Cell;

use crate::config::Level;
use crate::id::push_hex;
use crate::json::ObjectWriter;

/// What becomes known of a request while it is answered. Times are in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The operation, as a pattern: never the path itself, which has ids in it.
    pub(crate) route: Cell<&'static str>,
    /// The caller, as a hash.
    pub(crate) user: Cell<Option<u64>>,
    /// How long verifying the caller took.
    pub(crate) auth_ms: Cell<u64>,
    /// How long the database took, all tries together.
    pub(crate) db_ms: Cell<u64>,
    /// How often the call was tried again.
    pub(crate) retries: Cell<u64>,
}

/// What a line says besides.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) ts: &'a str,
    pub(crate) function: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
    pub(crate) total_ms: u64,
    pub(crate) breaker: &'static str,
}

impl Line<'_> {
    /// How much the line matters: failures are errors, refusals warnings.
    pub(crate) fn level(&self) -> Level {
        match self.status {
            500.. => Level::Error,
            400.. => Level::Warn,
            _ => Level::Info,
        }
    }

    /// The line.
    pub(crate) fn to_json(&self, record: &Record) -> String {
        let mut line = ObjectWriter::new();
        line.string("ts", self.ts);
        line.string("level", self.level().name());
        line.string("function", self.function);
        line.string("request_id", self.request_id);
        line.string("method", self.method);
        line.string("route", record.route.get());
        line.number("status", self.status.into());
        if let Some(code) = self.code {
            line.string("code", code);
        }
        if let Some(user) = record.user.get() {
            let mut text = String::new();
            for byte in user.to_be_bytes() {
                push_hex(&mut text, byte);
            }
            line.string("user", &text);
        }
        line.number("dur_ms", self.total_ms);
        line.number("db_ms", record.db_ms.get());
        line.number("retries", record.retries.get());
        line.string("breaker", self.breaker);
        line.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Record};

    #[test]
    fn a_line_has_its_fields_and_no_others() {
        let record = Record::default();
        record.route.set("/sessions/{id}");
        record.user.set(Some(0xab));
        record.retries.set(2);
        let line = Line {
            ts: "2027-01-15T08:00:00.000Z",
            function: "documents",
            request_id: "r-1",
            method: "GET",
            status: 503,
            code: Some("upstream_unavailable"),
            total_ms: 12,
            breaker: "open",
        };
        assert_eq!(
            line.to_json(&record),
            r#"{"ts":"2027-01-15T08:00:00.000Z","level":"error","function":"documents","request_id":"r-1","method":"GET","route":"/sessions/{id}","status":503,"code":"upstream_unavailable","user":"00000000000000ab","dur_ms":12,"db_ms":0,"retries":2,"breaker":"open"}"#
        );
    }
}
