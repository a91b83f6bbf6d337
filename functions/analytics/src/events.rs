//! `POST /`: events, one or many, each counted once.

use shared::answer::{self, Fault, Problem, code, problem::MAX_ERRORS};
use shared::auth;
use shared::edge::{CarriesToken, Signed};
use shared::host::Response;
use shared::http::{HeaderName, HeaderValue, StatusCode};
use shared::members::{Members, items};
use shared::request::{
    At, DateTime, Draft, Faults, Flag, FromRequest, Id, NOT_AN_OBJECT, Parts, Primary, ReadFields, Request, Source,
    Text, Value, Word, is_utf8, push, read_members, read_query,
};
use shared::serde::Serialize;
use shared::serde_json;
use shared::upstream::Database;

use crate::event::{EVENT_MAX_BYTES, Event, EventDraft};

/// Most events of a request.
pub(crate) const MAX_EVENTS: usize = 500;
/// Longest token read from a body, in characters: enough that one that is too long gets the same 401 as in the header.
const TOKEN_MAX_CHARS: usize = 64 * 1024;

const NOT_AN_ARRAY: Fault = Fault::new("wrong_type", "must be an array of events");
const NOT_JSON: Fault = Fault::new("invalid_json", "must be a line of JSON");
const OTHER_HANDLING: Fault = Fault::new("handling_mismatch", "differs from the Prefer header");
const OTHER_TOKEN: Fault = Fault::new("access_token_mismatch", "differs from the Authorization header");

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What the query may say.
#[derive(Debug, Request)]
pub(crate) struct Options {
    /// The request is a beacon: nobody reads its response, which is 204, and its good events are stored whatever is wrong
    /// with others.
    beacon: Option<Flag>,
    /// `lenient`: the good events are stored, and the response lists the others; as `Prefer: handling=lenient`, for pages
    /// behind gateways that allow no such header.
    handling: Option<Handling>,
}

/// What to do about events that are not valid (RFC 7240 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub(crate) enum Handling {
    /// Store the others.
    Lenient,
    /// Store none.
    Strict,
}

/// What is around the events of a batch.
#[derive(Debug, Request)]
pub(crate) struct Envelope {
    /// When the request was sent, by the client's clock: tells how wrong that is.
    sent_at: Option<DateTime>,
    /// The sender's token, for beacons, which can send no headers. Never in a URL.
    access_token: Option<Text<TOKEN_MAX_CHARS>>,
}

/// What may stand beside the fields of a single event.
#[derive(Debug, Request)]
pub(crate) struct Beside {
    /// The sender's token, for beacons.
    access_token: Option<Text<TOKEN_MAX_CHARS>>,
}

/// The parameters of the database function.
#[derive(Debug, Serialize)]
#[serde(crate = "shared::serde")]
struct RecordEvents {
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<DateTime>,
}

/// A request's events.
#[derive(Debug)]
pub(crate) struct Batch {
    record: RecordEvents,
    token: Option<String>,
    is_beacon: bool,
    /// For a lenient caller: what is wrong with the events that are left out.
    rejected: Option<Faults>,
}

impl CarriesToken for Batch {
    fn take_token(&mut self) -> Option<String> {
        self.token.take()
    }
}

/// Stores events.
pub(crate) async fn record(
    Signed { caller, input: batch }: Signed<Batch>,
    database: Database,
) -> Result<Response, Problem> {
    let mut response = database.call("record_events", &caller, &batch.record).await?;
    if batch.is_beacon {
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    if let Some(rejected) = batch.rejected {
        response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("handling=lenient"));
        let listed = rejected.get(..MAX_ERRORS).unwrap_or(&rejected);
        answer::add_member(&mut response, "rejected", &serde_json::to_string(listed).unwrap_or_default())?;
        if rejected.len() > MAX_ERRORS {
            let omitted = rejected.len() - MAX_ERRORS;
            answer::add_member(&mut response, "rejected_omitted", &omitted.to_string())?;
        }
    }
    Ok(response)
}

impl<S> FromRequest<S> for Batch {
    fn from_request(parts: &Parts<'_>, _: Primary, _: &S) -> Result<Self, Problem> {
        let content_type = parts.request.header("content-type");
        let is_sent_as = |media_type| content_type.is_some_and(|given| is_utf8(given, media_type));
        let mut reader = Reader::default();
        if is_sent_as("application/x-ndjson") {
            reader.lines(parts.body.text()?, parts);
        } else if content_type.is_none() || is_sent_as("application/json") || is_sent_as("text/plain") {
            reader.object(parts)?;
        } else {
            return Err(Problem::new(
                &code::UNSUPPORTED_MEDIA_TYPE,
                "Send events as application/json, application/x-ndjson or, from a beacon, text/plain, in UTF-8.",
            ));
        }
        let mut options = OptionsDraft::default();
        let mut faults = Faults::new();
        read_query(&parts.request.query, Source::Primary, &mut options, &mut faults);
        if let (Some(in_header), Some(in_body)) = (auth::bearer(parts.request)?, reader.token.valid())
            && *in_header != **in_body
        {
            push(&mut reader.faults, &At::Root.member("access_token"), OTHER_TOKEN);
        }
        let handling = options.handling.valid().copied();
        let is_beacon = options.beacon.valid().is_some();
        let preferred = preferred(parts.request.header("prefer").unwrap_or_default());
        if handling.is_some() && preferred.is_some() && handling != preferred {
            push(&mut reader.faults, &At::Root.member("handling"), OTHER_HANDLING);
        }
        let is_lenient = is_beacon || handling.or(preferred) == Some(Handling::Lenient);
        faults.append(&mut reader.faults);
        if !is_lenient || !faults.is_empty() {
            faults.append(&mut reader.rejected);
        }
        let (Some(options), Some(sent_at), Some(token)) =
            (options.finish(), reader.sent_at.optional(), reader.token.optional())
        else {
            return Err(Problem::invalid(faults));
        };
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        Ok(Self {
            record: RecordEvents { events: reader.events, sent_at },
            token: token.map(|token| token.to_string()),
            is_beacon: options.beacon.is_some(),
            rejected: is_lenient.then_some(reader.rejected),
        })
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn fields() -> shared::request::schema::Fields {
        crate::openapi::fields()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn bodies() -> Vec<(&'static str, serde_json::Value)> {
        crate::openapi::bodies()
    }
}

/// A batch while it is read.
#[derive(Default)]
struct Reader {
    sent_at: Draft<DateTime>,
    token: Draft<Text<TOKEN_MAX_CHARS>>,
    events: Vec<Event>,
    /// What is wrong around the events.
    faults: Faults,
    /// What is wrong with events that are left out.
    rejected: Faults,
}

impl Reader {
    /// Reads a body of JSON: a batch where it has `events`, and else one event.
    fn object(&mut self, parts: &Parts<'_>) -> Result<(), Problem> {
        let members = parts.body.members()?;
        match members.iter().position(|(name, _)| *name == "events") {
            Some(at) => {
                let mut around = members;
                let (_, events) = around.remove(at);
                let mut envelope = EnvelopeDraft::default();
                let around = around.into_iter().map(|(name, value)| (name, Value::Json(value)));
                read_members(around, Source::Primary, &mut envelope, &At::Root, &mut self.faults);
                (self.sent_at, self.token) = (envelope.sent_at, envelope.access_token);
                match serde_json::from_str(events).ok().and_then(items) {
                    Some(events) => self.all(events.into_iter().map(|event| Some(event.get())), parts),
                    None => push(&mut self.faults, &At::Root.member("events"), NOT_AN_ARRAY),
                }
            }
            None => self.one(members, parts),
        }
        Ok(())
    }

    /// Reads a body that is one event, perhaps with a token.
    fn one(&mut self, mut members: Vec<(&str, &str)>, parts: &Parts<'_>) {
        let mut bytes = parts.body.text().map_or(0, str::len);
        if let Some(at) = members.iter().position(|(name, _)| *name == "access_token") {
            let (name, token) = members.remove(at);
            bytes -= token.len();
            let mut beside = BesideDraft::default();
            let token = [(name, Value::Json(token))].into_iter();
            read_members(token, Source::Primary, &mut beside, &At::Root, &mut self.faults);
            self.token = beside.access_token;
        }
        let members = members.into_iter().map(|(name, value)| (name, Value::Json(value)));
        self.event(members, bytes, &At::Root, |draft, faults| {
            draft.id.identify(parts, &At::Root.member("id"), faults);
        });
    }

    /// Reads a line of JSON for each event. A line that is none, as one torn off, is a fault of its event.
    fn lines(&mut self, text: &str, parts: &Parts<'_>) {
        let lines = text.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.take(MAX_EVENTS + 1).collect();
        let is_json = |line: &&str| serde_json::from_str::<&serde_json::value::RawValue>(line).is_ok();
        self.all(lines.into_iter().map(|line| Some(line).filter(is_json)), parts);
    }

    /// Reads events, each as JSON, if it is any.
    fn all<'a>(&mut self, events: impl ExactSizeIterator<Item = Option<&'a str>>, parts: &Parts<'_>) {
        let at = At::Root.member("events");
        if events.len() > MAX_EVENTS {
            let too_many = Fault::bounded("too_many", format!("must be at most {MAX_EVENTS} events"));
            return push(&mut self.faults, &at, too_many);
        }
        // The ids of events that have none are made from the request's own: the same each time, if that comes as the
        // `Idempotency-Key`, so that a request sent again counts nothing twice.
        let mut id = Draft::<Id>::Missing;
        id.identify(parts, &At::Root.member("id"), &mut self.faults);
        let id = id.valid().copied().unwrap_or_else(|| (parts.make_id)());
        for (place, event) in events.enumerate() {
            let at = at.item(place);
            match event.map(|event| (event.len(), Members::parse(event))) {
                Some((bytes, Ok(members))) => {
                    let members = members.0.iter().map(|(name, value)| (&**name, Value::from(*value)));
                    self.event(members, bytes, &at, |draft, _| draft.identify(id.numbered(place + 1)));
                }
                Some((bytes, Err(_))) if bytes > EVENT_MAX_BYTES => push(&mut self.rejected, &at, too_large()),
                Some(_) => push(&mut self.rejected, &at, NOT_AN_OBJECT),
                None => push(&mut self.rejected, &at, NOT_JSON),
            }
        }
    }

    /// Reads an event of so many bytes of JSON, and adds it, or what is wrong with it. Of one that is too large nothing
    /// more is said, nor done with it.
    fn event<'a>(
        &mut self,
        members: impl ExactSizeIterator<Item = (&'a str, Value<'a>)>,
        bytes: usize,
        at: &At<'_>,
        identify: impl FnOnce(&mut EventDraft, &mut Faults),
    ) {
        let faults = &mut self.rejected;
        if bytes > EVENT_MAX_BYTES {
            return push(faults, at, too_large());
        }
        let before = faults.len();
        let mut draft = EventDraft::default();
        read_members(members, Source::Primary, &mut draft, at, faults);
        identify(&mut draft, faults);
        draft.require(at, faults);
        if faults.len() == before {
            self.events.extend(draft.finish());
        }
    }
}

fn too_large() -> Fault {
    Fault::bounded("too_large", format!("must be at most {EVENT_MAX_BYTES} bytes of JSON"))
}

/// The handling a `Prefer` header (RFC 7240) asks for, in the first preference that names one.
fn preferred(prefer: &str) -> Option<Handling> {
    prefer.split(',').find_map(|preference| match preference.trim_ascii() {
        one if one.eq_ignore_ascii_case("handling=lenient") => Some(Handling::Lenient),
        one if one.eq_ignore_ascii_case("handling=strict") => Some(Handling::Strict),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Handling, preferred};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn prefer_is_a_list() {
        for prefer in ["handling=lenient", "return=minimal, Handling=Lenient", "handling=lenient,wait=5"] {
            assert!(preferred(prefer) == Some(Handling::Lenient), "{prefer}");
        }
        for prefer in ["", "handling=strict", "handling", "lenient", "xhandling=lenient"] {
            assert_ne!(preferred(prefer), Some(Handling::Lenient), "{prefer}");
        }
    }

    proptest! {
        #[test]
        fn a_preference_counts_wherever_it_stands(before in "([a-z]{1,5}=[a-z]{1,5}, ?){0,3}", after in "(, ?[a-z]{1,5}){0,3}") {
            let joined = format!("{before}handling=lenient{after}");
            prop_assert_eq!(preferred(&joined), Some(Handling::Lenient));
            let strict = format!("{before}handling=strict{after}");
            prop_assert_eq!(preferred(&strict), Some(Handling::Strict));
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            let _ = preferred(&text);
        }
    }
}
