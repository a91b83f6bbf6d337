//! What `#[derive(Request)]` makes of its attributes.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use shared::answer::{ETag, Problem};
use shared::host::Request as Head;
use shared::http::HeaderName;
use shared::http::header::IF_MATCH;
use shared::request::schema::From;
use shared::request::{ExpectedVersion, Flatten, FromRequest, Id, Parts, Primary, Request, RequestBody, Text};

const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
const OTHER_ID: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8f";

/// What several requests have in common, from every source there is.
#[derive(Debug, Request)]
struct Common {
    #[request(path)]
    owner_id: Id,
    #[request(idempotency_key)]
    id: Id,
    #[request(if_match)]
    expected_version: Option<ExpectedVersion>,
    title: Text<10>,
    note: Option<Text<10>>,
}

#[derive(Debug, Request)]
struct Outer {
    #[request(path)]
    project_id: Id,
    #[request(flatten)]
    common: Common,
    #[request(path)]
    part_id: Id,
    name: Text<10>,
}

fn read(body: &str, headers: &[(HeaderName, &str)]) -> Result<Outer, Problem> {
    let mut request = Head::new("POST", "/");
    for (name, value) in headers {
        request.add_header(name.clone(), value);
    }
    let params = [ID, OTHER_ID, ID].map(str::to_owned);
    let body = RequestBody::new(Ok(body.as_bytes().to_vec()));
    let make_id = || Id::parse(ID).unwrap();
    let parts = Parts { request: &request, body: &body, params: &params, make_id: &make_id };
    Outer::from_request(&parts, Primary::Body, &())
}

#[test]
fn a_flattened_struct_reads_its_headers_and_its_part_of_the_path() {
    let key = HeaderName::from_static("idempotency-key");
    let headers = [(key, OTHER_ID), (IF_MATCH, "\"7\"")];
    let outer = read(r#"{"name":"a","title":"b","note":"c"}"#, &headers).unwrap();
    assert_eq!([outer.project_id, outer.part_id].map(|id| id.to_string()), [ID, ID]);
    assert_eq!([outer.common.owner_id, outer.common.id].map(|id| id.to_string()), [OTHER_ID, OTHER_ID]);
    assert_eq!(outer.common.expected_version.map(|expected| ETag(expected.version)), Some(ETag(7)));
    assert_eq!((&*outer.name, &*outer.common.title, outer.common.note.as_deref()), ("a", "b", Some("c")));
}

#[test]
fn a_missing_field_of_a_flattened_struct_is_reported_with_the_others() {
    let problem = read("{}", &[]).unwrap_err();
    let errors: Vec<_> = problem.errors.iter().map(|error| (error.pointer.as_str(), error.fault.code)).collect();
    assert_eq!(errors, [("/title", "required"), ("/name", "required")]);
}

#[test]
fn an_id_that_is_missing_in_a_flattened_struct_is_made() {
    let outer = read(r#"{"name":"a","title":"b"}"#, &[]).unwrap();
    assert_eq!(outer.common.id.to_string(), ID);
}

#[test]
fn the_schema_has_the_fields_of_a_flattened_struct_as_that_declares_them() {
    let fields: Vec<_> =
        <Outer as Flatten>::fields().into_iter().map(|field| (field.name, field.from, field.is_required)).collect();
    assert_eq!(
        fields,
        [
            ("project_id", From::Path, true),
            ("owner_id", From::Path, true),
            ("id", From::IdempotencyKey, false),
            ("expected_version", From::IfMatch, false),
            ("title", From::Primary, true),
            ("note", From::Primary, false),
            ("part_id", From::Path, true),
            ("name", From::Primary, true),
        ]
    );
    assert_eq!(Outer::body_schema()["required"], shared::serde_json::json!(["title", "name"]));
}
