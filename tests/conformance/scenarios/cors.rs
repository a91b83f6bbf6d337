//! Browsers: the preflight, and what a page may read. The local stack lets every origin in.

use conformance::assertions::assert_problem;
use conformance::client::{Answer, call};
use conformance::isolated::Isolated;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use serde_json::json;
use uuid::Uuid;

const PAGE: &str = "https://app.example";

/// What Supabase's self-hosted gateway answers to every preflight of a function, whatever the function would say.
fn assert_is_kongs(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization, x-client-info, apikey, content-type");
    assert!(answer.header("access-control-allow-methods").contains("DELETE"));
    for of_the_function in ["x-request-id", "server-timing", "access-control-max-age"] {
        assert_eq!(answer.header(of_the_function), "", "the function did not see it");
    }
}

#[tokio::test]
async fn a_preflight_allows_what_supabase_js_sends() {
    let answer = call("OPTIONS", Stack::running().function("chat-message"))
        .header("origin", PAGE)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,apikey,content-type,x-client-info")
        .send()
        .await;
    if Stack::is_behind_kong() {
        return assert_is_kongs(&answer);
    }
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-max-age"), "7200");
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(answer.header("access-control-allow-headers"), "authorization, apikey, content-type, x-client-info");
}

/// Tracing libraries add headers of their own, and so may the next one.
#[tokio::test]
async fn a_preflight_allows_whatever_headers_it_asks_for() {
    let asked =
        "authorization,baggage,idempotency-key,if-match,if-none-match,prefer,sentry-trace,traceparent,x-retry-count";
    let preflight = async |asked: &str| {
        let request = call("OPTIONS", Stack::running().function("chat-message"));
        let request = request.header("origin", PAGE).header("access-control-request-method", "GET");
        request.header("access-control-request-headers", asked).send().await
    };
    let answer = preflight(asked).await;
    if Stack::is_behind_kong() {
        return assert_is_kongs(&answer);
    }
    let allowed = |answer: &Answer| answer.header("access-control-allow-headers").to_owned();
    assert_eq!((answer.status.as_u16(), allowed(&answer)), (204, asked.replace(',', ", ")));
    assert_eq!(allowed(&preflight("a b,apikey").await), "apikey");
    assert!(allowed(&preflight(&vec!["x-long-header-name"; 200].join(",")).await).len() <= 1024);
}

#[tokio::test]
async fn an_origin_is_compared_as_browsers_write_it() {
    let stack = Stack::running();
    let configured = "https://App.Example:443,HTTP://Localhost:80";
    let function = Isolated::start(&stack, "chat-message", &[("ALLOWED_ORIGINS", configured)]).await;
    for origin in [PAGE, "http://localhost"] {
        let answer = call("GET", format!("{}/health", function.url)).header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), origin);
    }
}

#[tokio::test]
async fn a_visitor_may_write_only_from_pages_that_may_call() {
    let stack = Stack::running();
    let function = Isolated::start(&stack, "analytics", &[("ALLOWED_ORIGINS", PAGE)]).await;
    let event = json!({ "event_type": "step_completed" });
    let send = async |path: &str, origin: Option<&str>, token: Option<&str>| {
        let mut request = call("POST", format!("{}{path}", function.url)).header("apikey", &stack.publishable_key);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body("text/plain", event.to_string()).send().await
    };
    let person = Person::new(&stack).await;
    for origin in ["https://evil.example", "null"] {
        for path in ["", "?beacon=1"] {
            assert_problem(&send(path, Some(origin), None).await, 403, "origin_not_allowed");
        }
        assert_eq!(send("", Some(origin), Some(&person.token)).await.status, 201, "a signed-in user may");
    }
    assert_eq!(send("", Some(PAGE), None).await.status, 201);
    assert_eq!(send("", None, None).await.status, 201, "no page: a server, or an app");
    let line = call("POST", format!("{}/logs", function.url)).header("origin", "https://evil.example");
    let line = line.json(&json!({ "log_level": "INFO", "component": "x", "message": "x" }));
    assert_problem(&line.send().await, 403, "origin_not_allowed");
}

#[tokio::test]
async fn visitors_are_refused_where_they_are_not_wanted() {
    let stack = Stack::running();
    let function = Isolated::start(&stack, "analytics", &[("ANONYMOUS", "off")]).await;
    let event = json!({ "event_type": "step_completed" });
    let answer = call("POST", &function.url).json(&event).send().await;
    assert_problem(&answer, 401, "missing_token");
    let person = Person::new(&stack).await;
    let request = call("POST", &function.url).header("authorization", format!("Bearer {}", person.token));
    assert_eq!(request.json(&event).send().await.status, 201);
}

/// So that the page's request is sent, and its 404 can be read.
#[tokio::test]
async fn a_preflight_of_an_unknown_path_is_answered_as_any() {
    let answer = call("OPTIONS", format!("{}/nowhere", Stack::running().function("chat-message")))
        .header("origin", PAGE)
        .header("access-control-request-method", "DELETE")
        .send()
        .await;
    if Stack::is_behind_kong() {
        return assert_is_kongs(&answer);
    }
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (204, "*"));
    assert!(answer.header("access-control-allow-methods").contains("DELETE"));
}

#[tokio::test]
async fn a_page_that_is_not_on_the_list_is_told_nothing() {
    let stack = Stack::running();
    let function =
        Isolated::start(&stack, "analytics", &[("ALLOWED_ORIGINS", "https://one.example, https://two.example")]).await;
    for method in ["OPTIONS", "POST"] {
        let ask = async |origin: &str| {
            let request = call(method, &function.url).header("origin", origin);
            request.header("access-control-request-method", "POST").send().await
        };
        for origin in ["https://one.example", "https://two.example"] {
            let answer = ask(origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert!(answer.header("vary").contains("Origin"), "{method} {origin}");
        }
        for origin in [PAGE, "null", "https://one.example.evil", "http://one.example", "https://one.example:444"] {
            let answer = ask(origin).await;
            let told: Vec<_> =
                answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
            assert!(told.is_empty(), "{method} {origin}: {told:?}");
            assert!(answer.header("vary").contains("Origin"), "{method} {origin}");
        }
    }
}

#[tokio::test]
async fn a_page_may_read_answers_and_errors_alike() {
    let person = Person::new(&Stack::running()).await;
    let url = person.stack.function("chat-message").to_owned();
    for answer in [
        person
            .call("POST", "chat-message", "")
            .header("origin", PAGE)
            .json(&message(Uuid::new_v4(), "hello"))
            .send()
            .await,
        call("POST", &url).header("origin", PAGE).body("application/json", "{}").send().await,
        call("PUT", &url).header("origin", PAGE).send().await,
        call("GET", format!("{url}/nowhere")).header("origin", PAGE).send().await,
    ] {
        assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1, "{}", answer.text());
        let exposed = answer.header("access-control-expose-headers");
        for header in ["etag", "location", "retry-after", "server-timing", "x-request-id"] {
            assert!(exposed.split(", ").any(|name| name == header), "{header} in {exposed}");
        }
    }
}
