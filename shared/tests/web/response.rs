//! From a plain response to the web's.

use js_sys::Uint8Array;
use shared::http::Response;
use shared::web::write_response;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

async fn body(response: &web_sys::Response) -> Vec<u8> {
    Uint8Array::new(&JsFuture::from(response.array_buffer().unwrap()).await.unwrap()).to_vec()
}

#[wasm_bindgen_test]
async fn status_headers_and_body_go_out_as_they_are() {
    let bytes: Vec<u8> = (0..=255).collect();
    let response = Response::json(201, bytes.clone()).with("location", "?a=1&b=%20").with("x-request-id", "r-1");
    let written = write_response(&response);
    assert_eq!(written.status(), 201);
    for (name, value) in [("content-type", "application/json"), ("location", "?a=1&b=%20"), ("x-request-id", "r-1")] {
        assert_eq!(written.headers().get(name).unwrap().as_deref(), Some(value), "{name}");
    }
    assert_eq!(body(&written).await, bytes);
}

#[wasm_bindgen_test]
fn a_header_given_twice_goes_out_twice() {
    let written = write_response(&Response::empty(204).with("vary", "Origin").with("vary", "Accept"));
    assert_eq!(written.headers().get("vary").unwrap().as_deref(), Some("Origin, Accept"));
}

#[wasm_bindgen_test]
async fn no_body_is_none_and_an_empty_one_is_one() {
    for status in [204, 304, 200] {
        let written = write_response(&Response::empty(status));
        assert_eq!(written.status(), status);
        assert!(written.body().is_none(), "{status}");
    }
    let written = write_response(&Response::json(200, ""));
    assert!(written.body().is_some());
    assert_eq!(body(&written).await, b"");
}

#[wasm_bindgen_test]
fn what_is_no_response_is_an_error_and_no_panic() {
    for none in [Response::empty(99), Response::empty(200).with("x-request-id", "a\nb"), Response::json(204, "{}")] {
        assert_eq!(write_response(&none).type_(), web_sys::ResponseType::Error, "{none:?}");
    }
}
