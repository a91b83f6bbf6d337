//! Signatures: what verifies, what does not, and keys that cannot be used.

use shared::host::web::WebHost;
use shared::host::{Algorithm, Host, Key};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::driven::driven;
use crate::signer::Signer;

const DATA: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9";

async fn public_key(signer: &Signer) -> Key {
    import_key(Algorithm::Es256, &signer.jwk).await.expect("a usable key")
}

async fn is_good(key: &Key, signature: &[u8], data: &[u8]) -> bool {
    verify(Algorithm::Es256, key, signature, data).await
}

async fn import_key(algorithm: Algorithm, jwk: &str) -> Option<Key> {
    let jwk = jwk.to_owned();
    driven(async move { WebHost::default().import_key(algorithm, &jwk).await }).await
}

async fn verify(algorithm: Algorithm, key: &Key, signature: &[u8], data: &[u8]) -> bool {
    let (key, signature, data) = (key.clone(), signature.to_vec(), data.to_vec());
    driven(async move { WebHost::default().verify(algorithm, &key, &signature, &data).await }).await
}

#[wasm_bindgen_test]
async fn a_signature_is_good_for_its_data_and_its_key_alone() {
    let (signer, stranger) = (Signer::new(Algorithm::Es256).await, Signer::new(Algorithm::Es256).await);
    let key = public_key(&signer).await;
    let signature = signer.sign(DATA).await;
    assert!(is_good(&key, &signature, DATA).await);
    assert!(!is_good(&key, &signature, &[DATA, b"x"].concat()).await, "other data");
    assert!(!is_good(&key, &signature, b"").await, "no data");
    assert!(!is_good(&public_key(&stranger).await, &signature, DATA).await, "another key");
    assert!(!is_good(&key, &stranger.sign(DATA).await, DATA).await, "another signer");
}

#[wasm_bindgen_test]
async fn a_signature_is_64_bytes_and_each_of_them_counts() {
    let signer = Signer::new(Algorithm::Es256).await;
    let key = public_key(&signer).await;
    let signature = signer.sign(DATA).await;
    assert_eq!(signature.len(), 64);
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert!(!is_good(&key, &changed, DATA).await, "byte {at} changed");
    }
    for length in [0, 1, 32, 63] {
        assert!(!is_good(&key, &signature[..length], DATA).await, "{length} bytes");
    }
    assert!(!is_good(&key, &[signature.as_slice(), &[0]].concat(), DATA).await, "65 bytes");
    assert!(!is_good(&key, &[0; 64], DATA).await, "r and s of zero, which some libraries took for valid");
}

#[wasm_bindgen_test]
async fn a_signature_in_der_is_none() {
    // RFC 7518 section 3.4: r and s, 32 bytes each. Most libraries outside the web write DER instead.
    let signer = Signer::new(Algorithm::Es256).await;
    let signature = signer.sign(DATA).await;
    assert!(!is_good(&public_key(&signer).await, &der(&signature), DATA).await);
}

#[wasm_bindgen_test]
async fn every_algorithm_verifies_what_was_signed_with_it() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256] {
        let signer = Signer::new(algorithm).await;
        let key = import_key(algorithm, &signer.jwk).await.expect("a usable key");
        let signature = signer.sign(DATA).await;
        assert!(verify(algorithm, &key, &signature, DATA).await, "{}", algorithm.name());
        assert!(!verify(algorithm, &key, &signature, b"x").await, "{}", algorithm.name());
    }
}

#[wasm_bindgen_test]
async fn a_key_verifies_with_no_algorithm_but_its_own() {
    let signer = Signer::new(Algorithm::Es256).await;
    let (key, signature) = (public_key(&signer).await, signer.sign(DATA).await);
    for other in [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256] {
        assert!(!verify(other, &key, &signature, DATA).await, "{}", other.name());
        assert!(import_key(other, &signer.jwk).await.is_none(), "{}", other.name());
    }
}

#[wasm_bindgen_test]
async fn a_key_that_cannot_be_used_is_none() {
    let signer = Signer::new(Algorithm::Es256).await;
    let altered = |from: &str, to: &str| {
        assert!(signer.jwk.contains(from), "{}", signer.jwk);
        signer.jwk.replace(from, to)
    };
    let unusable = [
        "not JSON".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-256"}"#.to_owned(),
        // A point that is not on the curve.
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}"#, "A".repeat(43)),
        altered(r#""crv":"P-256""#, r#""crv":"P-384""#),
        altered(r#"["verify"]"#, r#"["sign"]"#),
        signer.private_jwk.clone(),
    ];
    for jwk in unusable {
        assert!(import_key(Algorithm::Es256, &jwk).await.is_none(), "{jwk}");
    }
}

/// r and s as two DER integers in a sequence.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap();
        let mut value = bytes[first..].to_vec();
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [&[2, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
    };
    let (r, s) = signature.split_at(32);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
}
