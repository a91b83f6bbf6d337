//! What PostgreSQL and PostgREST say by themselves when they are short of something. Both are the real ones here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use devstack::wait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::list::{Sees, problem};
use crate::scene::Scene;

/// How long PostgREST may take to notice a change of the schema or of a role.
const NOTICED: Duration = Duration::from_secs(10);

/// A trigger that does to a message what its text asks for. A full disk and its like cannot be had for real without
/// harm to the machine; from here on, PostgreSQL's error and everything after it are real.
const OBEDIENT: &str = "
    create or replace function public.faults_obey() returns trigger language plpgsql as $$
    begin
      if new.message ~ '^raise [0-9A-Z]{5} ' then
        raise exception using errcode = substr(new.message, 7, 5), message = 'db.internal.example: no more';
      elsif new.message ~ '^sleep ' then
        perform pg_catalog.pg_sleep(1);
      end if;
      return new;
    end $$;
    create trigger faults_obey before insert on public.chat_history
      for each row execute function public.faults_obey();";
const NO_LONGER: &str = "drop trigger faults_obey on public.chat_history; drop function public.faults_obey();";

/// An error of this SQLSTATE.
pub(crate) async fn raises(scene: Arc<Scene>, sqlstate: &str, sees: Sees) {
    let database = scene.stack.database().await;
    database.batch_execute(OBEDIENT).await.unwrap();
    let answer = scene.send(&scene.probe_saying(&format!("raise {sqlstate}"))).await;
    let asked = scene.proxy.seen().len();
    // Others write meanwhile, and the error stays what it is for its own caller.
    database.batch_execute(NO_LONGER).await.unwrap();
    scene.tell("probe", json!({ "status": answer.status.as_u16(), "asked": asked }));
    scene.clone().mended().await;
    scene.traffic(1, async {}).await;
    sees.check(&answer, asked).unwrap_or_else(|error| panic!("{error}"));
}

/// A statement that takes longer than its role may. Nothing of it stays.
pub(crate) async fn statement_timeout(scene: Arc<Scene>, sees: Sees) {
    let database = scene.stack.database().await;
    database.batch_execute(OBEDIENT).await.unwrap();
    set_statement_timeout(&scene, &database, "300ms").await;
    scene.proxy.forget();
    let probe = scene.probe_saying("sleep");
    let answer = scene.send(&probe).await;
    let asked = scene.proxy.seen().len();
    scene.tell("probe", json!({ "status": answer.status.as_u16(), "asked": asked }));
    set_statement_timeout(&scene, &database, "8s").await;
    scene.clone().mended().await;
    let again = scene.send(&probe).await;
    database.batch_execute(NO_LONGER).await.unwrap();
    sees.check(&answer, asked).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.status, 201, "with time enough it is stored, for the first time: {}", again.text());
}

async fn set_statement_timeout(scene: &Scene, database: &Client, timeout: &str) {
    let change = format!(
        "alter role authenticated set statement_timeout = '{timeout}';
         create or replace function public.faults_timeout() returns text language sql security invoker
           set search_path = '' as 'select pg_catalog.current_setting(''statement_timeout'')';
         grant execute on function public.faults_timeout() to authenticated;
         notify pgrst, 'reload config'; notify pgrst, 'reload schema';"
    );
    database.batch_execute(&change).await.unwrap();
    until_rest(scene, "rpc/faults_timeout", &json!({}), |status, text| status == 200 && text.contains(timeout)).await;
    database.batch_execute("drop function public.faults_timeout();").await.unwrap();
}

/// The function is there, and PostgREST has not been told: what a migration without its last line leaves behind.
pub(crate) async fn stale_schema(scene: Arc<Scene>) {
    let database = scene.stack.database().await;
    let rename = |from: &str, to: &str| {
        format!(
            "do $$ declare it regprocedure; begin
               for it in select oid from pg_catalog.pg_proc
                 where proname = '{from}' and pronamespace = 'public'::regnamespace
               loop execute format('alter function %s rename to {to}', it); end loop;
             end $$;"
        )
    };
    let asked_of_rest = json!({ "session_id": Uuid::new_v4() });
    database
        .batch_execute(&(rename("get_history", "faults_history") + "notify pgrst, 'reload schema';"))
        .await
        .unwrap();
    until_rest(&scene, "rpc/get_history", &asked_of_rest, |_, text| text.contains("PGRST202")).await;
    database.batch_execute(&rename("faults_history", "get_history")).await.unwrap();

    scene.proxy.forget();
    let answer = scene.history().await;
    let asked = scene.proxy.seen().len();
    database.batch_execute("notify pgrst, 'reload schema'").await.unwrap();
    until_rest(&scene, "rpc/get_history", &asked_of_rest, |_, text| !text.contains("PGRST202")).await;
    let again = scene.history().await;
    problem(&answer, 502, "upstream_error").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(asked, 1, "what waits for somebody to act is not asked again");
    problem(&again, 404, "session_not_found").unwrap_or_else(|error| panic!("{error}"));
}

/// Two connections, and both are taken.
pub(crate) async fn pool_exhausted(scene: Arc<Scene>) {
    let database = scene.stack.database().await;
    let sleeper = "create function public.faults_sleep() returns void language sql security invoker
          set search_path = '' as 'select pg_catalog.pg_sleep(4)';
        grant execute on function public.faults_sleep() to authenticated;";
    database.batch_execute(sleeper).await.unwrap();
    set_pool(&scene, 2, 1).await;
    scene.clone().mended().await;

    let probe = scene.probe();
    let sleepers = join_all((0..2).map(|_| scene.person.rest("POST", "rpc/faults_sleep").json(&json!({})).send()));
    let meanwhile = async {
        wait::until(Duration::from_millis(10), || async { sleeping(&database).await >= 2 }).await;
        let answer = scene.send(&probe).await;
        scene.traffic(2, async {}).await;
        answer
    };
    let (_, answer) = tokio::join!(sleepers, meanwhile);
    let again = scene.send(&probe).await;

    database.batch_execute("drop function public.faults_sleep();").await.unwrap();
    set_pool(&scene, 20, 10).await;
    scene.tell("probe", answer.status.as_u16());
    problem(&answer, 503, "upstream_unavailable")
        .or_else(|_| problem(&answer, 504, "upstream_timeout"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(again.status.is_success(), "{}", again.text());
}

async fn sleeping(database: &Client) -> i64 {
    let query = "select count(*) from pg_catalog.pg_stat_activity
        where state = 'active' and wait_event = 'PgSleep' and pid <> pg_catalog.pg_backend_pid()";
    database.query_one(query, &[]).await.unwrap().get(0)
}

async fn set_pool(scene: &Scene, pool: u16, patience: u16) {
    let mut parts = scene.parts.lock().await;
    let options = parts.postgrest_options();
    (options.pool, options.pool_patience) = (pool, patience);
    parts.start_postgrest().await.unwrap_or_else(|error| panic!("{error}"));
}

/// Asks PostgREST, past the functions, until it answers so.
async fn until_rest(scene: &Scene, target: &str, body: &Value, is_so: impl Fn(u16, &str) -> bool) {
    let last = Mutex::new(String::new());
    let ready = wait::until(Duration::from_millis(50), || async {
        let answer = scene.person.rest("POST", target).json(body).send().await;
        *last.lock().unwrap() = format!("{}: {}", answer.status, answer.text());
        is_so(answer.status.as_u16(), &answer.text())
    });
    let ready = tokio::time::timeout(NOTICED, ready).await;
    assert!(ready.is_ok(), "{target} goes on saying {last:?}");
}
