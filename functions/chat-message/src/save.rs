//! `POST /`: saves a message, making its session if it is new.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step, unexpected};
use shared::http::{Request, Response};
use shared::json::{Object, Raw};
use shared::problem::{Problem, Rule};
use shared::text::concat;

use crate::Settings;
use crate::crisis;
use crate::cursor::{self, Order};

/// Longest message of a user unless configured otherwise, in characters (Unicode scalar values).
pub const USER_MESSAGE_MAX_CHARS: usize = 1000;
/// Longest message of anyone, in characters: what the database holds.
pub const MESSAGE_MAX_CHARS: usize = 8000;
/// Largest object stored with a message, in bytes as the caller wrote it.
const OBJECT_MAX_BYTES: u32 = 8 * 1024;
/// Longest label, and longest name of a method or a state, in characters: free text, because a closed list made the
/// original's own writes fail.
const LABEL_MAX_CHARS: u32 = 64;
/// Longest words that gave a risk away, in characters.
const TRIGGER_MAX_CHARS: u32 = 1000;
/// Longest name of a model, in characters.
const MODEL_MAX_CHARS: u32 = 128;

/// Whose message it is. The database's CHECK has the same words; a test holds the two together.
pub const ROLES: [&str; 3] = ["user", "bot", "system"];
static NOT_A_ROLE: Rule = Rule { code: "not_allowed", detail: "must be user, bot or system" };

static FIELDS: &[Field] = &[
    Field::optional("id", Kind::Id),
    Field::required("session_id", Kind::Id),
    Field::required("role", Kind::Word(&ROLES, &NOT_A_ROLE)),
    Field::required("message", Kind::Text(MESSAGE_MAX_CHARS as u32)),
    Field::optional("meta", Kind::Object(OBJECT_MAX_BYTES)),
    Field::optional("intent", Kind::Fields(INTENT)),
    Field::optional(RISK_FIELD, Kind::Fields(RISK)),
];
/// The field that makes the answer bring help along.
const RISK_FIELD: &str = "risk";
static INTENT: &[Field] = &[
    Field::required("label", Kind::Text(LABEL_MAX_CHARS)),
    Field::optional("confidence", Kind::Fraction),
    Field::required("method", Kind::Text(LABEL_MAX_CHARS)),
    Field::optional("fsm_state", Kind::Text(LABEL_MAX_CHARS)),
    Field::optional("inference_time_ms", Kind::Amount),
];
static RISK: &[Field] = &[
    Field::required("label", Kind::Text(LABEL_MAX_CHARS)),
    Field::optional("trigger_phrase", Kind::Text(TRIGGER_MAX_CHARS)),
    Field::optional("confidence", Kind::Fraction),
    Field::optional("method", Kind::Text(LABEL_MAX_CHARS)),
    Field::optional("model", Kind::Text(MODEL_MAX_CHARS)),
    Field::optional("details", Kind::Object(OBJECT_MAX_BYTES)),
];

/// Saves a message.
pub(crate) fn save(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    let mut form = exchange.body(FIELDS)?;
    form.identify(exchange.idempotency_key(), &exchange.id);
    // A message of an unknown role is held to the widest limit.
    if form.json("role") == Some("\"user\"") {
        form.limit("message", exchange.settings.user_message_max_chars);
    }
    let arguments = form.arguments()?;
    let session_id = form.text("session_id").unwrap_or_default();
    let is_risky = form.json(RISK_FIELD).is_some();
    Ok(Step::call("save_message", arguments, move |saved| answer(saved?, &session_id, is_risky)))
}

/// The database's answer is the caller's; only the status and the location are read from it.
fn answer(saved: Vec<u8>, session_id: &str, is_risky: bool) -> Result<Response, Problem> {
    let object = Object::of_bytes(&saved).ok_or_else(unexpected)?;
    let replayed = object.get("replayed").and_then(Raw::boolean).ok_or_else(unexpected)?;
    let message = object.get("message").and_then(Object::read).ok_or_else(unexpected)?;
    let seq = message.get("seq").and_then(|seq| shared::json::digits(seq.text()));
    let after = seq.and_then(|seq| seq.checked_add(1)).ok_or_else(unexpected)?;
    let mut response = Response::json(if replayed { 200 } else { 201 }, saved);
    if is_risky {
        crisis::add_to(&mut response);
    }
    if !replayed {
        // The page that holds this message and no other.
        let cursor = cursor::encode(Order::Desc, after);
        response.add("location", concat(&["?session_id=", session_id, "&limit=1&before=", &cursor]));
    }
    Ok(response)
}

/// Whether a request to save a message says that its writer may be in danger. In doubt it does: a body that cannot be
/// read may have said so.
pub(crate) fn may_be_risky(request: &Request) -> bool {
    // Any member of that name, should it stand twice.
    let is_risk = |(name, value): &(String, Raw)| name == RISK_FIELD && !value.is_null();
    Object::of_bytes(&request.body).is_none_or(|body| body.members.iter().any(is_risk))
}
