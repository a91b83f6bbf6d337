//! What callers get: JSON, problems, pages of lists, entity tags.

pub mod code;
mod etag;
mod page;
pub mod problem;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::host::{Body, Response};
pub use code::Code;
pub use etag::ETag;
pub use page::{Cursor, MAX_LIMIT, PAGE_BYTES, Page, RowPlace, bigint};
pub use problem::{Fault, FieldError, Problem};

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// A response with a body of a media type.
pub fn of_type(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = empty(status);
    *response.body_mut() = body.into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A JSON response. `body` must be JSON text.
pub fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    of_type(status, "application/json", body)
}

/// Sets a header. A value that is none is left out: all there are come from this repository or from checked input.
pub fn set_header(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Adds a member to a response whose body is a JSON object. `value` must be JSON text. Fails for a body that is still on its
/// way, as those of long responses to reads are.
pub fn add_member(response: &mut Response, name: &str, value: &str) -> Result<(), Problem> {
    let mut body = std::mem::take(response.body_mut()).into_bytes().map_err(|body| {
        *response.body_mut() = body;
        Problem::new(&code::INTERNAL, "Nothing can be added to a response that is still on its way.")
    })?;
    body.truncate(body.trim_ascii_end().len());
    if body.pop_if(|last| *last == b'}').is_some() {
        let comma = if body.trim_ascii_end().ends_with(b"{") { "" } else { "," };
        body.extend_from_slice(format!("{comma}\"{name}\":{value}}}").as_bytes());
    }
    *response.body_mut() = Body::Bytes(body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{add_member, json};
    use crate::host::{Body, HeldBody};
    use http::StatusCode;
    use std::any::Any;

    /// A body of which only the first byte has come.
    struct OnItsWay;

    impl HeldBody for OnItsWay {
        fn bytes(&self) -> Option<Vec<u8>> {
            None
        }

        fn ends(&self) -> (Option<u8>, Option<u8>) {
            (Some(b'{'), None)
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn a_body_that_is_still_on_its_way_is_not_taken_for_an_empty_one() {
        let mut response = json(StatusCode::OK, Body::Held(Box::new(OnItsWay)));
        assert_eq!(add_member(&mut response, "b", "2").unwrap_err().code.name, "internal_error");
        assert!(response.body().is_json_object(), "it is still there");
        assert!(response.into_body().into_bytes().is_err());
    }

    #[test]
    fn a_member_is_added_to_any_object() {
        for (body, expected) in [
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("{\"a\":{} }\n", r#"{"a":{} ,"b":2}"#),
            ("{}", r#"{"b":2}"#),
            (" { } ", r#" { "b":2}"#),
        ] {
            let mut response = json(StatusCode::OK, body);
            add_member(&mut response, "b", "2").unwrap();
            assert_eq!(response.into_body().into_bytes().unwrap(), expected.as_bytes(), "{body}");
        }
    }
}
