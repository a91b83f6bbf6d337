//! [`Host`] over web standards: `fetch`, WebCrypto, `Date`. Valid on Cloudflare Workers and on Deno alike, because
//! it asks the global scope for nothing that either of them lacks.

mod body;
mod request;
mod task;

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, Headers, RequestInit, RequestRedirect};

use crate::auth::Algorithm;
use crate::host::{FetchError, Host, Inbound, Outbound};
use crate::json::digits;
pub use js_sys::Promise;
pub use request::{read_body, read_head, write_response};
use task::outcome;
pub use task::{poll, rescue, run};

/// The allocator of every function's module: 3 KB smaller than the default one.
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &RequestInit) -> Promise;

    #[wasm_bindgen(js_namespace = console, js_name = log)]
    fn console_log(line: &str);

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    fn verify_signature(
        algorithm: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// The place a function runs in, seen through web standards.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebHost;

impl Host for WebHost {
    /// A `CryptoKey`.
    type Key = JsValue;

    async fn fetch(&self, request: Outbound<'_>) -> Result<Inbound, FetchError> {
        exchange(request).await.map_err(|error| {
            // AbortSignal.timeout() rejects with a DOMException of this name.
            let name = Reflect::get(&error, &JsValue::from_str("name")).ok().and_then(|name| name.as_string());
            match name.as_deref() {
                Some("TimeoutError" | "AbortError") => FetchError::Timeout,
                _ => FetchError::Unreachable,
            }
        })
    }

    async fn import_key(&self, algorithm: Algorithm, jwk: &str) -> Option<JsValue> {
        let jwk = js_sys::JSON::parse(jwk).ok()?;
        let usages = Array::of1(&JsValue::from_str("verify"));
        let key = import_key("jwk", &jwk, &parameters(algorithm), false, &usages).ok()?;
        outcome(key).await.ok()
    }

    async fn verify(&self, algorithm: Algorithm, key: &JsValue, signature: &[u8], data: &[u8]) -> bool {
        let (signature, data) = (Uint8Array::from(signature), Uint8Array::from(data));
        match verify_signature(&parameters(algorithm), key, &signature, &data) {
            Ok(verdict) => outcome(verdict).await.is_ok_and(|verdict| verdict.is_truthy()),
            Err(_) => false,
        }
    }

    fn now_ms(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Date.now() is a positive integer")]
        let now = js_sys::Date::now() as u64;
        now
    }

    async fn sleep(&self, milliseconds: u32) {
        // The promise of a timer is always kept.
        let _ = outcome(task::sleep(milliseconds)).await;
    }

    fn log(&self, line: &str) {
        console_log(line);
    }

    fn timestamp(&self, ms: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a time of this age has 41 bits")]
        let ms = ms as f64;
        js_sys::Date::new(&JsValue::from_f64(ms)).to_iso_string().into()
    }

    fn random(&self, bytes: &mut [u8]) {
        // Both hosts have crypto.getRandomValues; should it ever fail, no id may be made from what is left.
        if getrandom::fill(bytes).is_err() {
            wasm_bindgen::throw_str("no source of randomness");
        }
    }
}

/// WebCrypto's name for an algorithm, the same object for importing a key and for verifying.
fn parameters(algorithm: Algorithm) -> JsValue {
    let parameters = Object::new();
    let members: &[(&str, &str)] = match algorithm {
        Algorithm::Es256 => &[("name", "ECDSA"), ("namedCurve", "P-256"), ("hash", "SHA-256")],
        Algorithm::Rs256 => &[("name", "RSASSA-PKCS1-v1_5"), ("hash", "SHA-256")],
        Algorithm::EdDsa => &[("name", "Ed25519")],
        Algorithm::Hs256 => &[("name", "HMAC"), ("hash", "SHA-256")],
    };
    for (name, value) in members {
        // Setting a member of a plain object cannot fail.
        let _ = Reflect::set(&parameters, &JsValue::from_str(name), &JsValue::from_str(value));
    }
    parameters.into()
}

async fn exchange(request: Outbound<'_>) -> Result<Inbound, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(request.method);
    init.set_headers(&headers);
    // A token must not follow a redirect to another place.
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(request.timeout_ms)));
    if let Some(body) = request.body {
        init.set_body(&Uint8Array::from(body.as_bytes()));
    }
    let response: web_sys::Response = outcome(global_fetch(request.url, &init)).await?.unchecked_into();
    let retry_after = response.headers().get("retry-after")?.as_deref().and_then(digits);
    let body = outcome(response.array_buffer()?).await?;
    Ok(Inbound { status: response.status(), retry_after, body: Uint8Array::new(&body).to_vec() })
}
