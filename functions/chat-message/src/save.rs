//! `POST /`: saves a message, making its session if it is new.

use shared::answer::Problem;
use shared::auth::Caller;
use shared::edge::Input;
use shared::host::Response;
use shared::request::{
    Amount, At, DateTime, Faults, Fraction, Id, JsonArray, JsonObject, Name, Request, Text, Word, push,
};
use shared::upstream::Database;

use crate::Settings;

/// Longest message of a user unless configured otherwise, in characters (Unicode scalar values).
pub const USER_MESSAGE_MAX_CHARS: usize = 1000;
/// Longest message of a user, however it is configured, in characters: what the database holds.
pub const USER_MESSAGE_MOST_CHARS: usize = 8000;
/// Longest message of a bot or the system, in characters: what the database holds.
pub const MESSAGE_MAX_CHARS: usize = 65_536;
/// Largest array of parts, in bytes as the caller wrote it.
const PARTS_MAX_BYTES: usize = 256 * 1024;
/// Largest object stored with a message, in bytes as the caller wrote it.
const OBJECT_MAX_BYTES: usize = 8 * 1024;
/// Longest label, and longest name of a method or a state, in characters: free text, because a closed list made the
/// original's own writes fail.
const LABEL_MAX_CHARS: usize = 64;
/// Longest words that gave a risk away, in characters.
const TRIGGER_MAX_CHARS: usize = 1000;
/// Longest name of a model, in characters.
const MODEL_MAX_CHARS: usize = 128;

/// A message to save.
#[derive(Debug, Request)]
#[request(settings = Settings, check = user_limit)]
pub(crate) struct SaveMessage {
    /// Made by the client, so that the message can be sent again; or the `Idempotency-Key` header. One is made if both
    /// are missing.
    #[request(idempotency_key)]
    pub(crate) id: Id,
    /// Made by the client; the session is made with its first message.
    pub(crate) session_id: Id,
    /// Whose message it is.
    pub(crate) role: Role,
    /// The text: 1 to 1000 characters for `user`, to 65,536 for the others, without the white space around it.
    pub(crate) message: Text<MESSAGE_MAX_CHARS>,
    /// What an AI SDK calls the parts of a message: an array, at most 256 KiB and 64 levels, stored as you wrote it.
    pub(crate) parts: Option<JsonArray<PARTS_MAX_BYTES>>,
    /// An object of the client's, at most 8 KiB and 16 levels, stored as it is.
    pub(crate) meta: Option<JsonObject<OBJECT_MAX_BYTES>>,
    /// What the message was taken for.
    pub(crate) intent: Option<Intent>,
    /// A danger that was seen in it. Every response then has `crisis`, errors too.
    pub(crate) risk: Option<Risk>,
    /// The machine of a session that this begins; until its first move, the machine to put it on. The database's
    /// setting `default_machine` if not given.
    pub(crate) machine: Option<Name>,
    /// When it was written, by the client's clock: an outbox sends late. Stored, never ordered by.
    pub(crate) written_at: Option<DateTime>,
}

/// Whose message it is. The database's CHECK has the same words; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub enum Role {
    /// The person.
    User,
    /// The program that responds.
    Bot,
    /// Neither: a note between the two.
    System,
}

/// What a message was taken for.
#[derive(Debug, Request)]
pub(crate) struct Intent {
    /// Such as `greeting`.
    pub(crate) label: Text<LABEL_MAX_CHARS>,
    /// How sure the classifier was, from 0 to 1.
    pub(crate) confidence: Option<Fraction>,
    /// Such as `rule_based`.
    pub(crate) method: Text<LABEL_MAX_CHARS>,
    /// The state of the conversation at that moment.
    pub(crate) fsm_state: Option<Text<LABEL_MAX_CHARS>>,
    /// How long the classifier took, in milliseconds.
    pub(crate) inference_time_ms: Option<Amount>,
}

/// A danger that was seen in a message.
#[derive(Debug, Request)]
pub(crate) struct Risk {
    /// Such as `self_harm`.
    pub(crate) label: Text<LABEL_MAX_CHARS>,
    /// The words that gave it away.
    pub(crate) trigger_phrase: Option<Text<TRIGGER_MAX_CHARS>>,
    /// How sure the detector was, from 0 to 1.
    pub(crate) confidence: Option<Fraction>,
    /// Such as `keyword`.
    pub(crate) method: Option<Text<LABEL_MAX_CHARS>>,
    /// The model that saw it.
    pub(crate) model: Option<Text<MODEL_MAX_CHARS>>,
    /// An object of the client's, at most 8 KiB and 16 levels, stored as it is.
    pub(crate) details: Option<JsonObject<OBJECT_MAX_BYTES>>,
}

/// Holds a user's message to the configured limit. One of an unknown role is held to the widest.
fn user_limit(draft: &SaveMessageDraft, settings: &Settings, faults: &mut Faults) {
    let limit = settings.user_message_max_chars;
    if let (Some(Role::User), Some(message)) = (draft.role.valid(), draft.message.valid())
        && message.characters() > limit
    {
        push(faults, &At::Root.member("message"), Text::<MESSAGE_MAX_CHARS>::too_long(limit));
    }
}

/// Saves a message.
pub(crate) async fn save(
    caller: Caller,
    Input(message): Input<SaveMessage>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("save_message", &caller, &message).await
}
