//! The clock and the source of randomness.

use shared::host::Host;
use shared::web::WebHost;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn random_bytes_fill_the_whole_space_and_differ() {
    // getRandomValues itself gives no more than 65,536 bytes at a time.
    let (mut one, mut other) = (vec![0; 100_000], vec![0; 100_000]);
    WebHost.random(&mut one);
    WebHost.random(&mut other);
    assert!(one != other, "twice the same");
    for bytes in [one, other] {
        assert!(bytes.chunks(32).all(|part| part.iter().any(|byte| *byte != 0)), "a part was left as it was");
    }
    WebHost.random(&mut []);
}

#[wasm_bindgen_test]
fn the_clock_counts_milliseconds_since_1970() {
    let (in_2026, in_2100) = (1_767_225_600_000, 4_102_444_800_000);
    let now = WebHost.now_ms();
    assert!((in_2026..in_2100).contains(&now), "{now}");
    assert!(WebHost.now_ms() - now < 1000, "two looks at the clock are less than a second apart");
}

#[wasm_bindgen_test]
fn a_time_is_written_as_rfc_3339_has_it() {
    assert_eq!(WebHost.timestamp(951_868_799_999), "2000-02-29T23:59:59.999Z");
}
