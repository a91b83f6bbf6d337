//! A function that breaks while it answers: memory that really runs out, in the module that is shipped.

use conformance::stack::checkout;
use std::fs;

use conformance::assertions::assert_problem;
use conformance::client::{Answer, call};
use conformance::isolated::Isolated;
use conformance::person::Person;
use conformance::scratch::Scratch;
use conformance::stack::Stack;
use conformance::starved::starved;
use devstack::host::Host;
use devstack::output::Output;
use futures_util::future::join_all;
use hyper::body::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

/// Pages (of 64 KiB) for a few small requests at once, and not for a body of 500 KiB, which is read into one piece of
/// memory: what a request that traps has allocated is not given back.
const PAGES: u32 = 7;

struct Starved {
    function: Isolated,
    person: Person,
    _scratch: Scratch,
}

impl Starved {
    async fn start() -> Self {
        let stack = Stack::running();
        let scratch = Scratch::new("starved").await;
        let checkout = starved(&scratch.folder().join("checkout"), "analytics", host(&stack), PAGES);
        let function = Isolated::start_of(&checkout, &stack, "analytics", &[]).await;
        Self { function, person: Person::new(&stack).await, _scratch: scratch }
    }

    async fn send(&self, body: Bytes, request_id: &str) -> Answer {
        call("POST", &self.function.url)
            .header("authorization", format!("Bearer {}", self.person.token))
            .header("origin", "https://app.example")
            .header("x-request-id", request_id)
            .body("application/json", body)
            .send()
            .await
    }

    async fn send_small(&self, id: Uuid) -> Answer {
        self.send(event(id, 10).to_string().into(), "small").await
    }
}

fn host(stack: &Stack) -> Host {
    if stack.host == "workers" { Host::Workers } else { Host::Supabase }
}

fn event(id: Uuid, length: usize) -> Value {
    json!({ "id": id, "event_type": "trap", "event_data": { "pad": "x".repeat(length) } })
}

/// Valid, of 500 KiB.
fn large() -> Bytes {
    let events: Vec<_> = (0..20).map(|_| event(Uuid::new_v4(), 25_000)).collect();
    json!({ "events": events }).to_string().into()
}

#[tokio::test]
async fn memory_that_runs_out_ends_one_request_and_no_other() {
    let starved = Starved::start().await;
    assert_eq!(starved.send_small(Uuid::new_v4()).await.status, 201);
    let broken = starved.send(large(), "the-large-one").await;
    let problem = assert_problem(&broken, 500, "internal_error");
    assert_eq!(problem["request_id"], "the-large-one");
    assert_eq!(broken.header("x-request-id"), "the-large-one");
    assert_eq!(broken.header("access-control-allow-origin"), "*", "the page may read it");
    // The next one is answered, and so are many at once.
    let answers = join_all((0..8).map(|_| starved.send_small(Uuid::new_v4()))).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
}

#[tokio::test]
async fn requests_under_way_while_another_traps_are_answered() {
    let starved = Starved::start().await;
    let ids: Vec<_> = (0..6).map(|_| Uuid::new_v4()).collect();
    let small = join_all(ids.iter().map(|id| starved.send_small(*id)));
    let (answers, broken) = tokio::join!(small, starved.send(large(), "the-large-one"));
    assert_problem(&broken, 500, "internal_error");
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    let stored = "select count(*) from public.analytics where id = any($1)";
    let row = starved.person.stack.database().await.query_one(stored, &[&ids]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 6);
}

/// After a trap `glue.js` puts the stack back with this export. Without it, it goes on, and each trap costs stack.
#[test]
fn every_module_exports_its_stack_pointer() {
    let checkout = checkout();
    // The length of the name, the name, and the number that says that it is a global's.
    let export = b"\x0f__stack_pointer\x03";
    for function in checkout.functions().unwrap() {
        let output = Output::of(&checkout, host(&Stack::running()), &function);
        let module = fs::read(output.folder().join(output.wasm_name())).unwrap();
        assert!(module.windows(export.len()).any(|bytes| bytes == export), "{} does not", function.name);
    }
}
