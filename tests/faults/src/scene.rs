//! The stack that is broken, the people who write meanwhile, and the ledger of what they wrote.

use conformance::stack::checkout;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance::browser::{Browser, Saw};
use conformance::client::{Answer, Call};
use conformance::fault_proxy::FaultProxy;
use conformance::ledger::{Entry, Kind, Ledger};
use conformance::person::Person;
use conformance::stack::Stack;
use conformance::writer::{Writer, Written};
use devstack::host::Host;
use devstack::progress::Progress;
use devstack::stack::{Stack as Parts, StackOptions};
use devstack::wait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// How long the functions wait for the database here, in seconds. The default, ten, is tried by one fault of its own.
pub(crate) const TIMEOUT: u64 = 2;

/// How long everything may take to work again after a fault: an open breaker's five seconds, PostgREST's growing
/// pauses between tries to connect, and some room.
const RECOVERY: Duration = Duration::from_secs(30);

/// Everything a fault needs.
pub(crate) struct Scene {
    /// The stack, as its clients know it.
    pub stack: Stack,
    /// The stack, as who started it knows it.
    pub parts: tokio::sync::Mutex<Parts>,
    /// What stands between the functions and the stack.
    pub proxy: FaultProxy,
    /// What was written.
    pub ledger: Ledger,
    /// A client that keeps its connections.
    pub browser: Browser,
    /// Who tries one request and looks closely.
    pub person: Person,
    writers: Vec<Person>,
    told: Mutex<BTreeMap<String, Value>>,
}

/// A message that is looked at closely: it stands in the ledger as any other write.
pub(crate) struct Probe {
    /// The request that writes it.
    pub request: Call,
    /// Its session, which is new.
    pub session_id: Uuid,
    number: usize,
}

impl Scene {
    /// Starts a stack whose functions reach it through the proxy, and whose commits outlive a kill.
    pub(crate) async fn set(host: Host) -> Self {
        let checkout = checkout();
        let options = StackOptions { durable: true, ..StackOptions::ephemeral(&checkout, host) };
        let mut parts = Parts::reserve(&checkout, options).await.unwrap_or_else(|error| panic!("{error}"));
        let proxy = FaultProxy::start(&parts.description().api_url, "/rest/v1").await;
        parts.put_functions_behind(proxy.url.clone());
        parts.set_variable("SUPABASE_TIMEOUT", &TIMEOUT.to_string());
        parts.set_variable("SUPABASE_MAX_RETRIES", "3");
        let parts = parts.started(Progress::start()).await.unwrap_or_else(|error| panic!("{error}"));
        let stack = Stack::described(&parts.home().description());
        let person = Person::new(&stack).await;
        let writers = join_all((0..3).map(|_| Person::new(&stack))).await;
        Self {
            stack,
            parts: tokio::sync::Mutex::new(parts),
            proxy,
            ledger: Ledger::default(),
            browser: Browser::default(),
            person,
            writers,
            told: Mutex::default(),
        }
    }

    /// Stops the stack.
    pub(crate) async fn end(self) {
        self.parts.into_inner().stop().await;
    }

    /// Notes something for the verdict.
    pub(crate) fn tell(&self, name: &str, value: impl Into<Value>) {
        self.told.lock().unwrap().insert(name.to_owned(), value.into());
    }

    /// What was noted since the last time.
    pub(crate) fn told(&self) -> Value {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        let counts = self.ledger.counts();
        told.insert("ledger".to_owned(), json!({ "tried": counts.tried, "acknowledged": counts.acknowledged }));
        json!(told)
    }

    /// Where stored rows and the ledger differ.
    pub(crate) async fn complaints(self: std::sync::Arc<Self>) -> Vec<String> {
        self.ledger.complaints(&self.stack.database().await).await
    }

    /// A message nobody has sent yet.
    pub(crate) fn probe(&self) -> Probe {
        self.probe_saying("probe")
    }

    /// The same, its text beginning in a chosen way.
    pub(crate) fn probe_saying(&self, text: &str) -> Probe {
        let entry = Entry::new(Kind::Message, self.person.user_id, Uuid::new_v4(), text);
        let body = json!({ "id": entry.id, "session_id": entry.session_id, "role": "bot", "message": entry.mark });
        let request = self.person.call("POST", "chat-message", "").json(&body);
        Probe { request, session_id: entry.session_id, number: self.ledger.begin(entry) }
    }

    /// Sends a probe once.
    pub(crate) async fn send(&self, probe: &Probe) -> Answer {
        let answer = self.browser.once(&probe.request).await.expect("an answer: the gateway itself is never broken");
        if answer.status.is_success() {
            self.ledger.acknowledge(probe.number);
        }
        answer
    }

    /// People write without a pause until `during` is over, everybody at least `least` times. What they saw is noted;
    /// every write must have been acknowledged in the end.
    pub(crate) async fn traffic(&self, least: usize, during: impl Future<Output = ()>) -> BTreeMap<Saw, usize> {
        let over = AtomicBool::new(false);
        let write = |mut writer: Writer| {
            let over = &over;
            async move {
                let mut all = Vec::new();
                let mut written = 0;
                while written < least || !over.load(Ordering::SeqCst) {
                    let Written { acknowledged, saw } = writer.write(&self.browser, &self.ledger).await;
                    written += 1;
                    all.extend(saw.iter().cloned());
                    if !acknowledged {
                        // Said once the fault is over: what it has killed must come back first.
                        let last = &saw[saw.len().saturating_sub(3)..];
                        return (all, Some(format!("{:?} gave up writing; its last tries: {last:?}", writer.kind())));
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                (all, None)
            }
        };
        let kinds = Kind::on(&self.stack);
        let writers = self.writers.iter().flat_map(|person| kinds.iter().map(|kind| Writer::new(person, *kind)));
        let everybody = join_all(writers.map(write));
        let (all, ()) = tokio::join!(everybody, async {
            during.await;
            over.store(true, Ordering::SeqCst);
        });
        let mut saw = BTreeMap::new();
        let (all, gave_up): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        for one in all.into_iter().flatten() {
            *saw.entry(one).or_insert(0) += 1;
        }
        self.tell("traffic", saw.iter().map(|(saw, count)| format!("{count} × {saw:?}")).collect::<Vec<_>>());
        let gave_up: Vec<_> = gave_up.into_iter().flatten().collect();
        assert!(gave_up.is_empty(), "{}", gave_up.join("; "));
        saw
    }

    /// Ends every fault, and waits until each function works: its breaker is closed then, with no failure counted.
    pub(crate) async fn mended(self: std::sync::Arc<Self>) {
        self.proxy.clear();
        self.proxy.accept().await;
        let until = Instant::now() + RECOVERY;
        for kind in Kind::on(&self.stack) {
            let works = wait::until(Duration::from_millis(100), || async {
                // Not by insisting: whoever respects Retry-After waits longer than need be.
                let answer = self.browser.once(&self.question(kind)).await;
                // That there is no such session is something only the database can say.
                answer.is_some_and(|answer| answer.status.is_success() || answer.status == 404)
            });
            let works = tokio::time::timeout_at(until, works).await;
            works.unwrap_or_else(|_| panic!("{} does not work again", kind.function()));
        }
        // The next fault finds no connection of this one's.
        self.proxy.drop_idle();
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.proxy.forget();
    }

    /// Asks for the history of a session there is not.
    pub(crate) async fn history(&self) -> Answer {
        self.browser.once(&self.question(Kind::Message)).await.expect("an answer: the gateway itself is never broken")
    }

    /// Starts the functions afresh, with another timeout.
    pub(crate) async fn restart_functions_with_timeout(&self, seconds: u64) {
        let mut parts = self.parts.lock().await;
        parts.set_variable("SUPABASE_TIMEOUT", &seconds.to_string());
        parts.restart_functions().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A request that the database answers, and that writes nothing.
    fn question(&self, kind: Kind) -> Call {
        let target = match kind {
            Kind::Event => "/summary?days=1".to_owned(),
            Kind::Message | Kind::Move => format!("?session_id={}", Uuid::new_v4()),
        };
        self.person.call("GET", kind.function(), &target)
    }
}
