//! What an earlier run of the tests that was killed left behind.

use std::fs;

use devstack::{checkout::Checkout, stack::home::Home};

/// Stops and removes it. A test that is running holds its folder, which is then left alone.
pub async fn clear(checkout: &Checkout) {
    for entry in fs::read_dir(checkout.state()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("test-")
            && let Ok(home) = Home::open(entry.path()).await
        {
            home.remove();
        }
    }
}
