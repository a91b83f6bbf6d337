//! Someone who signs, with a key made for the occasion by WebCrypto.

use js_sys::{Array, JSON, Promise, Reflect, Uint8Array};
use shared::host::Algorithm;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = generateKey)]
    fn generate_key(algorithm: &JsValue, extractable: bool, usages: &Array) -> Promise;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = exportKey)]
    fn export_key(format: &str, key: &JsValue) -> Promise;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = sign)]
    fn sign_with(algorithm: &JsValue, key: &JsValue, data: &Uint8Array) -> Promise;
}

/// A key with its private half.
pub(crate) struct Signer {
    parameters: JsValue,
    private: JsValue,
    /// What verifies, as a JSON Web Key.
    pub(crate) jwk: String,
    /// What signs, as a JSON Web Key.
    pub(crate) private_jwk: String,
}

impl Signer {
    /// Makes a key.
    pub(crate) async fn new(algorithm: Algorithm) -> Self {
        // Written out once more: a slip in the glue's own table of these must not go unnoticed.
        let parameters = JSON::parse(match algorithm {
            Algorithm::Es256 => r#"{"name":"ECDSA","namedCurve":"P-256","hash":"SHA-256"}"#,
            Algorithm::Rs256 => r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256","modulusLength":2048}"#,
            Algorithm::EdDsa => r#"{"name":"Ed25519"}"#,
            Algorithm::Hs256 => r#"{"name":"HMAC","hash":"SHA-256","length":256}"#,
        })
        .unwrap();
        if algorithm == Algorithm::Rs256 {
            // 65537, as bytes, which JSON has not.
            let exponent = Uint8Array::from([1, 0, 1].as_slice());
            Reflect::set(&parameters, &"publicExponent".into(), &exponent).unwrap();
        }
        let usages = Array::of2(&"sign".into(), &"verify".into());
        let made = settled(generate_key(&parameters, true, &usages)).await;
        // A shared secret is one key for both.
        let half = |name: &str| Some(get(&made, name)).filter(|key| !key.is_undefined()).unwrap_or(made.clone());
        let (private, public) = (half("privateKey"), half("publicKey"));
        Self { jwk: jwk(&public).await, private_jwk: jwk(&private).await, parameters, private }
    }

    /// Signs.
    pub(crate) async fn sign(&self, data: &[u8]) -> Vec<u8> {
        let signature = settled(sign_with(&self.parameters, &self.private, &Uint8Array::from(data))).await;
        Uint8Array::new(&signature).to_vec()
    }
}

async fn jwk(key: &JsValue) -> String {
    JSON::stringify(&settled(export_key("jwk", key)).await).unwrap().into()
}

async fn settled(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.expect("WebCrypto does it")
}

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}
