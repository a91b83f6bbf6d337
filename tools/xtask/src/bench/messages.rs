//! What saving a message costs the database: `save_message` against a bare insert, both straight at PostgREST.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{
    call::{Caller, Door},
    figures::{Spread, milliseconds},
    load::{Load, Side, WARM_UP, rounds},
    scene::{PEOPLE, Person, Scene, whose},
    table::{Budget, Section, Table},
};
use devstack::{
    error::{Error, Result},
    progress::Progress,
    stack::database,
};

/// At least so many times as many as bare inserts.
const BUDGET: f64 = 0.7;
/// Callers at once, on either side.
const CALLERS: usize = 8;
/// What anybody may write in a minute.
const A_MINUTES_MESSAGES: usize = 30;

/// The table a project without Selvedge would begin with.
const PLAIN_TABLE: &str = "
    create table public.bench_message (
      id uuid not null,
      session_id uuid not null,
      user_id uuid not null default auth.uid(),
      role text not null,
      message text not null,
      meta jsonb not null default '{}',
      created_at timestamptz not null default now(),
      primary key (session_id, id)
    );
    alter table public.bench_message enable row level security;
    create policy bench_message_insert on public.bench_message for insert to authenticated
      with check (user_id = (select auth.uid()));
    revoke all on public.bench_message from public, anon, authenticated;
    grant insert (id, session_id, role, message, meta) on public.bench_message to authenticated;
    notify pgrst, 'reload schema';";

/// Everybody may write again, into nothing.
pub const RESET: &str = "truncate public.sessions, public.rate_limit_uses, public.analytics cascade";

/// Measures it. Where the functions run makes no difference: they are not asked.
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress) -> Result<Section> {
    progress.say("save_message, against a bare insert");
    make_plain_table(scene).await?;
    let (door, people) = (scene.postgrest.clone(), scene.people.clone());
    let mut sides = vec![Side::new("`insert` into a plain table", door.port, move |number| {
        let Some(person) = whose(&people, number) else { return door.post("", "", "") };
        door.post("/bench_message", &person.token, body(person, "user")).header("prefer", "return=minimal")
    })];
    for role in ["user", "bot"] {
        sides.push(save_message(&format!("`save_message`, role `{role}`"), &scene.postgrest, scene, role));
    }
    let load = Load {
        callers: CALLERS,
        warm_up: WARM_UP,
        turn: Duration::from_secs(2),
        at_most: PEOPLE * A_MINUTES_MESSAGES,
        rounds: rounds_wanted,
    };
    let reset = format!("{RESET}; truncate public.bench_message");
    let mut by_turns: Vec<_> = sides.iter_mut().collect();
    rounds(&mut by_turns, &load, Some((&scene.database, &reset)), progress).await?;

    let mut table = Table::new(["PostgREST is asked for", "requests/s", "p50", "p99", "against the insert"]);
    let inserts = sides.first().map(Side::rates).unwrap_or_default();
    for (place, side) in sides.iter().enumerate() {
        let ratio = Spread::of_ratios(&side.rates(), &inserts);
        table.row(
            vec![
                side.name.clone(),
                format!("{:.0}", Spread::of(&side.rates()).median),
                milliseconds(side.percentile(0.5)),
                milliseconds(side.percentile(0.99)),
                if place == 0 { "1 ×".into() } else { ratio.times() },
            ],
            (place > 0).then(|| Budget::at_least(BUDGET, ratio.median)),
        );
    }
    let own = sides.first().and_then(Side::own_part);
    let own = own.map(|part| format!(" The callers took {:.0} % of the machine during the inserts.", part * 100.0));
    let told = format!(
        "{CALLERS} callers for {PEOPLE} people, straight at PostgREST, no function in between. The insert is into a \
         table with one index and one policy and brings nothing back. `save_message` makes the session, looks for a \
         replay, numbers the message, touches the session, and hands both back; for a `user`'s message it counts the \
         person's messages of the last minute, too.{}",
        own.unwrap_or_default()
    );
    Ok(Section { title: "Saving a message, against a bare insert", told, table })
}

/// A side that saves messages by the database function.
pub fn save_message(name: &str, rest: &Door, scene: &Scene, role: &'static str) -> Side {
    let (door, people) = (rest.clone(), scene.people.clone());
    Side::new(name, door.port, move |number| {
        let Some(person) = whose(&people, number) else { return door.post("", "", "") };
        door.post("/rpc/save_message", &person.token, body(person, role))
    })
}

/// A message, as a page writes it.
pub fn body(person: &Person, role: &str) -> String {
    json!({
        "id": Uuid::new_v4(),
        "session_id": person.session_id,
        "role": role,
        "message": "I have been thinking about who I could call when it gets late, and there is my sister.",
        "meta": { "client": "web", "locale": "en-GB" },
    })
    .to_string()
}

/// Makes it, and waits until PostgREST has heard of it.
async fn make_plain_table(scene: &Scene) -> Result<()> {
    scene.database.batch_execute(PLAIN_TABLE).await.map_err(|error| Error::new(database::why(&error)))?;
    let Some(person) = scene.people.first() else { return Err(Error::new("nobody is signed in")) };
    let mut caller = Caller::to(scene.postgrest.port).await?;
    let mut outcome = Ok(());
    for _ in 0..50 {
        let wanted = scene.postgrest.post("/bench_message", &person.token, body(person, "user"));
        outcome = caller.send(&wanted.header("prefer", "return=minimal")).await.map(drop);
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    outcome
}
