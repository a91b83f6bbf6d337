//! From the web's request to a plain one, with a body that comes in chunks.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Object, Reflect, Uint8Array};
use shared::host::web::{read_body, read_head};
use shared::host::{BodyError, Request as Head};

use crate::driven::driven;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{ReadableStream, ReadableStreamDefaultController, Request, RequestInit};

const URL: &str = "https://a.example/functions/v1/chat-message?session_id=%20a&limit=6";

/// How long the function waits for a body.
const PATIENCE_MS: u32 = 500;

/// What a sender does next.
#[derive(Clone)]
enum Step {
    Bytes(usize),
    End,
    Break,
    Wait,
}

/// A sender of bytes: 0, 1, 2 … 255, 0, 1 …
struct Sender {
    stream: ReadableStream,
    cancelled: Rc<Cell<bool>>,
    // Called for as long as somebody reads.
    _pull: Closure<dyn FnMut(ReadableStreamDefaultController)>,
    _cancel: Closure<dyn FnMut()>,
}

impl Sender {
    /// Does these steps, one whenever more is asked for, and then the last one again and again.
    fn new(steps: &[Step]) -> Self {
        let (steps, mut at, mut sent) = (steps.to_vec(), 0, 0_usize);
        let pull = Closure::new(move |controller: ReadableStreamDefaultController| {
            match steps[at.min(steps.len() - 1)] {
                Step::Bytes(count) => {
                    let bytes: Vec<u8> = counting(sent + count).split_off(sent);
                    sent += count;
                    controller.enqueue_with_chunk(&Uint8Array::from(bytes.as_slice())).unwrap();
                }
                Step::End => controller.close().unwrap(),
                Step::Wait => {}
                Step::Break => controller.error_with_e(&JsValue::from_str("the connection broke")),
            }
            at += 1;
        });
        let cancelled = Rc::new(Cell::new(false));
        let noted = Rc::clone(&cancelled);
        let cancel = Closure::new(move || noted.set(true));
        let source = Object::new();
        Reflect::set(&source, &"pull".into(), pull.as_ref()).unwrap();
        Reflect::set(&source, &"cancel".into(), cancel.as_ref()).unwrap();
        let stream = ReadableStream::new_with_underlying_source(&source).unwrap();
        Self { stream, cancelled, _pull: pull, _cancel: cancel }
    }

    /// What a function that takes ten bytes makes of it.
    async fn read(&self) -> Result<Vec<u8>, BodyError> {
        self.read_claiming(None).await
    }

    /// The same of a body that claims to be of a length.
    async fn read_claiming(&self, content_length: Option<&str>) -> Result<Vec<u8>, BodyError> {
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&self.stream);
        // Node and browsers want to hear that the answer comes after the body; hosts, which receive, do not.
        Reflect::set(&init, &"duplex".into(), &"half".into()).unwrap();
        let request = Request::new_with_str_and_init(URL, &init).unwrap();
        if let Some(length) = content_length {
            request.headers().set("content-length", length).unwrap();
        }
        let (head, body) = read(request).await;
        assert_eq!(head.header("content-length"), content_length);
        body
    }
}

fn counting(count: usize) -> Vec<u8> {
    (0..=255).cycle().take(count).collect()
}

/// A request as a function that takes ten bytes reads it.
async fn read(request: Request) -> (Head, Result<Vec<u8>, BodyError>) {
    driven(async move {
        let head = read_head(&request);
        let body = read_body(&request, &head, 10, PATIENCE_MS).await;
        (head, body)
    })
    .await
}

#[wasm_bindgen_test]
async fn the_url_comes_apart_and_stays_encoded() {
    let init = RequestInit::new();
    init.set_method("DELETE");
    let (request, _) = read(Request::new_with_str_and_init(URL, &init).unwrap()).await;
    assert_eq!(request.method, "DELETE");
    assert_eq!(request.path, "/functions/v1/chat-message");
    assert_eq!(request.query, "session_id=%20a&limit=6");
}

fn request(method: &str) -> Request {
    let init = RequestInit::new();
    init.set_method(method);
    Request::new_with_str_and_init(URL, &init).unwrap()
}

/// Headers that mean nothing to a method are not asked for: each costs processor time.
#[wasm_bindgen_test]
async fn a_header_comes_in_where_it_means_something() {
    for (method, names) in [
        ("GET", "accept if-none-match origin"),
        ("HEAD", "accept if-none-match origin"),
        ("OPTIONS", "access-control-request-method origin"),
        ("POST", "idempotency-key if-match origin"),
        ("PATCH", "idempotency-key if-match origin"),
    ] {
        let request = request(method);
        for name in
            ["accept", "if-none-match", "access-control-request-method", "idempotency-key", "if-match", "origin"]
        {
            request.headers().set(name, "x").unwrap();
        }
        let head = read_head(&request);
        let mut read: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
        read.sort_unstable();
        assert_eq!(read.join(" "), names, "{method}");
    }
}

#[wasm_bindgen_test]
async fn only_headers_a_function_may_read_come_in() {
    let request = request("POST");
    for (name, value) in [
        ("Authorization", "Bearer a.b.c"),
        ("X-Request-Id", "r-1"),
        ("Prefer", "a"),
        ("Prefer", "b"),
        ("apikey", "sb_secret_x"),
        ("Cookie", "session=1"),
        ("X-Forwarded-For", "203.0.113.7"),
    ] {
        request.headers().append(name, value).unwrap();
    }
    let (head, _) = read(request).await;
    let mut headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.sort_unstable();
    assert_eq!(headers, [("authorization", "Bearer a.b.c"), ("prefer", "a, b"), ("x-request-id", "r-1")]);
}

#[wasm_bindgen_test]
async fn a_request_without_a_body_has_an_empty_one() {
    for method in ["GET", "POST", "DELETE"] {
        let init = RequestInit::new();
        init.set_method(method);
        let (_, body) = read(Request::new_with_str_and_init(URL, &init).unwrap()).await;
        assert_eq!(body, Ok(Vec::new()), "{method}");
    }
    assert_eq!(Sender::new(&[Step::End]).read().await, Ok(Vec::new()));
}

#[wasm_bindgen_test]
async fn a_body_is_put_together_up_to_the_limit_exactly() {
    use Step::{Bytes, End};
    for (steps, length) in [
        (vec![Bytes(10), End], 10),
        (vec![Bytes(3), Bytes(4), Bytes(3), End], 10),
        (vec![Bytes(1), Bytes(0), Bytes(8), End], 9),
    ] {
        let sender = Sender::new(&steps);
        assert_eq!(sender.read().await, Ok(counting(length)));
        assert!(!sender.cancelled.get());
    }
}

#[wasm_bindgen_test]
async fn a_body_over_the_limit_is_refused_and_its_sender_told_to_stop() {
    use Step::{Bytes, End};
    for endless in [vec![Bytes(11)], vec![Bytes(10), Bytes(1)], vec![Bytes(4)]] {
        let sender = Sender::new(&endless);
        assert_eq!(sender.read().await, Err(BodyError::TooLarge));
        assert!(sender.cancelled.get());
    }
    for ended in [vec![Bytes(11), End], vec![Bytes(10), Bytes(1), End]] {
        assert_eq!(Sender::new(&ended).read().await, Err(BodyError::TooLarge));
    }
}

#[wasm_bindgen_test]
async fn a_body_that_breaks_off_is_interrupted() {
    for steps in [vec![Step::Break], vec![Step::Bytes(4), Step::Break]] {
        assert_eq!(Sender::new(&steps).read().await, Err(BodyError::Interrupted));
    }
}

#[wasm_bindgen_test]
async fn a_body_whose_end_does_not_come_is_given_up() {
    for steps in [vec![Step::Wait], vec![Step::Bytes(4), Step::Wait]] {
        let sender = Sender::new(&steps);
        assert_eq!(sender.read().await, Err(BodyError::TooSlow));
        assert!(sender.cancelled.get());
        assert_eq!(Sender::new(&steps).read_claiming(Some("9")).await, Err(BodyError::TooSlow));
    }
}

#[wasm_bindgen_test]
async fn a_length_that_is_claimed_changes_nothing() {
    use Step::{Bytes, End};
    // As long as it says; shorter; a claim that is none; and more than the function takes, though little is sent.
    for claim in ["9", "10", "0", "", "x", "-9", "9, 9", "11", "99999999999999999999"] {
        let sender = Sender::new(&[Bytes(4), Bytes(5), End]);
        assert_eq!(sender.read_claiming(Some(claim)).await, Ok(counting(9)), "{claim}");
        assert!(!sender.cancelled.get());
    }
    for claim in ["4", "10", "11"] {
        let longer = Sender::new(&[Bytes(4), Bytes(7), End]);
        assert_eq!(longer.read_claiming(Some(claim)).await, Err(BodyError::TooLarge), "{claim}");
        let broken = Sender::new(&[Bytes(4), Step::Break]);
        assert_eq!(broken.read_claiming(Some(claim)).await, Err(BodyError::Interrupted), "{claim}");
    }
}

#[wasm_bindgen_test]
async fn a_header_that_is_not_ascii_comes_in_as_it_is() {
    let request = request("POST");
    // A header's value is bytes; JavaScript shows each as a character of Latin-1.
    request.headers().set("Idempotency-Key", "gr\u{fc}n").unwrap();
    let (head, _) = read(request).await;
    assert_eq!(head.header("idempotency-key"), Some("gr\u{fc}n"));
}
