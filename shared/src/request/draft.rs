//! Reading a request type: every field into a draft, then all faults at once, or the value.

use super::fault::{At, Faults, NOT_AN_OBJECT, push};
use super::value::{Field, Value};
use super::{ExpectedVersion, Id, RequestBody, is_utf8};
use crate::answer::{ETag, Fault, Problem, code};
use crate::host::Request;
use crate::members::Members;

const REQUIRED: Fault = Fault::new("required", "is required");
const UNKNOWN: Fault = Fault::new("unknown_field", "no such field or parameter");
const DUPLICATE: Fault = Fault::new("duplicate_field", "stands more than once");
const OTHER_KEY: Fault = Fault::new("idempotency_key_mismatch", "differs from the Idempotency-Key header");
const OTHER_VERSION: Fault = Fault::new("if_match_mismatch", "differs from the If-Match header");
const NOT_AN_ETAG: Fault = Fault::new("invalid_etag", "must be the ETag of the session's state");

/// Parameters that clients of Supabase add to any URL; they are for the gateway, not for the function.
const GATEWAY_PARAMETERS: &[&str] = &["apikey", "forceFunctionRegion"];

/// Most members of an object with known fields: a response lists each that is unknown.
const MAX_MEMBERS: usize = 64;

/// What a request is read from.
pub struct Parts<'a> {
    /// Its head.
    pub request: &'a Request,
    /// Its body.
    pub body: &'a RequestBody,
    /// The path's parameters.
    pub params: &'a [String],
    /// Makes the id of a request that brought none.
    pub make_id: &'a dyn Fn() -> Id,
}

/// The path's parameters that no field has taken yet.
pub type Params<'a> = std::slice::Iter<'a, String>;

/// Where the fields without an attribute come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primary {
    /// The body: `Input<T>`.
    Body,
    /// The query: `Query<T>`.
    Query,
}

/// Where a member came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From where fields without an attribute come.
    Primary,
    /// From the query, which is not where fields without an attribute come from.
    Query,
}

/// What a handler's `Input<T>` or `Query<T>` reads.
pub trait FromRequest<S>: Sized {
    /// Reads a request, or reports every fault.
    fn from_request(parts: &Parts<'_>, primary: Primary, settings: &S) -> Result<Self, Problem>;

    /// What the request looks like, for OpenAPI.
    #[cfg(not(target_arch = "wasm32"))]
    fn fields() -> super::schema::Fields;

    /// What the body may be, for OpenAPI: media types, each with its JSON Schema.
    #[cfg(not(target_arch = "wasm32"))]
    fn bodies() -> Vec<(&'static str, serde_json::Value)>;
}

/// A field while the others are still being read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Draft<T> {
    /// Not sent, or null.
    #[default]
    Missing,
    /// Sent, and its faults are noted.
    Faulty,
    /// Sent and valid.
    Valid(T),
}

impl<T: Field> Draft<T> {
    /// Reads a value into it.
    pub fn read(&mut self, value: Value<'_>, at: &At<'_>, faults: &mut Faults) {
        if T::TAKES_NULL || !value.is_null() {
            *self = T::read(value, at, faults).map_or(Self::Faulty, Self::Valid);
        }
    }
}

impl<T> Draft<T> {
    /// The value, if it is valid.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Missing | Self::Faulty => None,
        }
    }

    /// Notes a required field that is missing.
    pub fn require(&self, at: &At<'_>, faults: &mut Faults) {
        if matches!(self, Self::Missing) {
            push(faults, at, REQUIRED);
        }
    }

    /// The value of a required field.
    pub fn required(self) -> Option<T> {
        self.optional()?
    }

    /// The value of an optional field. `None` if it is faulty.
    pub fn optional(self) -> Option<Option<T>> {
        match self {
            Self::Missing => Some(None),
            Self::Faulty => None,
            Self::Valid(value) => Some(Some(value)),
        }
    }
}

impl Draft<Id> {
    /// Settles the request's own id: the field, or the `Idempotency-Key` header (bare or as a quoted string), or one
    /// made for it. It is there before the first try, so that any retry is of the same thing.
    pub fn identify(&mut self, parts: &Parts<'_>, at: &At<'_>, faults: &mut Faults) {
        let mut in_header = Self::Missing;
        if let Some(key) = parts.request.header("idempotency-key") {
            let bare = key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key);
            in_header.read(Value::Text(bare), at, faults);
        }
        match (&*self, &in_header) {
            (Self::Valid(in_body), Self::Valid(in_header)) if in_body != in_header => push(faults, at, OTHER_KEY),
            (Self::Missing, Self::Missing) => *self = Self::Valid((parts.make_id)()),
            (Self::Missing, _) => *self = in_header,
            _ => {}
        }
    }
}

impl Draft<ExpectedVersion> {
    /// Settles the version the caller has seen: the field, or the `If-Match` header.
    pub fn match_etag(&mut self, parts: &Parts<'_>, at: &At<'_>, faults: &mut Faults) {
        // `*` asks only that there be a state, and there always is one.
        let Some(header) = parts.request.header(http::header::IF_MATCH).filter(|tag| *tag != "*") else { return };
        match (ETag::parse(header), &*self) {
            (None, _) => push(faults, at, NOT_AN_ETAG),
            (Some(ETag(in_header)), Self::Valid(in_body)) if in_header != in_body.version => {
                push(faults, at, OTHER_VERSION);
            }
            (Some(ETag(version)), _) => *self = Self::Valid(ExpectedVersion { version, is_precondition: true }),
        }
    }
}

/// A draft of a request type, made by `#[derive(Request)]`.
pub trait ReadFields: Default {
    /// The request type.
    type Output;

    /// Reads a member. False if there is no field of this name from there.
    fn set(&mut self, source: Source, name: &str, value: Value<'_>, at: &At<'_>, faults: &mut Faults) -> bool;

    /// Reads as many of the path's parameters as it has fields for.
    fn set_path(&mut self, params: &mut Params<'_>, faults: &mut Faults);

    /// Reads the headers that stand for fields.
    fn set_headers(&mut self, parts: &Parts<'_>, faults: &mut Faults);

    /// Notes required fields that are missing.
    fn require(&self, at: &At<'_>, faults: &mut Faults);

    /// The value, if no field is faulty.
    fn finish(self) -> Option<Self::Output>;
}

/// Reads a request type: query, body, path and headers, then the rules across fields.
pub fn read<D: ReadFields>(
    parts: &Parts<'_>,
    primary: Primary,
    check: impl FnOnce(&D, &mut Faults),
) -> Result<D::Output, Problem> {
    let mut draft = D::default();
    let mut faults = Faults::new();
    let members = match primary {
        Primary::Body => {
            let content_type = parts.request.header(http::header::CONTENT_TYPE);
            if !content_type.is_none_or(|given| is_utf8(given, "application/json")) {
                return Err(Problem::new(
                    &code::UNSUPPORTED_MEDIA_TYPE,
                    "Send the body as application/json, in UTF-8.",
                ));
            }
            parts.body.members()?
        }
        Primary::Query => Vec::new(),
    };
    let source = if primary == Primary::Query { Source::Primary } else { Source::Query };
    read_query(&parts.request.query, source, &mut draft, &mut faults);
    let members = members.into_iter().map(|(name, value)| (name, Value::Json(value)));
    read_members(members, Source::Primary, &mut draft, &At::Root, &mut faults);
    let before_the_path = faults.len();
    draft.set_path(&mut parts.params.iter(), &mut faults);
    if faults.iter().skip(before_the_path).any(|error| error.fault.code == super::word::NOT_ALLOWED) {
        return Err(Problem::new(&code::NOT_FOUND, "The function has no resource at this path."));
    }
    draft.set_headers(parts, &mut faults);
    draft.require(&At::Root, &mut faults);
    check(&draft, &mut faults);
    match draft.finish() {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(Problem::invalid(faults)),
    }
}

/// Reads the parameters of a query (HTML's `application/x-www-form-urlencoded`).
pub fn read_query<D: ReadFields>(query: &str, source: Source, draft: &mut D, faults: &mut Faults) {
    if query.is_empty() {
        return;
    }
    let parameters: Vec<_> =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !GATEWAY_PARAMETERS.contains(&&**name)).collect();
    let members = parameters.iter().map(|(name, value)| (&**name, Value::Text(value)));
    read_members(members, source, draft, &At::Root, faults);
}

/// Reads the members of an object into a draft.
pub fn read_members<'a, D: ReadFields>(
    members: impl ExactSizeIterator<Item = (&'a str, Value<'a>)>,
    source: Source,
    draft: &mut D,
    at: &At<'_>,
    faults: &mut Faults,
) {
    if members.len() > MAX_MEMBERS {
        return push(faults, at, Fault::bounded("too_many", format!("must have at most {MAX_MEMBERS} members")));
    }
    let mut seen = Vec::with_capacity(members.len());
    for (name, value) in members {
        let at = at.member(name);
        if seen.contains(&name) {
            push(faults, &at, DUPLICATE);
        } else if !draft.set(source, name, value, &at, faults) {
            push(faults, &at, UNKNOWN);
        }
        seen.push(name);
    }
}

/// Reads a JSON object with these fields.
pub fn read_object<D: ReadFields>(value: Value<'_>, at: &At<'_>, faults: &mut Faults) -> Option<D::Output> {
    let Ok(members) = Members::parse(value.json()) else {
        push(faults, at, NOT_AN_OBJECT);
        return None;
    };
    let mut draft = D::default();
    let members = members.0.iter().map(|(name, value)| (&**name, Value::from(*value)));
    read_members(members, Source::Primary, &mut draft, at, faults);
    draft.require(at, faults);
    draft.finish()
}
