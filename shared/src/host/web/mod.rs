//! [`Host`] over web standards: `fetch`, WebCrypto, `Date`. Valid on Cloudflare Workers and on Deno alike, because
//! it asks the global scope for nothing that either of them lacks.

mod body;
mod fetch;
mod request;
mod task;

use std::cell::RefCell;
use std::sync::Once;

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Algorithm, FetchError, Host, Inbound, Key, LocalFuture, Outbound};
pub use js_sys::Promise;
pub use request::{read_body, read_head, write_response};
use task::outcome;
pub use task::{poll, rescue, run};
pub use web_sys::Request;

#[wasm_bindgen]
extern "C" {
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

/// Random bytes are asked for so many at a time: a call costs more than the bytes.
const POOL_BYTES: usize = 1024;

/// The place a function runs in, seen through web standards.
#[derive(Debug, Default)]
pub struct WebHost {
    /// Random bytes nobody has had yet.
    pool: RefCell<Vec<u8>>,
}

impl WebHost {
    /// The host this module runs on.
    pub fn new() -> Self {
        // `worker` has a hook that logs what a panic says, and that may quote what a caller wrote. Replaced once: after
        // a panic that ended in a trap, std takes the thread to be panicking for good, and setting a hook panics.
        static QUIET: Once = Once::new();
        QUIET.call_once(|| std::panic::set_hook(Box::new(|_| ())));
        Self::default()
    }
}

impl Host for WebHost {
    fn fetch<'a>(&'a self, request: Outbound<'a>) -> LocalFuture<'a, Result<Inbound, FetchError>> {
        Box::pin(async move {
            fetch::fetch(request).await.map_err(|error| {
                // AbortSignal.timeout() rejects with a DOMException of this name.
                let name = Reflect::get(&error, &JsValue::from_str("name")).ok().and_then(|name| name.as_string());
                match name.as_deref() {
                    Some("TimeoutError" | "AbortError") => FetchError::Timeout,
                    _ => FetchError::Unreachable,
                }
            })
        })
    }

    fn import_key<'a>(&'a self, algorithm: Algorithm, jwk: &'a str) -> LocalFuture<'a, Option<Key>> {
        Box::pin(async move {
            let jwk = js_sys::JSON::parse(jwk).ok()?;
            let usages = Array::of1(&JsValue::from_str("verify"));
            let key = import_key("jwk", &jwk, &parameters(algorithm), false, &usages).ok()?;
            outcome(key).await.ok().map(Key::new)
        })
    }

    fn verify<'a>(
        &'a self,
        algorithm: Algorithm,
        key: &'a Key,
        signature: &'a [u8],
        data: &'a [u8],
    ) -> LocalFuture<'a, bool> {
        Box::pin(async move {
            let Some(key) = key.get::<JsValue>() else { return false };
            let (signature, data) = (Uint8Array::from(signature), Uint8Array::from(data));
            match verify_signature(&parameters(algorithm), key, &signature, &data) {
                Ok(verdict) => outcome(verdict).await.is_ok_and(|verdict| verdict.is_truthy()),
                Err(_) => false,
            }
        })
    }

    fn sleep(&self, milliseconds: u32) -> LocalFuture<'_, ()> {
        Box::pin(async move {
            // The promise of a timer is always kept.
            let _ = outcome(task::sleep(milliseconds)).await;
        })
    }

    fn log(&self, line: &str) {
        console_log(line);
    }

    fn now_ms(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Date.now() is a positive integer")]
        let now = js_sys::Date::now() as u64;
        now
    }

    fn timestamp(&self, ms: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a time of this age has 41 bits")]
        let ms = ms as f64;
        js_sys::Date::new(&JsValue::from_f64(ms)).to_iso_string().into()
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut pool = self.pool.borrow_mut();
        if pool.len() < bytes.len() {
            pool.resize(POOL_BYTES.max(bytes.len()), 0);
            // Both hosts have crypto.getRandomValues; should it ever fail, no id may be made from what is left.
            if getrandom::fill(&mut pool).is_err() {
                wasm_bindgen::throw_str("no source of randomness");
            }
        }
        let rest = pool.len() - bytes.len();
        for (byte, random) in bytes.iter_mut().zip(pool.drain(rest..)) {
            *byte = random;
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
