//! What leaves for the database: as the caller, as JSON, and saying what the request said.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::auth::bearer;
use shared::http::Method;
use shared::request::Word as _;

use super::reference::{Members, is_uuid, number};
use super::request::Told;

/// The functions of the database that a function calls, each with whether one may call it who has no token. An operation
/// in its OpenAPI document is named after the one it calls.
#[derive(Debug)]
pub(crate) struct Calls(Vec<(String, bool)>);

impl Calls {
    /// Those in a document.
    pub(crate) fn of(document: Result<Value, String>) -> Self {
        let document = document.unwrap_or_default();
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        let operations = paths.filter_map(|(_, path)| path.as_object()).flat_map(|path| path.values());
        let calls = operations.filter_map(|operation| {
            let name = operation.get("operationId")?.as_str()?.to_owned();
            let security = operation.get("security")?.as_array()?;
            Some((name, security.contains(&json!({}))))
        });
        // Every function's deep health check calls this one.
        Self(calls.chain([(IS_THERE.to_owned(), true)]).collect())
    }
}

const IS_THERE: &str = "database_is_there";
/// Given, and not for the database.
const KEPT: &[&str] = &["access_token", "apikey", "before", "deep", "forceFunctionRegion", "format", "version"];
/// Stored as they were written, to the last digit.
const STORED: &[&str] = &["details", "event_data", "meta", "parts", "summary_data"];
/// Sent as the number they are, however it was written.
const MEASURED: &[&str] = &["confidence", "inference_time_ms"];

/// Holds what was sent to the rules.
pub(crate) fn judge(told: &Told, calls: &Calls) -> Result<(), String> {
    let Some(first) = told.sent.first() else {
        let is_read = told.response.status < 300 && told.request.method == Method::POST;
        ensure!(!is_read, "a write that never left: {}", told.response.status);
        return Ok(());
    };
    ensure!(told.sent.len() <= 4, "it never gives up: {}", told.sent.len());
    let is_same = told
        .sent
        .iter()
        .all(|sent| (&sent.url, &sent.headers, &sent.body) == (&first.url, &first.headers, &first.body));
    ensure!(is_same, "a retry is of another thing: {:?}", told.sent);
    let called = first.url.strip_prefix("https://abc.supabase.co/rest/v1/rpc/").unwrap_or_default();
    let Some((_, is_public)) = calls.0.iter().find(|(name, _)| name == called) else {
        return Err(format!("an unknown function: {}", first.url));
    };
    let text = first.body.as_deref().unwrap_or_default();
    match serde_json::from_str::<Value>(text) {
        Err(error) if !error.to_string().contains("out of range") => {
            return Err(format!("no JSON is sent: {error} {text}"));
        }
        _ => {}
    }
    let arguments = Members::of(text).ok_or_else(|| format!("no object is sent: {text}"))?;
    ensure!(!arguments.repeats(), "an argument stands twice: {text}");
    let query: Vec<_> = form_urlencoded::parse(told.request.query.as_bytes()).collect();
    let quoted: Vec<_> = query.iter().map(|(_, value)| Value::from(&**value).to_string()).collect();
    let body = std::str::from_utf8(told.body.as_deref().unwrap_or_default()).unwrap_or_default();
    let given = match told.request.method.as_str() {
        "GET" | "HEAD" | "DELETE" => {
            let values = query.iter().zip(&quoted);
            Members(values.filter_map(|((name, _), value)| Some((name.to_string(), raw(value)?))).collect())
        }
        _ => Members::of(body).unwrap_or_default(),
    };
    headers(told, &given, *is_public && called == IS_THERE, *is_public)?;
    let arguments = flat(arguments);
    bounds(&arguments)?;
    if called == "record_events" { events(told, &arguments, &given, body) } else { fields(told, &arguments, &given) }
}

/// What is to change stands in an object of its own, and came as fields.
fn flat(arguments: Members) -> Members {
    let changes = arguments.get("changes").and_then(Members::of).unwrap_or_default();
    let rest = arguments.0.into_iter().filter(|(name, _)| name != "changes");
    Members(rest.chain(changes.0).collect())
}

/// Whether every argument, all the way down, is within what the database takes.
fn bounds(arguments: &Members) -> Result<(), String> {
    for (name, value) in &arguments.0 {
        let value = value.get();
        let text = serde_json::from_str::<String>(value).ok();
        let number = || number(value).unwrap_or(-1.0);
        let characters = |most| text.as_ref().is_some_and(|text| (1..=most).contains(&text.chars().count()));
        let is_among = |words: &[&str]| text.as_ref().is_some_and(|text| words.contains(&&**text));
        let is_within = match name.as_str() {
            "id" | "session_id" | "before_id" => text.as_ref().is_some_and(|text| is_uuid(text)),
            "expected_version" => value.parse::<i32>().is_ok_and(|version| version >= 0),
            "limit" => (1.0..=200.0).contains(&number()),
            "days" => (1.0..=365.0).contains(&number()),
            "confidence" => (0.0..=1.0).contains(&number()),
            "inference_time_ms" => number() >= 0.0 && number().is_finite(),
            "role" => is_among(&chat_message::Role::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>()),
            "log_level" => is_among(&analytics::LogLevel::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>()),
            "message" if arguments.string("role").as_deref() == Some(chat_message::Role::User.word()) => {
                characters(chat_message::USER_MESSAGE_MAX_CHARS)
            }
            "message" => characters(chat_message::MESSAGE_MAX_CHARS),
            "title" => value == "null" || characters(200),
            "after" => value.parse::<i32>().is_ok_and(|seq| seq >= 0),
            "response" | "trigger_phrase" => characters(1000),
            "error_trace" => characters(16_000),
            "component" | "model" => characters(128),
            "label" | "method" | "fsm_state" | "event" | "event_type" | "machine" => characters(64),
            "intent" | "risk" => bounds(&Members::of(value).ok_or("no object")?).is_ok(),
            _ => true,
        };
        ensure!(is_within, "out of bounds: {name} {value}");
        ensure!(!text.is_some_and(|text| text.contains('\0')), "a NUL character is sent: {name}");
    }
    Ok(())
}

fn raw(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

/// Whether the body is a line of JSON for each event.
fn is_lines(told: &Told) -> bool {
    let content_type = told.request.header("content-type").unwrap_or_default();
    content_type.to_ascii_lowercase().starts_with("application/x-ndjson")
}

/// Who it is sent as: the caller, by the token they brought, and nobody else.
fn headers(told: &Told, given: &Members, is_nobody: bool, is_public: bool) -> Result<(), String> {
    let brought = bearer(&told.request).ok().flatten().map(str::to_owned);
    // A line is an event, and an event carries no token.
    let in_body = given.string("access_token").filter(|_| !is_lines(told)).map(|token| token.trim().to_owned());
    let is_one = brought.is_none() || in_body.is_none() || brought == in_body;
    ensure!(is_one, "two tokens are taken: {brought:?} {in_body:?}");
    let brought = brought.or(in_body);
    let brought = brought.filter(|_| !is_nobody).map(|token| format!("Bearer {token}"));
    ensure!(brought.is_some() || is_public, "sent for nobody: {:?}", told.sent);
    for (name, value) in told.sent.iter().flat_map(|sent| &sent.headers) {
        let expected = match *name {
            "authorization" => brought.clone(),
            "apikey" => Some("sb_publishable_x".to_owned()),
            "content-type" => Some("application/json".to_owned()),
            "x-request-id" => told.response.header("x-request-id").map(str::to_owned),
            "traceparent" | "tracestate" => told.request.header(*name).map(str::to_owned),
            _ => None,
        };
        ensure!(expected.as_ref() == Some(value), "a header of somebody else: {name} {value}");
    }
    let has = |name| told.sent.iter().all(|sent| sent.headers.iter().any(|(known, _)| *known == name));
    ensure!(has("apikey") && has("authorization") == brought.is_some(), "a header is lost: {:?}", told.sent);
    Ok(())
}

/// Whether the arguments say what the fields said, no less and no more.
fn fields(told: &Told, arguments: &Members, given: &Members) -> Result<(), String> {
    ensure!(!given.repeats(), "a field that stands twice is taken: {:?}", given.0);
    for (name, value) in &given.0 {
        let is_left = KEPT.contains(&name.as_str()) || value.get() == "null";
        ensure!(is_left || arguments.get(name).is_some(), "a field is lost: {name} {}", value.get());
    }
    let header = |name: &str| told.request.header(name).unwrap_or_default();
    for (name, other) in [("id", unquoted(header("idempotency-key"))), ("expected_version", tag(header("if-match")))] {
        let given =
            given.get(name).filter(|given| *given != "null").unwrap_or_default().trim_matches('"').to_lowercase();
        let other = other.trim_matches('"').to_lowercase();
        let is_same = other.trim_start_matches('0') == given.trim_start_matches('0');
        ensure!(given.is_empty() || ["", "*"].contains(&&*other) || is_same, "two values are taken: {given} {other}");
    }
    for (name, value) in &arguments.0 {
        let value = value.get();
        // Taken away, where `null` says so.
        if value == "null" && given.get(name) == Some("null") {
            continue;
        }
        if let Some(given) = given.get(name).filter(|given| *given != "null" && name != "before") {
            ensure!(is_same(name, value, given), "a field is changed: {name} {given} {value}");
            continue;
        }
        let text = serde_json::from_str::<String>(value).unwrap_or_default();
        let is_right = match name.as_str() {
            "id" => is_uuid(&text) && ["", &text].contains(&&*unquoted(header("idempotency-key")).to_lowercase()),
            "session_id" => is_uuid(&text) && told.request.path.to_lowercase().contains(&text),
            "before_id" => is_uuid(&text),
            "summary_type" => told.request.path.trim_end_matches('/').ends_with(&text),
            "order" => matches!(&*text, "asc" | "desc"),
            "before" | "before_time" => value.parse::<i64>().is_ok_and(|number| number >= 0),
            "expected_version" => {
                tag(header("if-match")).trim_matches('"').trim_start_matches('0') == value.trim_start_matches('0')
            }
            _ => false,
        };
        ensure!(is_right, "a field from nowhere: {name} {value}");
    }
    Ok(())
}

/// An entity tag, weak or strong (RFC 9110 section 8.8.3).
fn tag(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// An `Idempotency-Key`, which may be a quoted string.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key)
}

/// Whether a value is what was given: texts without the white space around them, ids in lower case, query parameters as
/// the numbers they say, fractions and amounts as the same number, and all else as it was written.
fn is_same(name: &str, sent: &str, given: &str) -> bool {
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    if name == "include" {
        let words = serde_json::from_str::<Vec<String>>(sent).unwrap_or_default();
        return text(given) == Some(words.join(","));
    }
    match (text(sent), text(given)) {
        (Some(sent), Some(given)) => sent == given.trim() || is_uuid(&given) && sent == given.to_lowercase(),
        (None, Some(given)) => given.parse::<u64>().is_ok_and(|given| sent.parse() == Ok(given)),
        _ if STORED.contains(&name) => sent == given,
        _ if MEASURED.contains(&name) => number(given).is_some_and(|given| number(sent) == Some(given)),
        _ => match (Members::of(sent), Members::of(given)) {
            (Some(sent), Some(given)) => {
                let is_kept = |(name, value): &(String, &RawValue)| {
                    value.get() == "null" || sent.get(name).is_some_and(|sent| is_same(name, sent, value.get()))
                };
                given.0.iter().all(is_kept) && sent.0.iter().all(|(name, _)| given.get(name).is_some())
            }
            _ => sent == given,
        },
    }
}

/// Whether the events that were sent are those that were given, in their order, each with an id of its own.
fn events(told: &Told, arguments: &Members, given: &Members, body: &str) -> Result<(), String> {
    let all: Vec<&str> = if is_lines(told) {
        body.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty()).collect()
    } else if let Some(events) = given.get("events") {
        serde_json::from_str::<Vec<&RawValue>>(events).unwrap_or_default().into_iter().map(RawValue::get).collect()
    } else {
        vec![body]
    };
    let is_alone = !is_lines(told) && given.get("events").is_none();
    let prefer = told.request.header("prefer").unwrap_or_default();
    let is_asked =
        |(name, value): (Cow<'_, str>, Cow<'_, str>)| name == "beacon" || name == "handling" && value == "lenient";
    let is_lenient = prefer.split(',').any(|one| one.trim().eq_ignore_ascii_case("handling=lenient"))
        || form_urlencoded::parse(told.request.query.as_bytes()).any(is_asked);
    let sent = arguments.get("events").and_then(|events| serde_json::from_str::<Vec<&RawValue>>(events).ok());
    let sent = sent.ok_or("events are no array")?;
    ensure!(sent.len() <= 500 && all.len() <= 500, "more than 500 events: {}", sent.len());
    ensure!(is_lenient || sent.len() == all.len(), "events are lost: {} of {}", sent.len(), all.len());
    let mut rest = all.iter().copied();
    let (mut theirs, mut made, mut ids) = (HashSet::new(), 0, HashSet::new());
    for event in &sent {
        let event = Members::of(event.get()).ok_or("an event is no object")?;
        bounds(&event)?;
        let is_of = |given: &&str| Members::of(given).is_some_and(|given| is_event(&event, &given, is_alone));
        let given = rest.find(is_of).ok_or_else(|| format!("an event from nowhere: {:?}", event.0))?;
        let id = event.string("id").filter(|id| is_uuid(id)).ok_or("an event without an id")?;
        match Members::of(given).and_then(|given| given.string("id")) {
            Some(given) => {
                theirs.insert(given.to_lowercase());
            }
            None => made += 1,
        }
        ids.insert(id);
    }
    ensure!(ids.len() == theirs.len() + made, "two events have one id: {ids:?}");
    if matches!(told.response.status, 200 | 201) {
        let is_told = is_told(&told.response.text());
        ensure!(is_told == (sent.len() < all.len()), "events are lost in silence: {is_told}");
        let applied = told.response.header("preference-applied").is_some();
        ensure!(applied == is_lenient, "a preference is told wrong: {applied}");
    }
    let around = arguments.0.iter().filter(|(name, _)| name != "events").all(|(name, value)| {
        name == "sent_at" && given.get(name).is_some_and(|given| is_same(name, value.get(), given))
    });
    ensure!(around, "something else goes with the events: {:?}", arguments.0);
    Ok(())
}

/// Whether a response lists rejected events. The list stands at the end of what the database said, which need not be JSON.
fn is_told(text: &str) -> bool {
    let (_, list) = text.rsplit_once("\"rejected\":").unwrap_or_default();
    let list = list.strip_suffix('}').unwrap_or_default();
    let list = list.rsplit_once(",\"rejected_omitted\":").map_or(list, |(list, _)| list);
    serde_json::from_str::<Vec<Value>>(list).is_ok_and(|list| !list.is_empty())
}

/// Whether an event says what was given, but for an id that was made and, where it is the whole body, the sender's token.
fn is_event(event: &Members, given: &Members, is_alone: bool) -> bool {
    let is_kept = |(name, value): &(String, &RawValue)| {
        value.get() == "null"
            || is_alone && name == "access_token"
            || event.get(name).is_some_and(|sent| is_same(name, sent, value.get()))
    };
    !given.repeats()
        && given.0.iter().all(is_kept)
        && event.0.iter().all(|(name, _)| name == "id" || given.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn what_a_function_calls_is_what_its_document_says() {
        let Calls(mut calls) = Calls::of(analytics::openapi());
        calls.sort();
        let expected = [
            ("database_is_there", true),
            ("get_analytics_summary", false),
            ("health", true),
            ("record_events", true),
            ("record_log", true),
        ];
        assert_eq!(calls, expected.map(|(name, is_public)| (name.to_owned(), is_public)));
    }
}
