//! A function: what each one brings.
//!
//! That is a list of operations ([`Operation`]), and of each only what is its own: a plan (from the request to one call of
//! a database function) and an answer (from what the database said to the response). Neither waits for anything or knows
//! a host. The way a request goes through them is [`Edge`](crate::edge::Edge)'s.

use crate::code::{self, Code};
use crate::config::Variables;
use crate::form::{Field, Form};
use crate::http::{BodyError, Request, Response};
use crate::id::Id;
use crate::json::{self, Object, ObjectWriter, Raw, push_number};
use crate::postgrest::Raised;
use crate::problem::Problem;
use crate::text::{cut, parts};

/// What one edge function brings: its name, its limits, its resources and how they answer.
pub trait Function: Sized + 'static {
    /// Name, as in the URL: `/functions/v1/<NAME>`.
    const NAME: &'static str;
    /// Version of the crate, told by `/health`.
    const VERSION: &'static str;
    /// Longest request body read, in bytes.
    const BODY_LIMIT: usize;
    /// The problems its database functions raise.
    const RAISED: &'static [Raised];
    /// Configuration of its own.
    type Settings: 'static;

    /// Reads its own variables. What is wrong is remembered in `variables`.
    fn settings(variables: &mut Variables) -> Self::Settings;

    /// The operations of the resource at a path below the function. None: no such resource.
    fn resource(path: &[&str]) -> &'static [Operation<Self::Settings>];

    /// Adds to what `/health` tells.
    fn health(_body: &mut ObjectWriter) {}

    /// Adds to a problem what must not go missing with the answer it takes the place of.
    fn attend(_request: &Request, _problem: &mut Problem) {}
}

/// What a method does to a resource.
#[derive(Debug)]
pub struct Operation<S: 'static> {
    /// Method. `GET` brings `HEAD` along.
    pub method: &'static str,
    /// The resource as the log names it: `/sessions/{id}`.
    pub route: &'static str,
    /// Who may.
    pub access: Access,
    /// From the request to what is to be done.
    pub plan: fn(&Exchange<S>) -> Result<Step, Problem>,
}

/// Who may carry an operation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A signed-in user: told before anything of the request is looked at.
    User,
    /// Anybody who does not make the plan ask the database; for that, a signed-in user.
    Public,
    /// A signed-in user, or somebody who sends no token: the role `anon`. The plan is made first, as the token may be in
    /// the body.
    Anonymous,
}

/// What is to be done about a request.
pub enum Step {
    /// The answer is known.
    Answer(Response),
    /// The database is to be asked.
    Call(Call),
}

/// One call of a database function as the caller: one transaction, one round trip.
pub struct Call {
    pub(crate) function: &'static str,
    pub(crate) arguments: String,
    pub(crate) token: Option<String>,
    pub(crate) done: Option<&'static Code>,
    pub(crate) answer: Answer,
}

/// From what the database said, or why it did not, to the response.
type Answer = Box<dyn FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem>>;

impl Step {
    /// Calls `function` with a JSON object of its parameters; the response is made by `answer`.
    pub fn call(
        function: &'static str,
        arguments: String,
        answer: impl FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem> + 'static,
    ) -> Self {
        Self::call_as(None, function, arguments, answer)
    }

    /// As [`Step::call`], for a caller whose token was in the body. One in the `Authorization` header goes before.
    pub fn call_as(
        token: Option<String>,
        function: &'static str,
        arguments: String,
        answer: impl FnOnce(Result<Vec<u8>, Problem>) -> Result<Response, Problem> + 'static,
    ) -> Self {
        Self::Call(Call { function, arguments, token, done: None, answer: Box::new(answer) })
    }

    /// The same step, for whose call a problem of this kind means, when it comes from a retry, that an earlier try has
    /// done it all: what is to be deleted is gone. The answer is then made from an empty object.
    #[must_use]
    pub fn done_if_retried(mut self, code: &'static Code) -> Self {
        if let Self::Call(call) = &mut self {
            call.done = Some(code);
        }
        self
    }

    /// Calls `function`, whose answer is the response's body as it is.
    pub fn pass_on(function: &'static str, arguments: String) -> Self {
        Self::call(function, arguments, |found| handed_on(200, found?))
    }
}

/// One request and all there is to plan with.
#[derive(Debug)]
pub struct Exchange<'a, S> {
    /// The request.
    pub request: &'a Request,
    /// The path's segments below the function.
    pub path: &'a [&'a str],
    /// Settings of the function's own.
    pub settings: &'a S,
    /// An id made for this request, should it have brought none.
    pub id: Id,
}

impl<S> Exchange<'_, S> {
    /// The parameters of the query.
    pub fn query(&self, fields: &'static [Field]) -> Form {
        Form::of_query(&self.request.query, fields)
    }

    /// The members of the body, which must be a JSON object; the query must have no parameters.
    pub fn body(&self, fields: &'static [Field]) -> Result<Form, Problem> {
        if !self.is_sent_as("application/json", true) {
            return Err(Problem::new(&code::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json, in UTF-8."));
        }
        let text = self.text()?;
        let mut form = self.query(&[]);
        form.add_object(parse(text)?, fields, "");
        Ok(form)
    }

    /// The body, as text.
    pub fn text(&self) -> Result<&str, Problem> {
        match self.request.body_error {
            Some(BodyError::TooLarge) => {
                return Err(Problem::new(&code::BODY_TOO_LARGE, "The body is longer than this function reads."));
            }
            Some(BodyError::Interrupted) => {
                return Err(Problem::new(&code::BODY_INTERRUPTED, "The connection broke before the body's end."));
            }
            None => {}
        }
        std::str::from_utf8(&self.request.body)
            .map_err(|error| not_json("Not UTF-8 from byte # on.", &[error.valid_up_to()]))
    }

    /// Whether the body is of a media type, in UTF-8 (or says nothing of its characters). One that does not say what it
    /// is, is of the type that may go without saying.
    pub fn is_sent_as(&self, media_type: &str, goes_without_saying: bool) -> bool {
        self.request.header("content-type").map_or(goes_without_saying, |given| is_utf8(given, media_type))
    }

    /// What is sent with `Idempotency-Key`.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.request.header("idempotency-key")
    }
}

/// Reads JSON, or says where it stops being any.
pub fn parse(text: &str) -> Result<Raw<'_>, Problem> {
    Raw::parse(text).map_err(|at| {
        let (line, column) = json::position(text, at);
        not_json("Not JSON at line #, column #.", &[line, column])
    })
}

fn not_json(detail: &str, numbers: &[usize]) -> Problem {
    let mut numbers = numbers.iter();
    let mut text = String::new();
    for (place, part) in parts(detail, b'#').enumerate() {
        if place > 0 {
            push_number(&mut text, numbers.next().map_or(0, |number| *number as u64));
        }
        text.push_str(part);
    }
    Problem::detailed(&code::INVALID_JSON, text)
}

/// The database's answer as the caller's. Something between it and here may have said 200 with a page of its own, or cut
/// the answer short: that is no success.
pub fn handed_on(status: u16, found: Vec<u8>) -> Result<Response, Problem> {
    if Object::of_bytes(&found).is_none() {
        return Err(unexpected());
    }
    Ok(Response::json(status, found))
}

/// What the database said, when that is not what its function promises.
pub fn unexpected() -> Problem {
    Problem::new(&code::UPSTREAM_ERROR, "The database did not answer with what its function promises.")
}

/// Whether a `Content-Type` is of a media type, with no charset but UTF-8 (RFC 8259 section 8.1).
fn is_utf8(content_type: &str, media_type: &str) -> bool {
    let mut parts = parts(content_type, b';').map(str::trim_ascii);
    parts.next().is_some_and(|given| given.eq_ignore_ascii_case(media_type))
        && parts.all(|parameter| match cut(parameter, b'=') {
            (name, Some(value)) if name.eq_ignore_ascii_case("charset") => {
                value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("\"utf-8\"")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::is_utf8;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_media_type_is_known_whatever_its_case_and_parameters(
            media_type in "(?i)application/json|text/plain", charset in "(?i)utf-8|\"utf-8\"|latin1", blank in " {0,2}"
        ) {
            let given = format!("{media_type}{blank};{blank}Charset={charset}");
            let is_json = media_type.eq_ignore_ascii_case("application/json") && !charset.eq_ignore_ascii_case("latin1");
            prop_assert_eq!(is_utf8(&given, "application/json"), is_json);
            prop_assert_eq!(is_utf8(&format!("{media_type};version=1"), "text/plain"), media_type.len() == 10);
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            let _ = is_utf8(&text, "application/json");
        }
    }
}
