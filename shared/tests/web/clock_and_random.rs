//! The clock and the source of randomness.

use std::collections::BTreeSet;

use shared::host::Host;
use shared::host::web::WebHost;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn random_bytes_fill_the_whole_space_and_differ() {
    // getRandomValues itself gives no more than 65,536 bytes at a time.
    let (mut one, mut other) = (vec![0; 100_000], vec![0; 100_000]);
    let host = WebHost::default();
    host.random(&mut one);
    host.random(&mut other);
    assert!(one != other, "twice the same");
    for bytes in [one, other] {
        assert!(bytes.chunks(32).all(|part| part.iter().any(|byte| *byte != 0)), "a part was left as it was");
    }
    host.random(&mut []);
}

#[wasm_bindgen_test]
fn random_bytes_from_the_pool_are_given_out_once() {
    let host = WebHost::default();
    let mut seen = BTreeSet::new();
    let mut note = |bytes: &[u8]| {
        for part in bytes.chunks_exact(8) {
            assert!(seen.insert(part.to_vec()), "given out twice: {part:?}");
        }
    };
    // Sizes that leave every rest in the pool, and more than the pool holds.
    for size in (8..=1024).step_by(8).chain([2048, 8, 1016, 1032, 70_000, 16]) {
        let mut bytes = vec![0; size];
        host.random(&mut bytes);
        note(&bytes);
    }
    // Ids are made of 10 bytes, and the wait before a retry of 2.
    for _ in 0..1000 {
        let (mut id, mut wait) = ([0; 10], [0; 2]);
        host.random(&mut id);
        host.random(&mut wait);
        note(&id);
    }
    let mut of_another = [0; 1024];
    WebHost::default().random(&mut of_another);
    note(&of_another);
}

#[wasm_bindgen_test]
fn the_clock_counts_milliseconds_since_1970() {
    let (in_2026, in_2100) = (1_767_225_600_000, 4_102_444_800_000);
    let host = WebHost::default();
    let now = host.now_ms();
    assert!((in_2026..in_2100).contains(&now), "{now}");
    assert!(host.now_ms() - now < 1000, "two looks at the clock are less than a second apart");
}

#[wasm_bindgen_test]
fn a_time_is_written_as_rfc_3339_has_it() {
    assert_eq!(WebHost::default().timestamp(951_868_799_999), "2000-02-29T23:59:59.999Z");
}
