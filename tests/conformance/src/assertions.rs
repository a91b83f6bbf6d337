//! What every answer must be, said once.

use serde_json::Value;

use crate::client::Answer;

/// Asserts that an answer is a problem (RFC 9457) with this status and code, and hands its body back.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("/docs/errors.md#{code}"));
    assert_eq!(problem["request_id"], answer.header("x-request-id"));
    for member in ["title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
    for secret in ["chat_history", "PL/pgSQL", "constraint", "eyJ"] {
        assert!(!answer.text().contains(secret), "{secret} leaked: {problem}");
    }
    problem
}

/// The pointers and codes of a problem's field errors, sorted.
pub fn faults(problem: &Value) -> Vec<(String, String)> {
    let mut faults: Vec<_> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| (error["pointer"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned()))
        .collect();
    faults.sort();
    faults
}
