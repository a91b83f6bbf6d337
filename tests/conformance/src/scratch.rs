//! A folder of a test's own, which goes with the test, also when it fails.

use crate::stack::checkout;
use std::ops::Deref;

use devstack::stack::home::Home;
use uuid::Uuid;

/// A home below `.selvedge`, as a stack has one: what a test run that was killed leaves in it, the next
/// `cargo xtask test` stops and removes.
#[derive(Debug)]
pub struct Scratch(Option<Home>);

impl Scratch {
    /// A new one. Declare it before what runs in it: Rust drops in reverse, so the programs end first.
    pub async fn new(what_for: &str) -> Self {
        let folder = checkout().state().join(format!("test-{what_for}-{}", Uuid::new_v4().simple()));
        Self(Some(Home::open(folder).await.expect("a folder below .selvedge")))
    }
}

impl Deref for Scratch {
    type Target = Home;

    fn deref(&self) -> &Home {
        self.0.as_ref().expect("it is only taken out when dropped")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(home) = self.0.take() {
            home.remove();
        }
    }
}
