//! Ctrl-C, while requests are under way: `cargo xtask dev` itself, as a person runs it.

use conformance::stack::checkout;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use conformance::browser::Browser;
use conformance::person::{Person, message};
use conformance::scratch::Scratch;
use conformance::stack::Stack;
use devstack::stack::{ports, process_table};
use devstack::tools::rust::cargo;
use devstack::wait;
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::scene::Scene;

/// How long `cargo xtask dev` may take to be ready; it builds first, and what it builds has been built.
const READY: Duration = Duration::from_secs(120);
/// How long it may take to end.
const ENDED: Duration = Duration::from_secs(30);
const REQUESTS: usize = 10;

/// Messages take a while to be stored here, so that all of them are under way when the signal comes.
const SLOW: &str = "
    create function public.faults_slow() returns trigger language plpgsql as $$
      begin perform pg_catalog.pg_sleep(1.5); return new; end $$;
    create trigger faults_slow before insert on public.chat_history
      for each row execute function public.faults_slow();";

/// `cargo xtask dev`. Dropped before it has ended by itself, it is killed with everything it started.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let Some(leader) = self.0.id() else { return };
        for pid in process_table::descendants(leader) {
            let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
        }
    }
}

/// Starts one, sends requests, and the signal once they all wait in the database.
pub(crate) async fn finishes_what_is_under_way(scene: Arc<Scene>) {
    // In a folder of its own: a developer's stack may be running in the usual one.
    let scratch = Scratch::new("graceful").await;
    let folder = scratch.folder().join("state");
    let free = ports::free(2).expect("free ports");
    let mut dev = Dev(start(&scene.stack.host, &folder, &free).await);
    let stack = until_ready(&mut dev.0, &folder.join("stack.json")).await;
    let database = stack.database().await;
    database.batch_execute(SLOW).await.unwrap();
    let person = Person::new(&stack).await;

    let leader = dev.0.id().expect("a process that runs");
    let started = process_table::descendants(leader);
    assert!(started.len() >= 3, "PostgreSQL, PostgREST and the functions: {started:?}");
    // A person for each: new sessions of one person are counted one after the other.
    let people = join_all((0..REQUESTS).map(|_| Person::new(&stack))).await;
    let requests: Vec<_> = people
        .into_iter()
        .map(|person| tokio::spawn(async move { person.save(&message(Uuid::new_v4(), "slow")).await }))
        .collect();
    let waiting = "select count(*) from pg_catalog.pg_stat_activity where wait_event = 'PgSleep'";
    let all_wait = wait::until(Duration::from_millis(10), || async {
        database.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) >= i64::try_from(REQUESTS).unwrap()
    });
    tokio::time::timeout(ENDED, all_wait).await.expect("all requests wait in the database at once");
    kill_process(Pid::from_raw(i32::try_from(leader).unwrap()).unwrap(), Signal::INT).unwrap();

    for request in join_all(requests).await {
        let answer = request.unwrap_or_else(|error| panic!("an answer was lost: {error}"));
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let ended = tokio::time::timeout(ENDED, dev.0.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "cargo xtask dev ended with {ended}");
    let left: Vec<_> = started.into_iter().filter(|pid| process_table::runs(*pid)).collect();
    assert!(left.is_empty(), "still running: {left:?}");
    let health = person.call("GET", "chat-message", "/health");
    assert!(Browser::default().once(&health).await.is_none(), "somebody still answers");
}

async fn start(host: &str, folder: &std::path::Path, free: &[u16]) -> Child {
    let checkout = checkout();
    let mut build = Command::new(cargo());
    build.args(["build", "--quiet", "--package", "xtask"]).current_dir(checkout.root());
    assert!(build.status().await.expect("cargo").success(), "xtask does not build");
    let program = std::env::current_exe().unwrap().with_file_name("xtask");
    Command::new(program)
        .args(["dev", "--ephemeral", "--host", host])
        .args(["--api-port", &free[0].to_string(), "--db-port", &free[1].to_string()])
        .env("SELVEDGE_STATE", folder)
        .current_dir(checkout.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("xtask")
}

async fn until_ready(dev: &mut Child, description: &std::path::Path) -> Stack {
    let ready = wait::until(Duration::from_millis(50), || {
        assert!(dev.try_wait().unwrap().is_none(), "cargo xtask dev ended before it was ready");
        std::future::ready(description.exists())
    });
    tokio::time::timeout(READY, ready).await.expect("cargo xtask dev is ready in time");
    Stack::described(description)
}
