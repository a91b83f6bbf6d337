//! `POST /`: events, one or many, each counted once.

use shared::auth;
use shared::code;
use shared::form::{Field, Form, Kind};
use shared::function::{Exchange, Step, handed_on, parse};
use shared::http::Response;
use shared::id::Id;
use shared::json::{self, Object, Raw, quoted};
use shared::problem::{FieldError, MAX_ERRORS, Problem, Rule};
use shared::text::parts;

use crate::{date_time, event};

/// Most events of a request.
const MAX_EVENTS: usize = 500;
/// Longest token read from a body, in characters: long enough that what is too long is told as any other.
const TOKEN_MAX_CHARS: u32 = 64 * 1024;

static NOT_ONE: Rule = Rule { code: "not_allowed", detail: "must be 1" };
static NOT_AN_ARRAY: Rule = Rule { code: "wrong_type", detail: "must be an array of events" };
static TOO_MANY: Rule = Rule { code: "too_many", detail: "must be at most # events" };
static NOT_JSON: Rule = Rule { code: "invalid_json", detail: "must be a line of JSON" };
static OTHER_TOKEN: Rule = Rule { code: "access_token_mismatch", detail: "differs from the Authorization header" };

static PARAMETERS: &[Field] = &[Field::optional("beacon", Kind::Word(&["1"], &NOT_ONE))];

/// What stands around the events of a batch.
static ENVELOPE: &[Field] =
    &[Field::optional("sent_at", date_time::KIND), Field::optional(TOKEN, Kind::Text(TOKEN_MAX_CHARS))];
/// What stands beside the fields of a single event.
static BESIDE: &[Field] = &[Field::optional(TOKEN, Kind::Text(TOKEN_MAX_CHARS))];
/// A beacon can send no headers, so its token is in the body; nowhere is it in a URL.
const TOKEN: &str = "access_token";

/// What a request has for events without an id: its `Idempotency-Key`, and else an id made for it. With the former they
/// get the same ids each time, so that a request sent again counts nothing twice.
#[derive(Debug, Clone, Copy)]
struct Own<'a> {
    key: Option<&'a str>,
    made: &'a Id,
}

/// A request's events.
#[derive(Debug, Default)]
struct Batch {
    /// What is around them.
    envelope: Form,
    /// Those that can be stored, as JSON.
    events: Vec<String>,
    /// What is wrong with the others.
    errors: Vec<FieldError>,
}

/// Stores events.
pub(crate) fn record(exchange: &Exchange<()>) -> Result<Step, Problem> {
    let mut query = exchange.query(PARAMETERS);
    let text = exchange.text()?;
    let own = Own { key: exchange.idempotency_key(), made: &exchange.id };
    let mut batch = if exchange.is_sent_as("application/x-ndjson", false) {
        Batch::of_lines(text, own)
    } else if exchange.is_sent_as("application/json", true) || exchange.is_sent_as("text/plain", false) {
        Batch::of_body(parse(text)?, own)
    } else {
        return Err(Problem::new(
            &code::UNSUPPORTED_MEDIA_TYPE,
            "Send events as application/json, application/x-ndjson or, from a beacon, text/plain, in UTF-8.",
        ));
    };
    let token = batch.envelope.take_text(TOKEN);
    if let (Some(in_header), Some(in_body)) = (auth::bearer(exchange.request)?, &token)
        && in_header != in_body
    {
        batch.envelope.fault(TOKEN, OTHER_TOKEN.broken());
    }
    let is_lenient = is_lenient(exchange.request.header("prefer").unwrap_or_default());
    let mut errors = query.take_errors();
    errors.append(&mut batch.envelope.take_errors());
    if !is_lenient || !errors.is_empty() {
        errors.append(&mut batch.errors);
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    batch.envelope.put("events", json::array_of(batch.events.into_iter()));
    let is_beacon = query.json("beacon").is_some();
    let rejected = is_lenient.then_some(batch.errors);
    Ok(Step::call_as(token, "record_events", batch.envelope.object(), move |stored| {
        let mut response = handed_on(201, stored?)?;
        if let Some(rejected) = rejected {
            response.add("preference-applied", "handling=lenient");
            response.add_members(&told(&rejected));
        }
        Ok(if is_beacon { Response::empty(204) } else { response })
    }))
}

/// What a lenient caller is told of the events that were left out: members of the answer.
fn told(rejected: &[FieldError]) -> String {
    let mut members = json::ObjectWriter::new();
    members.raw("rejected", &json::array_of(rejected.iter().take(MAX_ERRORS).map(FieldError::to_json)));
    if rejected.len() > MAX_ERRORS {
        members.number("rejected_omitted", (rejected.len() - MAX_ERRORS) as u64);
    }
    members.finish()
}

impl Batch {
    /// A body of JSON: a batch where it has `events`, and else one event.
    fn of_body(body: Raw, own: Own) -> Self {
        let mut batch = Self::default();
        let Some(mut object) = Object::read(body) else {
            batch.envelope.add_members(None, ENVELOPE, "");
            return batch;
        };
        match object.members.iter().position(|(name, _)| name == "events") {
            Some(place) => {
                let (_, events) = object.members.remove(place);
                batch.envelope.add_members(Some(object), ENVELOPE, "");
                match events.array() {
                    Some(events) => batch.add_all(&events, own),
                    None => batch.envelope.fault("events", NOT_AN_ARRAY.broken()),
                }
            }
            None => {
                let mut bytes = body.text().len();
                if let Some(place) = object.members.iter().position(|(name, _)| name == TOKEN) {
                    let token = object.members.remove(place);
                    bytes -= token.1.text().len();
                    batch.envelope.add_members(Some(Object { members: vec![token] }), BESIDE, "");
                }
                let mut event = event::read(Some(object), bytes, "");
                event.identify(own.key, own.made);
                batch.add(event);
            }
        }
        batch
    }

    /// A line of JSON for each event. A line that is none, as one torn off, is a fault of its event.
    fn of_lines(text: &str, own: Own) -> Self {
        let mut batch = Self::default();
        let mut events = Vec::new();
        for line in parts(text, b'\n').map(str::trim_ascii).filter(|line| !line.is_empty()) {
            events.push(line);
            if events.len() > MAX_EVENTS {
                break;
            }
        }
        batch.add_all_of(events.len(), own, |place| events.get(place).and_then(|line| Raw::parse(line).ok()));
        batch
    }

    fn add_all(&mut self, events: &[Raw], own: Own) {
        self.add_all_of(events.len(), own, |place| events.get(place).copied());
    }

    /// Adds so many events, each of which `event` gives, if it is JSON.
    fn add_all_of<'a>(&mut self, count: usize, own: Own, event: impl Fn(usize) -> Option<Raw<'a>>) {
        if count > MAX_EVENTS {
            return self.envelope.fault("events", TOO_MANY.broken_at(MAX_EVENTS as u64));
        }
        self.envelope.identify(own.key, own.made);
        let id = self.envelope.take_text("id").as_deref().and_then(Id::parse).unwrap_or_else(|| own.made.clone());
        for place in 0..count {
            let mut at = String::from("/events/");
            json::push_number(&mut at, place as u64);
            match event(place) {
                Some(event) => {
                    let mut event = event::read(Object::read(event), event.text().len(), &at);
                    if event.json("id").is_none() {
                        event.put("id", quoted(id.numbered(place + 1).as_str()));
                    }
                    self.add(event);
                }
                None => self.errors.push(NOT_JSON.broken().at(&at, "")),
            }
        }
    }

    /// Adds an event, or what is wrong with it.
    fn add(&mut self, mut event: Form) {
        if event.errors().is_empty() {
            self.events.push(event.object());
        } else {
            self.errors.append(&mut event.take_errors());
        }
    }
}

/// Whether a `Prefer` header (RFC 7240) asks to go on without what is wrong.
fn is_lenient(prefer: &str) -> bool {
    parts(prefer, b',').any(|preference| preference.trim_ascii().eq_ignore_ascii_case("handling=lenient"))
}

#[cfg(test)]
mod tests {
    use super::is_lenient;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn prefer_is_a_list() {
        for prefer in ["handling=lenient", "return=minimal, Handling=Lenient", "handling=lenient,wait=5"] {
            assert!(is_lenient(prefer), "{prefer}");
        }
        for prefer in ["", "handling=strict", "handling", "lenient", "xhandling=lenient"] {
            assert!(!is_lenient(prefer), "{prefer}");
        }
    }

    proptest! {
        #[test]
        fn a_preference_counts_wherever_it_stands(before in "([a-z]{1,5}=[a-z]{1,5}, ?){0,3}", after in "(, ?[a-z]{1,5}){0,3}") {
            let joined = format!("{before}handling=lenient{after}");
            prop_assert!(is_lenient(&joined));
            let strict = format!("{before}handling=strict{after}");
            prop_assert!(!is_lenient(&strict));
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            let _ = is_lenient(&text);
        }
    }
}
