//! `POST /`: saves a message, making its session if it is new.

use shared::fields::{self, Fields};
use shared::function::Exchange;
use shared::host::Host;
use shared::http::Response;
use shared::id::Id;
use shared::json::{Object, ObjectWriter, Raw};
use shared::problem::Problem;

use crate::cursor::{Cursor, Order};
use crate::message::{Meta, Role, Text};
use crate::{ChatMessage, Settings};

/// A message to save.
#[derive(Debug)]
struct NewMessage<'a> {
    /// `None`: the client made none, and cannot ask for this message again.
    id: Option<Id>,
    session_id: Id,
    role: Role,
    text: Text,
    meta: Option<Meta<'a>>,
}

/// Saves a message.
pub(crate) async fn save<H: Host>(exchange: &Exchange<'_, H, ChatMessage>) -> Result<Response, Problem> {
    let caller = exchange.authenticate().await?;
    exchange.query().finish()?;
    let message = NewMessage::parse(exchange.body()?, exchange.request.header("idempotency-key"), exchange.settings)?;
    // The id is made before the first try, so that any retry is of the same message.
    let made;
    let id = match &message.id {
        Some(id) => id,
        None => {
            made = Id::new(exchange.host);
            &made
        }
    };
    let saved = exchange.rpc(&caller, "save_message", &message.arguments(id)).await?;
    answer(saved, &message.session_id)
}

impl<'a> NewMessage<'a> {
    fn parse(mut body: Fields<'a>, idempotency_key: Option<&str>, settings: &Settings) -> Result<Self, Problem> {
        let id = body.idempotency_id(idempotency_key);
        let session_id = body.required("session_id", fields::id);
        let role = body.required("role", Role::parse);
        let text = body.required("message", |value| Text::parse(value, role, settings.user_message_max_chars));
        let meta = body.optional("meta", Meta::parse);
        body.finish()?;
        let (Some(session_id), Some(role), Some(text)) = (session_id, role, text) else {
            return Err(Problem::invalid(Vec::new())); // unreachable: finish() reports a required field without value
        };
        Ok(Self { id, session_id, role, text, meta })
    }

    /// The parameters of `save_message`.
    fn arguments(&self, id: &Id) -> String {
        let mut arguments = ObjectWriter::new();
        arguments.string("session_id", self.session_id.as_str());
        arguments.string("id", id.as_str());
        arguments.string("role", self.role.name());
        arguments.string("message", self.text.as_str());
        if let Some(meta) = &self.meta {
            arguments.raw("meta", meta.as_json());
        }
        arguments.finish()
    }
}

/// The database's answer is the caller's; only the status and the location are read from it.
fn answer(saved: Vec<u8>, session_id: &Id) -> Result<Response, Problem> {
    let unexpected = || Problem::new(&shared::code::UPSTREAM_ERROR, "save_message did not answer with what it stored.");
    let object = Object::of_bytes(&saved).ok_or_else(unexpected)?;
    let replayed = object.get("replayed").and_then(Raw::boolean).ok_or_else(unexpected)?;
    let seq = object
        .get("message")
        .and_then(Object::read)
        .and_then(|message| message.get("seq")?.text().parse::<u64>().ok())
        .ok_or_else(unexpected)?;
    if replayed {
        return Ok(Response::json(200, saved));
    }
    // The page that holds this message and no other.
    let after = Cursor { order: Order::Desc, seq: seq + 1 }.encode();
    Ok(Response::json(201, saved).with("location", format!("?session_id={session_id}&limit=1&before={after}")))
}
