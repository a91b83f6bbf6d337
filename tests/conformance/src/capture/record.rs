//! The record as it is on disk, one entry a line.

use serde_json::Value;

use devstack::error::{Error, Result};

/// A header as it came.
type Header = (String, String);

/// All entries, in order.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Sent(Sent),
    Asked(Asked),
    /// Others are missing.
    Incomplete,
}

/// A function's request upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub(super) method: String,
    /// Path and query.
    pub target: String,
    /// Every header, names in lower case.
    pub headers: Vec<Header>,
    /// The line it was read from: everything there is of it.
    pub(super) raw: String,
}

/// A client's request to a function, and its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<Header>,
    body_token: Option<String>,
    pub(super) status: u64,
    pub(super) code: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Record {
    pub(super) fn read(text: &str) -> Result<Self> {
        let line = |line: &str| entry(line).ok_or_else(|| Error::new(format!("the record has a strange line: {line}")));
        Ok(Self { entries: text.lines().map(line).collect::<Result<_>>()? })
    }

    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.entries.iter().filter_map(|entry| if let Entry::Sent(sent) = entry { Some(sent) } else { None })
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = &Asked> {
        self.entries.iter().filter_map(|entry| if let Entry::Asked(asked) = entry { Some(asked) } else { None })
    }
}

impl Sent {
    /// Whether it calls a database function. A token in a URL ends up in logs, so nothing may follow the name.
    pub(super) fn is_call(&self) -> bool {
        let name = self.target.strip_prefix("/rest/v1/rpc/");
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        self.method == "POST" && name.is_some_and(|name| !name.is_empty() && is_name(name))
    }

    /// The values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.headers, name)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(super) fn request_id(&self) -> Option<&str> {
        self.header("x-request-id")
    }

    /// For a person to read: no token in it.
    pub(super) fn line(&self) -> String {
        format!("{} {} ({})", self.method, self.target, self.request_id().unwrap_or("no request id"))
    }
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        all(&self.headers, name).first().copied()
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The token in `Authorization`, its scheme in any case; without that header, the one in the body.
    pub(super) fn token(&self) -> Option<&str> {
        let Some(header) = self.header("authorization") else { return self.body_token.as_deref() };
        let (scheme, token) = header.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
    }

    pub(super) fn line(&self) -> String {
        let code = self.code.as_deref().unwrap_or("no problem");
        format!("{} {} -> {} {code}", self.method, self.target, self.status)
    }
}

fn all<'a>(headers: &'a [Header], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

/// Reads a line; `None` where it is no entry.
pub(super) fn entry(line: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let headers = || value.get("headers")?.as_array()?.iter().map(header).collect::<Option<Vec<_>>>();
    Some(match value.get("from")?.as_str()? {
        "recorder" => Entry::Incomplete,
        "function" => Entry::Sent(Sent {
            method: text("method")?,
            target: text("target")?,
            headers: headers()?,
            raw: line.to_owned(),
        }),
        "client" => Entry::Asked(Asked {
            method: text("method")?,
            target: text("target")?,
            headers: headers()?,
            body_token: text("body_token"),
            status: value.get("status")?.as_u64()?,
            code: text("code"),
            request_id: text("request_id"),
        }),
        _ => return None,
    })
}

fn header(value: &Value) -> Option<Header> {
    match value.as_array()?.as_slice() {
        [name, value] => Some((name.as_str()?.to_owned(), value.as_str()?.to_owned())),
        _ => None,
    }
}
