//! Requests to `analytics` on a fake host.
#![cfg(not(target_arch = "wasm32"))]

use std::rc::Rc;

use shared::edge::Edge;
use shared::host::Request;
use shared::host::fake::{FakeHost, run};
use shared::http::header::AUTHORIZATION;

/// What comes of a body that is no JSON, sent with a token.
fn status(path: &str, token: Option<&str>) -> Option<u16> {
    let variables = |name: &str| match name {
        "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
        "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
        "SUPABASE_JWKS" => Some(FakeHost::key_set(&["k1"])),
        _ => None,
    };
    let host = Rc::new(FakeHost::default());
    let edge = Edge::new(host, analytics::function(), &variables);
    let mut request = Request::new("POST", &format!("https://edge.example{path}"));
    if let Some(token) = token {
        request.add_header(AUTHORIZATION, &format!("Bearer {token}"));
    }
    let arrival = Rc::new(edge.arrival(request));
    run(edge.respond(arrival, Ok(b"no JSON".to_vec()))).map(|response| response.status().as_u16())
}

#[test]
fn a_bad_token_in_the_header_is_refused_before_the_body_is_read() {
    let service = FakeHost::token(
        "k1",
        r#"{"iss":"https://abc.supabase.co/auth/v1","sub":"018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "aud":"authenticated","role":"service_role","exp":1800003600}"#,
    );
    for path in ["/", "/logs"] {
        assert_eq!((status(path, Some("x.y.z")), status(path, Some(&service))), (Some(401), Some(403)), "{path}");
        assert_eq!(status(path, None), Some(400), "{path}");
    }
}
