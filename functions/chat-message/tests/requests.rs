//! `chat-message` from request to answer, over the fake host: what it sends, what it refuses before sending.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use chat_message::ChatMessage;
use shared::edge::Edge;
use shared::fake::{FakeHost, Sent, answer};
use shared::host::FetchError;
use shared::http::{BodyError, Request, Response};

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

fn request(method: &str, target: &str, body: &str) -> Request {
    let (path, query) = Request::split_url(&format!("https://edge.example{target}"));
    Request {
        method: method.to_owned(),
        path,
        query,
        headers: vec![
            ("authorization", format!("Bearer {}", user_token())),
            ("content-type", "application/json".to_owned()),
            ("origin", "https://app.example".to_owned()),
            ("x-request-id", "r-1".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
        body_error: None,
    }
}

/// Answers `request` with a database that says `upstream`; hands back the answer and all that was sent.
fn respond(request: Request, upstream: Option<(u16, &str)>) -> (Response, Vec<Sent>) {
    let host = FakeHost::default();
    if let Some((status, body)) = upstream {
        host.answer(status, body);
    }
    let edge = Edge::<_, ChatMessage>::new(host, &variables);
    let response = answer(&edge, &request);
    let sent = edge.host().sent.borrow().clone();
    (response, sent)
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone().unwrap_or_default()).unwrap()
}

fn save_body() -> String {
    format!(r#"{{"id":"{ID}","session_id":"{SESSION}","role":"user","message":" hi ","meta":{{"n":1.50}}}}"#)
}

#[test]
fn a_message_is_one_request_as_the_caller() {
    let mut given = request("POST", "/", &save_body());
    given.headers.push(("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()));
    given.headers.push(("accept", "secret-looking".to_owned()));
    let (response, sent) = respond(given, Some((200, SAVED)));
    assert_eq!(response.status, 201);
    assert_eq!(text(&response), SAVED);
    assert_eq!(response.header("location"), Some(&*format!("?session_id={SESSION}&limit=1&before=ZGVzYzo4")));
    let [sent] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(sent.url, "https://abc.supabase.co/rest/v1/rpc/save_message");
    assert_eq!(
        sent.body.as_deref(),
        Some(&*format!(r#"{{"session_id":"{SESSION}","role":"user","message":"hi","meta":{{"n":1.50}},"id":"{ID}"}}"#))
    );
    assert_eq!(
        sent.headers,
        [
            ("apikey", "sb_publishable_x".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("x-request-id", "r-1".to_owned()),
            ("authorization", format!("Bearer {}", user_token())),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ]
    );
}

#[test]
fn a_replay_is_a_200_without_location() {
    let (response, _) = respond(request("POST", "/", &save_body()), Some((200, &SAVED.replace("false", "true"))));
    assert_eq!(response.status, 200);
    assert_eq!(response.header("location"), None);
}

#[test]
fn the_id_may_come_as_a_header_but_not_two_different_ones() {
    let without_id = save_body().replacen(&format!(r#""id":"{ID}","#), "", 1);
    let with_key = |body: &str, key: &str| {
        let mut given = request("POST", "/", body);
        given.headers.push(("idempotency-key", key.to_owned()));
        respond(given, Some((200, SAVED)))
    };
    let (response, sent) = with_key(&without_id, ID);
    assert_eq!(response.status, 201);
    assert!(sent[0].body.as_ref().unwrap().contains(ID));
    assert_eq!(with_key(&save_body(), ID).0.status, 201);
    let (response, sent) = with_key(&save_body(), SESSION);
    assert_eq!((response.status, sent.len()), (422, 0));
    assert!(text(&response).contains("idempotency_key_mismatch"));
    let (response, sent) = with_key(&without_id, "not-a-uuid");
    assert_eq!((response.status, sent.len()), (422, 0));
    assert!(text(&response).contains(r#""pointer":"/id""#));
}

#[test]
fn a_missing_id_is_made_and_is_a_uuid_of_version_7() {
    let without_id = save_body().replacen(&format!(r#""id":"{ID}","#), "", 1);
    let (_, sent) = respond(request("POST", "/", &without_id), Some((200, SAVED)));
    let body = sent[0].body.as_ref().unwrap();
    let id = body.split(r#""id":""#).nth(1).unwrap().split('"').next().unwrap();
    assert!(shared::id::Id::parse(id).is_some() && id.as_bytes()[14] == b'7', "{id}");
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
        assert_eq!((response.status, sent.len()), (status, 0), "{body}");
        assert!(text(&response).contains(&format!(r#""code":"{code}""#)), "{body}");
    }
    let mut too_large = request("POST", "/", "");
    too_large.body_error = Some(BodyError::TooLarge);
    assert_eq!(respond(too_large, None).0.status, 413);
    let mut not_utf8 = request("POST", "/", "");
    not_utf8.body = vec![b'{', 0xff];
    assert!(text(&respond(not_utf8, None).0).contains("Not UTF-8 from byte 1 on"));
}

#[test]
fn media_types_other_than_json_are_refused() {
    for (media_type, status) in [
        ("application/json", 201),
        ("Application/JSON; charset=UTF-8", 201),
        ("application/json; charset=latin1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ] {
        let mut given = request("POST", "/", &save_body());
        given.headers.retain(|(name, _)| *name != "content-type");
        given.headers.push(("content-type", media_type.to_owned()));
        assert_eq!(respond(given, Some((200, SAVED))).0.status, status, "{media_type}");
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
        let mut given = request("POST", "/", &save_body());
        given.headers.retain(|(name, _)| *name != "authorization");
        given.headers.extend(authorization.clone().map(|value| ("authorization", value)));
        let (response, sent) = respond(given, Some((200, SAVED)));
        assert_eq!((response.status, sent.len()), (401, 0), "{authorization:?}");
        assert!(response.header("www-authenticate").unwrap().starts_with("Bearer"));
        assert!(text(&response).contains(&format!(r#""code":"{code}""#)), "{authorization:?}: {}", text(&response));
    }
}

#[test]
fn a_token_is_verified_once_and_then_remembered_until_it_expires() {
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    let ask = || {
        edge.host().answer(200, SAVED);
        answer(&edge, &request("POST", "/", &save_body())).status
    };
    assert_eq!([ask(), ask(), ask()], [201; 3]);
    assert_eq!(edge.host().verified.get(), 1);
    edge.host().now_ms.set(edge.host().now_ms.get() + 300_000);
    assert_eq!(ask(), 201);
    assert_eq!(edge.host().verified.get(), 2, "after five minutes it is verified again");
    edge.host().now_ms.set(1_800_003_600_000);
    assert_eq!(ask(), 401, "nobody is remembered past exp");
}

#[test]
fn a_refused_token_is_not_remembered() {
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    for _ in 0..2 {
        let mut forged = request("POST", "/", &save_body());
        forged.headers[0].1.push('x');
        assert_eq!(answer(&edge, &forged).status, 401);
    }
    assert_eq!(edge.host().verified.get(), 2);
    assert!(edge.host().sent.borrow().is_empty());
}

#[test]
fn history_is_asked_for_by_page_and_its_cursor_is_opaque() {
    let target = format!("/?session_id={SESSION}&limit=2&order=asc");
    let (response, sent) = respond(request("GET", &target, ""), Some((200, r#"{"messages" : [{}], "next" : 41}"#)));
    assert_eq!(text(&response), r#"{"messages":[{}],"next":"YXNjOjQx"}"#);
    assert_eq!(sent[0].body.as_deref(), Some(&*format!(r#"{{"session_id":"{SESSION}","limit":2,"order":"asc"}}"#)));
    // The cursor knows its direction.
    let target = format!("/?session_id={SESSION}&before=YXNjOjQx");
    let (_, sent) = respond(request("GET", &target, ""), Some((200, r#"{"messages":[],"next":null}"#)));
    let expected = format!(r#"{{"session_id":"{SESSION}","order":"asc","before":41}}"#);
    assert_eq!(sent[0].body.as_deref(), Some(&*expected));
    let (response, _) = respond(request("GET", &format!("{target}&order=desc"), ""), None);
    assert!(text(&response).contains("invalid_cursor"));
}

#[test]
fn success_that_is_no_object_is_not_handed_on() {
    for (method, target) in [
        ("GET", format!("/sessions/{SESSION}")),
        ("DELETE", format!("/sessions/{SESSION}")),
        ("GET", format!("/sessions/{SESSION}/summaries/partial")),
        ("GET", format!("/?session_id={SESSION}")),
        ("GET", "/sessions".to_owned()),
    ] {
        for found in ["<html>Log in to this network</html>", r#"{"session_id":"018f"#, "[]", ""] {
            let (response, _) = respond(request(method, &target, ""), Some((200, found)));
            assert_eq!(response.status, 502, "{method} {target} {found}: {}", text(&response));
        }
    }
}

#[test]
fn a_risk_that_stands_twice_is_answered_with_help() {
    for risks in [r#""risk":null,"risk":{"label":"x"}"#, r#""risk":{"label":"x"},"risk":null"#] {
        let body = save_body().replacen('{', &format!("{{{risks},"), 1);
        let (response, sent) = respond(request("POST", "/", &body), None);
        assert_eq!((response.status, sent.len()), (422, 0));
        assert!(text(&response).contains(r#""crisis":"#), "{risks}: {}", text(&response));
    }
}

#[test]
fn every_answer_names_its_request_and_lets_its_page_read_it() {
    for (given, upstream, status) in [
        (request("POST", "/", &save_body()), Some((200, SAVED)), 201),
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
        let what = format!("{} {} {upstream:?}", given.method, given.path);
        let (response, _) = respond(given, upstream);
        assert_eq!(response.status, status, "{what}: {}", text(&response));
        assert_eq!(response.header("x-request-id"), Some("r-1"), "{what}");
        assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example"), "{what}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
        if status >= 400 {
            assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
        }
    }
}

#[test]
fn a_wrong_configuration_is_named_and_health_still_answers() {
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &|name| match name {
        "SUPABASE_URL" => Some("https://secret.example".to_owned()),
        "MESSAGE_MAX_CHARS" => Some("9000".to_owned()),
        _ => None,
    });
    let response = answer(&edge, &request("POST", "/", &save_body()));
    assert_eq!(response.status, 500);
    let body = text(&response);
    assert!(body.contains("SUPABASE_PUBLISHABLE_KEY") && body.contains("MESSAGE_MAX_CHARS"), "{body}");
    assert!(!body.contains("secret.example") && !body.contains("9000"), "{body}");
    assert_eq!(answer(&edge, &request("GET", "/health", "")).status, 200);
}

#[test]
fn head_is_get_without_a_body() {
    let target = format!("/?session_id={SESSION}");
    let (response, sent) = respond(request("HEAD", &target, ""), Some((200, r#"{"messages":[],"next":null}"#)));
    assert_eq!((response.status, response.body, sent.len()), (200, None, 1));
}

fn risky_body() -> String {
    save_body().replace(r#""role""#, r#""risk":{"label":"self_harm","trigger_phrase":"secret words"},"role""#)
}

#[test]
fn a_risk_is_answered_with_help_whatever_else_happens() {
    let with_token = |change: &dyn Fn(&mut Request)| {
        let mut given = request("POST", "/", &risky_body());
        change(&mut given);
        given
    };
    let limited = r#"{"code":"PT429","message":"rate_limited","details":"{\"retry_after\":7}"}"#;
    for (given, upstream, status) in [
        (with_token(&|_| ()), Some((200, SAVED)), 201),
        (with_token(&|_| ()), None, 503),
        (with_token(&|_| ()), Some((429, limited)), 429),
        (with_token(&|_| ()), Some((500, r#"{"code":"57014"}"#)), 504),
        (with_token(&|_| ()), Some((200, "garbage")), 502),
        (with_token(&|given| given.body = risky_body().replace("user", "nobody").into_bytes()), None, 422),
        (with_token(&|given| given.body = br#"{"risk":7}"#.to_vec()), None, 422),
        (with_token(&|given| given.body.truncate(60)), None, 400),
        (with_token(&|given| given.body_error = Some(BodyError::TooLarge)), None, 413),
        (with_token(&|given| given.headers.retain(|(name, _)| *name != "authorization")), None, 401),
        (with_token(&|given| given.query = "x=1".to_owned()), None, 422),
        (with_token(&|given| given.headers.push(("content-type", "text/plain".to_owned()))), Some((200, SAVED)), 201),
    ] {
        let (response, _) = respond(given, upstream);
        assert_eq!(response.status, status, "{}", text(&response));
        let body = text(&response);
        assert!(body.contains(&format!(r#""crisis":{}"#, chat_message::CRISIS)), "{status}: {body}");
        assert!(body.contains("13 11 14"), "{body}");
        if status == 429 {
            assert_eq!(response.header("retry-after"), Some("7"));
        }
    }
    let trapped =
        Edge::<_, ChatMessage>::new(FakeHost::default(), &variables).trapped(&request("POST", "/", ""), "r-1", 0);
    assert!(text(&trapped).contains(r#""crisis""#), "what the lost message said is not known any more");
    let misconfigured = Edge::<_, ChatMessage>::new(FakeHost::default(), &|_| None);
    assert!(text(&answer(&misconfigured, &request("POST", "/", &risky_body()))).contains(r#""crisis""#));
    for (body, upstream) in [(save_body(), Some((200, SAVED))), (save_body(), None)] {
        let (response, _) = respond(request("POST", "/", &body), upstream);
        assert!(!text(&response).contains("crisis"), "{}", text(&response));
    }
}

#[test]
fn a_request_is_one_line_of_the_log_and_says_nothing_of_what_was_written() {
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    edge.host().answer(200, SAVED);
    assert_eq!(answer(&edge, &request("POST", "/", &risky_body())).status, 201);
    assert_eq!(answer(&edge, &request("GET", "/sessions/secret-words", "")).status, 422);
    let lines = edge.host().logged.borrow().clone();
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
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    for (method, target, status, route) in [
        ("PATCH", "/sessions/secret-words", 405, "/sessions/{id}"),
        ("OPTIONS", "/risk-detections", 204, "/risk-detections"),
        ("GET", "/nowhere", 404, ""),
    ] {
        assert_eq!(answer(&edge, &request(method, target, "")).status, status);
        let line = edge.host().logged.borrow().last().unwrap().clone();
        assert!(line.contains(&format!(r#""route":"{route}""#)), "{line}");
    }
}

#[test]
fn the_log_level_decides_what_is_logged() {
    for (level, expected) in [("info", 3), ("warn", 2), ("error", 1), ("off", 0)] {
        let lookup = |name: &str| if name == "LOG_LEVEL" { Some(level.to_owned()) } else { variables(name) };
        let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &lookup);
        assert_eq!(answer(&edge, &request("GET", "/health", "")).status, 200);
        assert_eq!(answer(&edge, &request("GET", "/nowhere", "")).status, 404);
        assert_eq!(answer(&edge, &request("POST", "/", &save_body())).status, 503);
        assert_eq!(edge.host().logged.borrow().len(), expected, "{level}");
    }
}

#[test]
fn a_deep_look_asks_the_database_once_in_ten_seconds() {
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    let look = |status: u16| {
        let response = answer(&edge, &request("GET", "/health?deep=1", ""));
        assert_eq!(response.status, status, "{}", text(&response));
        text(&response)
    };
    edge.host().answer(200, r#"{"database":"connected"}"#);
    assert!(look(200).contains(r#""status":"ok""#));
    assert!(look(200).contains(r#""database":"connected""#));
    assert_eq!(edge.host().sent.borrow().len(), 1);
    let sent = edge.host().sent.borrow()[0].clone();
    assert!(sent.url.ends_with("/rest/v1/rpc/database_is_there"), "{}", sent.url);
    assert!(sent.headers.iter().all(|(name, _)| *name != "authorization"), "as nobody");
    assert_eq!(sent.timeout_ms, 2000, "a monitor is not kept waiting as long as a request");
    // Nothing is there to answer any more: found out ten seconds later.
    edge.host().now_ms.set(edge.host().now_ms.get() + 9_999);
    look(200);
    edge.host().now_ms.set(edge.host().now_ms.get() + 1);
    let body = look(503);
    assert!(body.contains(r#""status":"degraded""#) && body.contains(r#""database":"disconnected""#), "{body}");
    assert!(!body.contains("supabase.co"), "{body}");
    let wrong = answer(&edge, &request("GET", "/health?deep=2", ""));
    assert_eq!(wrong.status, 422);
}

#[test]
fn a_session_that_a_lost_try_has_deleted_is_deleted() {
    let gone = r#"{"code":"PT404","message":"session_not_found"}"#;
    let deleted = |lost_first: bool| {
        let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
        if lost_first {
            edge.host().answers.borrow_mut().push_back(Err(FetchError::Unreachable));
        }
        edge.host().answer(404, gone);
        answer(&edge, &request("DELETE", &format!("/sessions/{SESSION}"), "")).status
    };
    assert_eq!((deleted(true), deleted(false)), (204, 404));
}
