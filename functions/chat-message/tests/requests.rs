//! `chat-message` from request to answer, over the fake host: what it sends, what it refuses before sending.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::rc::Rc;

use chat_message::{Settings, function};
use shared::edge::Edge;
use shared::host::fake::{FakeHost, Sent, inbound, run};
use shared::host::{BodyError, FetchError, Host, Inbound, Request, Response};
use shared::http::HeaderName;
use shared::request::Id;
use shared::serde_json::{Value, from_str, json};

const SESSION: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-000000000001";
const SAVED: &str = r#"{"message":{"id":"x","seq":7},"session":{},"replayed":false}"#;

fn user_token() -> String {
    FakeHost::token(
        "k1",
        r#"{"iss":"https://abc.supabase.co/auth/v1","sub":"018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "aud":"authenticated","role":"authenticated","exp":1800003600}"#,
    )
}

fn variables(name: &str) -> Option<String> {
    let value = match name {
        "SUPABASE_URL" => "https://abc.supabase.co".to_owned(),
        "SUPABASE_PUBLISHABLE_KEY" => "sb_publishable_x".to_owned(),
        "SUPABASE_JWKS" => FakeHost::key_set(&["k1"]),
        "ALLOWED_ORIGINS" => "https://app.example".to_owned(),
        _ => return None,
    };
    Some(value)
}

/// A request as it arrives.
struct Given {
    head: Request,
    body: Result<Vec<u8>, BodyError>,
}

impl Given {
    /// The same with another value of a header, or without it.
    fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.head.headers.remove(name);
        if let Some(value) = value {
            self.head.add_header(HeaderName::from_static(name), value);
        }
        self
    }
}

fn request(method: &str, target: &str, body: &str) -> Given {
    let mut head = Request::new(method, &format!("https://edge.example{target}"));
    for (name, value) in [
        ("authorization", format!("Bearer {}", user_token()).as_str()),
        ("content-type", "application/json"),
        ("origin", "https://app.example"),
        ("x-request-id", "r-1"),
    ] {
        head.add_header(HeaderName::from_static(name), value);
    }
    Given { head, body: Ok(body.as_bytes().to_vec()) }
}

/// A function on a fake host.
fn edge_with(lookup: &dyn Fn(&str) -> Option<String>) -> (Rc<Edge<Settings>>, Rc<FakeHost>) {
    let host = Rc::new(FakeHost::default());
    (Edge::new(Rc::<FakeHost>::clone(&host), function(), lookup), host)
}

fn edge() -> (Rc<Edge<Settings>>, Rc<FakeHost>) {
    edge_with(&variables)
}

fn answer(edge: &Rc<Edge<Settings>>, given: Given) -> Response {
    let arrival = Rc::new(edge.arrival(given.head));
    run(Rc::clone(edge).respond(arrival, given.body)).unwrap()
}

/// Responds to `request` with a database that says `upstream`; returns the response and all that was sent.
fn respond(request: Given, upstream: Option<(u16, &str)>) -> (Response, Vec<Sent>) {
    let (edge, host) = edge();
    if let Some((status, body)) = upstream {
        host.answer(status, body);
    }
    let response = answer(&edge, request);
    let sent = host.sent.borrow().clone();
    (response, sent)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn text(response: Response) -> String {
    String::from_utf8(response.into_body().into_bytes().unwrap()).unwrap()
}

fn json_of(text: &str) -> Value {
    from_str(text).unwrap()
}

fn save_body() -> String {
    format!(r#"{{"id":"{ID}","session_id":"{SESSION}","role":"user","message":" hi ","meta":{{"n":1.50}}}}"#)
}

#[test]
fn a_message_is_one_request_as_the_caller() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let given =
        request("POST", "/", &save_body()).with("traceparent", Some(trace)).with("accept", Some("secret-looking"));
    let (edge, host) = edge();
    let location = format!("?session_id={SESSION}&limit=1&before=ZGVzYzo4");
    host.answer_with(201, &[("location", &location)], SAVED);
    let response = answer(&edge, given);
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "location"), Some(&*location));
    assert_eq!(text(response), SAVED);
    let sent = host.sent.borrow().clone();
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(sent.url, "https://abc.supabase.co/rest/v1/rpc/save_message");
    assert_eq!(
        sent.body.as_deref(),
        Some(&*format!(r#"{{"id":"{ID}","session_id":"{SESSION}","role":"user","message":"hi","meta":{{"n":1.50}}}}"#))
    );
    assert_eq!(
        sent.headers,
        [
            ("apikey", "sb_publishable_x".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("x-request-id", "r-1".to_owned()),
            ("authorization", format!("Bearer {}", user_token())),
            ("traceparent", trace.to_owned()),
        ]
    );
}

#[test]
fn the_databases_status_and_headers_are_the_responses() {
    for (status, headers) in [(200, &[][..]), (201, &[("location", "?a"), ("etag", "\"3\"")][..])] {
        let (edge, host) = edge();
        host.answer_with(status, headers, SAVED);
        let response = answer(&edge, request("POST", "/", &save_body()));
        assert_eq!(response.status(), status);
        for (name, value) in headers {
            assert_eq!(header(&response, name), Some(*value));
        }
        assert_eq!(header(&response, "location").is_some(), !headers.is_empty());
        assert_eq!(header(&response, "content-type"), Some("application/json"));
    }
}

#[test]
fn the_id_may_come_as_a_header_but_not_two_different_ones() {
    let without_id = save_body().replacen(&format!(r#""id":"{ID}","#), "", 1);
    let with_key = |body: &str, key: &str| {
        respond(request("POST", "/", body).with("idempotency-key", Some(key)), Some((201, SAVED)))
    };
    let (response, sent) = with_key(&without_id, ID);
    assert_eq!(response.status(), 201);
    assert!(sent[0].body.as_ref().unwrap().contains(ID));
    assert_eq!(with_key(&save_body(), ID).0.status(), 201);
    assert_eq!(with_key(&save_body(), &format!("\"{ID}\"")).0.status(), 201, "as a quoted string");
    let (response, sent) = with_key(&save_body(), SESSION);
    assert_eq!((response.status().as_u16(), sent.len()), (422, 0));
    assert!(text(response).contains("idempotency_key_mismatch"));
    let (response, sent) = with_key(&without_id, "not-a-uuid");
    assert_eq!((response.status().as_u16(), sent.len()), (422, 0));
    assert!(text(response).contains(r#""pointer":"/id""#));
}

#[test]
fn a_missing_id_is_made_and_is_a_uuid_of_version_7() {
    let without_id = save_body().replacen(&format!(r#""id":"{ID}","#), "", 1);
    let (_, sent) = respond(request("POST", "/", &without_id), Some((201, SAVED)));
    let body = sent[0].body.as_ref().unwrap();
    let id = body.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
    assert!(Id::parse(id).is_some() && id.as_bytes()[14] == b'7', "{id}");
}

#[test]
fn bad_bodies_are_refused_before_anything_is_sent() {
    for (body, status, code) in [
        ("{", 400, "invalid_json"),
        ("", 400, "invalid_json"),
        ("[]", 422, "validation_failed"),
        ("{}", 422, "validation_failed"),
    ] {
        let (response, sent) = respond(request("POST", "/", body), None);
        assert_eq!((response.status().as_u16(), sent.len()), (status, 0), "{body}");
        assert!(text(response).contains(&format!(r#""code":"{code}""#)), "{body}");
    }
    let too_large = Given { body: Err(BodyError::TooLarge), ..request("POST", "/", "") };
    assert_eq!(respond(too_large, None).0.status(), 413);
    let not_utf8 = Given { body: Ok(vec![b'{', 0xff]), ..request("POST", "/", "") };
    assert!(text(respond(not_utf8, None).0).contains("Not UTF-8 from byte 1 on"));
}

#[test]
fn media_types_other_than_json_are_refused() {
    for (media_type, status) in [
        ("application/json", 201),
        ("Application/JSON; charset=UTF-8", 201),
        ("application/json;charset=utf8", 201),
        ("application/json; charset=latin1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ] {
        let given = request("POST", "/", &save_body()).with("content-type", Some(media_type));
        assert_eq!(respond(given, Some((201, SAVED))).0.status(), status, "{media_type}");
    }
}

#[test]
fn without_a_good_token_nothing_is_sent() {
    for (authorization, code) in [
        (None, "missing_token"),
        (Some("Basic abc".to_owned()), "missing_token"),
        (Some("Bearer sb_secret_abc".to_owned()), "api_key_as_token"),
        (Some(format!("Bearer {}", "x".repeat(8193))), "token_too_large"),
        (Some("Bearer a.b.c".to_owned()), "malformed_token"),
        (Some(format!("Bearer {}x", user_token())), "bad_signature"),
    ] {
        let given = request("POST", "/", &save_body()).with("authorization", authorization.as_deref());
        let (response, sent) = respond(given, Some((201, SAVED)));
        assert_eq!((response.status().as_u16(), sent.len()), (401, 0), "{authorization:?}");
        assert!(header(&response, "www-authenticate").unwrap().starts_with("Bearer"));
        let body = text(response);
        assert!(body.contains(&format!(r#""code":"{code}""#)), "{authorization:?}: {body}");
    }
}

#[test]
fn a_token_is_verified_once_and_then_remembered_until_it_expires() {
    let (edge, host) = edge();
    let ask = || {
        host.answer(201, SAVED);
        answer(&edge, request("POST", "/", &save_body())).status().as_u16()
    };
    assert_eq!([ask(), ask(), ask()], [201; 3]);
    assert_eq!(host.verified.get(), 1);
    host.now_ms.set(host.now_ms.get() + 300_000);
    assert_eq!(ask(), 201);
    assert_eq!(host.verified.get(), 2, "after five minutes it is verified again");
    host.now_ms.set(1_800_003_600_000);
    assert_eq!(ask(), 401, "nobody is remembered past exp");
}

#[test]
fn a_refused_token_is_not_remembered() {
    let (edge, host) = edge();
    for _ in 0..2 {
        let forged = format!("Bearer {}x", user_token());
        let given = request("POST", "/", &save_body()).with("authorization", Some(&forged));
        assert_eq!(answer(&edge, given).status(), 401);
    }
    assert_eq!(host.verified.get(), 2);
    assert!(host.sent.borrow().is_empty());
}

#[test]
fn history_is_asked_for_by_page_and_passed_through() {
    let page = r#"{"messages" : [{}], "next" : "YXNjOjQx"}"#;
    let target = format!("/?session_id={SESSION}&limit=2&order=asc");
    let (response, sent) = respond(request("GET", &target, ""), Some((200, page)));
    assert_eq!(text(response), page);
    let expected = json!({ "session_id": SESSION, "limit": 2, "order": "asc" });
    assert_eq!(json_of(sent[0].body.as_ref().unwrap()), expected);
    // The cursor knows its direction.
    let target = format!("/?session_id={SESSION}&before=YXNjOjQx");
    let (_, sent) = respond(request("GET", &target, ""), Some((200, r#"{"messages":[],"next":null}"#)));
    let expected = json!({ "session_id": SESSION, "order": "asc", "before": 41 });
    assert_eq!(json_of(sent[0].body.as_ref().unwrap()), expected);
    let (response, _) = respond(request("GET", &format!("{target}&order=desc"), ""), None);
    assert!(text(response).contains("invalid_cursor"));
}

#[test]
fn every_fault_of_a_path_and_a_body_is_reported_at_once() {
    let (response, sent) =
        respond(request("PUT", "/sessions/x/summaries/partial?a=1", r#"{"summary_data":[],"b":2}"#), None);
    assert_eq!((response.status().as_u16(), sent.len()), (422, 0));
    let problem = json_of(&text(response));
    let mut pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/a", "/b", "/session_id", "/summary_data"]);
}

#[test]
fn a_summary_of_an_unknown_type_is_no_resource() {
    for method in ["GET", "PUT"] {
        let given = request(method, &format!("/sessions/{SESSION}/summaries/other"), r#"{"summary_data":{}}"#);
        let (response, sent) = respond(given, None);
        assert_eq!((response.status().as_u16(), sent.len()), (404, 0));
    }
}

#[test]
fn success_that_is_no_object_is_not_passed_on() {
    for (method, target) in [
        ("GET", format!("/sessions/{SESSION}")),
        ("DELETE", format!("/sessions/{SESSION}")),
        ("GET", format!("/sessions/{SESSION}/summaries/partial")),
        ("GET", format!("/?session_id={SESSION}")),
        ("GET", "/sessions".to_owned()),
    ] {
        for found in ["<html>Log in to this network</html>", r#"{"session_id":"018f"#, "[]", ""] {
            let (response, _) = respond(request(method, &target, ""), Some((200, found)));
            assert_eq!(response.status(), 502, "{method} {target} {found}");
        }
    }
}

#[test]
fn a_risk_that_stands_twice_brings_help() {
    for risks in [r#""risk":null,"risk":{"label":"x"}"#, r#""risk":{"label":"x"},"risk":null"#] {
        let body = save_body().replacen('{', &format!("{{{risks},"), 1);
        let (response, sent) = respond(request("POST", "/", &body), None);
        assert_eq!((response.status().as_u16(), sent.len()), (422, 0));
        assert!(text(response).contains(r#""crisis":"#), "{risks}");
    }
}

#[test]
fn every_answer_names_its_request_and_lets_its_page_read_it() {
    for (given, upstream, status) in [
        (request("POST", "/", &save_body()), Some((201, SAVED)), 201),
        (request("POST", "/", &save_body()), None, 503),
        (request("POST", "/", &save_body()), Some((200, "garbage")), 502),
        (request("POST", "/", &save_body()), Some((404, r#"{"code":"PT404","message":"session_not_found"}"#)), 404),
        (request("DELETE", "/", ""), None, 405),
        (request("GET", "/nowhere", ""), None, 404),
        (request("GET", "/health", ""), None, 200),
        (request("GET", "/functions/v1/chat-message/health", ""), None, 200),
        (request("GET", "/chat-message/health", ""), None, 200),
        (request("OPTIONS", "/", ""), None, 204),
    ] {
        let what = format!("{:?} {upstream:?}", given.head);
        let (response, _) = respond(given, upstream);
        assert_eq!(response.status(), status, "{what}");
        assert_eq!(header(&response, "x-request-id"), Some("r-1"), "{what}");
        assert_eq!(header(&response, "access-control-allow-origin"), Some("https://app.example"), "{what}");
        assert_eq!(header(&response, "cache-control"), Some("no-store"), "{what}");
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"), "{what}");
        if status >= 400 {
            assert_eq!(header(&response, "content-type"), Some("application/problem+json"), "{what}");
        }
    }
}

#[test]
fn a_wrong_configuration_is_named_and_health_still_answers() {
    let (edge, _) = edge_with(&|name| match name {
        "SUPABASE_URL" => Some("https://secret.example".to_owned()),
        "MESSAGE_MAX_CHARS" => Some("9000".to_owned()),
        _ => None,
    });
    let response = answer(&edge, request("POST", "/", &save_body()));
    assert_eq!(response.status(), 500);
    let body = text(response);
    assert!(body.contains("SUPABASE_PUBLISHABLE_KEY") && body.contains("MESSAGE_MAX_CHARS"), "{body}");
    assert!(!body.contains("secret.example") && !body.contains("9000"), "{body}");
    assert_eq!(answer(&edge, request("GET", "/health", "")).status(), 200);
}

#[test]
fn head_is_get_without_a_body() {
    let target = format!("/?session_id={SESSION}");
    let (response, sent) = respond(request("HEAD", &target, ""), Some((200, r#"{"messages":[],"next":null}"#)));
    assert_eq!((response.status().as_u16(), sent.len()), (200, 1));
    assert_eq!(text(response), "");
}

fn risky_body() -> String {
    save_body().replace(r#""role""#, r#""risk":{"label":"self_harm","trigger_phrase":"secret words"},"role""#)
}

#[test]
fn a_risk_brings_help_whatever_else_happens() {
    let risky = || request("POST", "/", &risky_body());
    let of = |body: &str| request("POST", "/", body);
    let limited = r#"{"code":"PT429","message":"rate_limited","details":"{\"retry_after\":7}"}"#;
    for (given, upstream, status) in [
        (risky(), Some((201, SAVED)), 201),
        (risky(), None, 503),
        (risky(), Some((429, limited)), 429),
        (risky(), Some((500, r#"{"code":"57014"}"#)), 504),
        (risky(), Some((200, "garbage")), 502),
        (of(&risky_body().replace("user", "nobody")), None, 422),
        (of(r#"{"risk":7}"#), None, 422),
        (of(&risky_body()[..60]), None, 400),
        (Given { body: Err(BodyError::TooLarge), ..risky() }, None, 413),
        (risky().with("authorization", None), None, 401),
        (request("POST", "/?x=1", &risky_body()), None, 422),
        (request("POST", "/nowhere", &risky_body()), None, 404),
        (risky().with("content-type", Some("text/plain")), None, 415),
    ] {
        let (response, _) = respond(given, upstream);
        assert_eq!(response.status(), status);
        let after = header(&response, "retry-after").map(str::to_owned);
        let body = text(response);
        assert!(body.contains(&format!(r#""crisis":{}"#, chat_message::CRISIS)), "{status}: {body}");
        assert!(body.contains("13 11 14"), "{body}");
        if status == 429 {
            assert_eq!(after.as_deref(), Some("7"));
        }
    }
    let (edge, _) = edge();
    let trapped = edge.trapped(&edge.arrival(request("POST", "/", "").head));
    assert!(text(trapped).contains(r#""crisis""#), "nobody knows any more what the lost message said");
    let (misconfigured, _) = edge_with(&|_| None);
    assert!(text(answer(&misconfigured, request("POST", "/", &risky_body()))).contains(r#""crisis""#));
    for upstream in [Some((201, SAVED)), None] {
        let (response, _) = respond(request("POST", "/", &save_body()), upstream);
        assert!(!text(response).contains("crisis"));
    }
}

#[test]
fn a_request_is_one_line_of_the_log_and_says_nothing_of_what_was_written() {
    let (edge, host) = edge();
    host.answer(201, SAVED);
    assert_eq!(answer(&edge, request("POST", "/", &risky_body())).status(), 201);
    assert_eq!(answer(&edge, request("GET", "/sessions/secret-words", "")).status(), 422);
    let lines = host.logged.borrow().clone();
    assert_eq!(lines.len(), 2);
    for (line, expected) in lines.iter().zip([r#""level":"info""#, r#""code":"validation_failed""#]) {
        assert!(line.contains(expected) && line.contains(r#""function":"chat-message""#), "{line}");
        assert!(!line.contains("secret") && !line.contains(SESSION) && !line.contains("eyJ"), "{line}");
        assert!(line.contains(r#""user":""#), "{line}");
    }
    assert!(lines[1].contains(r#""route":"/sessions/{id}""#), "{}", lines[1]);
}

#[test]
fn the_log_names_the_resource_of_a_method_that_is_refused_or_asked_about() {
    let (edge, host) = edge();
    for (method, target, status, route) in [
        ("POST", "/sessions/secret-words", 405, "/sessions/{id}"),
        ("OPTIONS", "/risk-detections", 204, "/risk-detections"),
        ("GET", "/nowhere", 404, ""),
    ] {
        assert_eq!(answer(&edge, request(method, target, "")).status(), status);
        let line = host.logged.borrow().last().unwrap().clone();
        assert!(line.contains(&format!(r#""route":"{route}""#)), "{line}");
    }
}

#[test]
fn the_log_level_decides_what_is_logged() {
    for (level, expected) in [("info", 3), ("warn", 2), ("error", 1), ("off", 0)] {
        let lookup = |name: &str| if name == "LOG_LEVEL" { Some(level.to_owned()) } else { variables(name) };
        let (edge, host) = edge_with(&lookup);
        assert_eq!(answer(&edge, request("GET", "/health", "")).status(), 200);
        assert_eq!(answer(&edge, request("GET", "/nowhere", "")).status(), 404);
        assert_eq!(answer(&edge, request("POST", "/", &save_body())).status(), 503);
        assert_eq!(host.logged.borrow().len(), expected, "{level}");
    }
}

#[test]
fn a_deep_health_check_asks_the_database_once_in_ten_seconds() {
    let (edge, host) = edge();
    let check = |status: u16| {
        let response = answer(&edge, request("GET", "/health?deep=1", ""));
        assert_eq!(response.status(), status);
        text(response)
    };
    host.answer(200, r#"{"database":"connected"}"#);
    assert!(check(200).contains(r#""status":"ok""#));
    assert!(check(200).contains(r#""database":"connected""#));
    assert_eq!(host.sent.borrow().len(), 1);
    let sent = host.sent.borrow()[0].clone();
    assert!(sent.url.ends_with("/rest/v1/rpc/database_is_there"), "{}", sent.url);
    assert!(sent.headers.iter().all(|(name, _)| *name != "authorization"), "as nobody");
    assert_eq!(sent.timeout_ms, 2000, "a monitor is not kept waiting as long as a request");
    // Nothing is there to answer any more: found out ten seconds later.
    host.now_ms.set(host.now_ms() + 9_999);
    check(200);
    host.now_ms.set(host.now_ms() + 1);
    let body = check(503);
    assert!(body.contains(r#""status":"degraded""#) && body.contains(r#""database":"disconnected""#), "{body}");
    assert!(!body.contains("supabase.co"), "{body}");
    assert_eq!(answer(&edge, request("GET", "/health?deep=2", "")).status(), 422);
}

#[test]
fn a_clock_that_was_set_back_keeps_no_result_of_a_health_check() {
    let (edge, host) = edge();
    for minutes in [60, 0] {
        host.now_ms.set(1_800_000_000_000 + minutes * 60_000);
        host.answer(200, r#"{"database":"connected"}"#);
        assert_eq!(answer(&edge, request("GET", "/health?deep=1", "")).status(), 200);
    }
    assert_eq!(host.sent.borrow().len(), 2);
}

#[test]
fn a_session_that_a_lost_try_has_deleted_is_deleted() {
    let answered = |first: Option<Result<Inbound, FetchError>>, last: (u16, &str)| {
        let (edge, host) = edge();
        host.responses.borrow_mut().extend(first);
        host.answer(last.0, last.1);
        answer(&edge, request("DELETE", &format!("/sessions/{SESSION}"), "")).status().as_u16()
    };
    let deleted = (410, r#"{"code":"PT410","message":"session_deleted"}"#);
    let never_there = (404, r#"{"code":"PT404","message":"session_not_found"}"#);
    let lost = || Some(Err(FetchError::Unreachable));
    assert_eq!(answered(None, deleted), 410, "somebody else, or an earlier request, has deleted it");
    assert_eq!((answered(lost(), deleted), answered(lost(), (200, "{}"))), (204, 204));
    assert_eq!((answered(None, never_there), answered(lost(), never_there)), (404, 404));
    // A first try that cannot have been executed has deleted nothing.
    for (status, body, expected) in [
        (502, "", 204),
        (503, "", 204),
        (503, r#"{"code":"PGRST001"}"#, 204),
        (400, r#"{"code":""}"#, 204),
        (503, r#"{"code":"PGRST000"}"#, 410),
        (503, r#"{"code":"PGRST002"}"#, 410),
        (503, r#"{"code":"PGRST003"}"#, 410),
        (401, r#"{"code":"PGRST303","message":"JWT issued at future"}"#, 410),
    ] {
        assert_eq!(answered(Some(Ok(inbound(status, &[], body))), deleted), expected, "{status} {body}");
    }
}

#[test]
fn a_deleted_session_is_410_for_every_request() {
    let deleted = r#"{"code":"PT410","message":"session_deleted"}"#;
    for given in [
        request("POST", "/", &save_body()),
        request("GET", &format!("/?session_id={SESSION}"), ""),
        request("GET", &format!("/sessions/{SESSION}"), ""),
        request("GET", &format!("/sessions/{SESSION}/summaries/partial"), ""),
        request("PUT", &format!("/sessions/{SESSION}/summaries/partial"), r#"{"summary_data":{}}"#),
    ] {
        let what = format!("{:?}", given.head);
        let (response, _) = respond(given, Some((410, deleted)));
        assert_eq!(response.status(), 410, "{what}");
        assert!(text(response).contains(r#""code":"session_deleted""#), "{what}");
    }
}

#[test]
fn the_key_set_is_fetched_anew_after_a_response_before_it_is_old() {
    let (edge, host) = edge_with(&|name| variables(name).filter(|_| name != "SUPABASE_JWKS"));
    host.answer(200, &FakeHost::key_set(&["k1"]));
    host.answer(200, "{}");
    assert_eq!(answer(&edge, request("POST", "/", &save_body())).status(), 200);
    assert!(edge.afterwards().is_none());
    host.now_ms.set(host.now_ms() + 6 * 60 * 1000);
    host.answer(200, "{}");
    assert_eq!(answer(&edge, request("POST", "/", &save_body())).status(), 200);
    assert_eq!(host.sent.borrow().len(), 3, "the response has waited for nothing else");
    host.answer(200, &FakeHost::key_set(&["k1"]));
    run(edge.afterwards().unwrap()).unwrap();
    assert!(host.sent.borrow()[3].url.ends_with("/jwks.json"));
    assert!(edge.afterwards().is_none());
}

#[test]
fn a_configured_key_set_that_is_none_is_named() {
    for wrong in ["{}", "[{}]", r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#] {
        let lookup = |name: &str| if name == "SUPABASE_JWKS" { Some(wrong.to_owned()) } else { variables(name) };
        let (edge, host) = edge_with(&lookup);
        let response = answer(&edge, request("POST", "/", &save_body()));
        assert_eq!(response.status(), 500, "{wrong}");
        let body = text(response);
        assert!(body.contains(r#""code":"misconfigured""#) && body.contains("SUPABASE_JWKS"), "{body}");
        assert!(host.sent.borrow().is_empty());
    }
}
