//! What saving a message costs: the database, by `save_message` against a bare insert, both straight at PostgREST; and
//! the time that the function adds to it.

use std::time::Duration;

use serde_json::json;

use super::{
    call::{Caller, Wanted},
    figures::{Spread, median_time},
    load::{Load, Side, rounds},
    scene::{PEOPLE, Scene},
    table::{Budget, Table},
};
use devstack::{error::Result, progress::Progress};

/// At least so many times as many as bare inserts.
const BUDGET: f64 = 0.7;
/// At most so many times as long through the function.
const ADDED_BUDGET: f64 = 1.2;
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
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress) -> Result<Table> {
    progress.say("save_message, against a bare insert");
    make_plain_table(scene).await?;
    let side = |name: &str, wanted| Side::new(name, vec![wanted], &scene.people);
    let save = |role| scene.postgrest.post("/rpc/save_message", body(role));
    let mut sides = [
        side("`insert` into a plain table", plain_insert(scene)),
        side("`save_message`, role `user`", save("user")),
        side("`save_message`, role `bot`", save("bot")),
    ];
    let load = Load { callers: CALLERS, seconds: Some(2.0), most: Some(PEOPLE * A_MINUTES_MESSAGES), rate: None };
    let reset = format!("{RESET}; truncate public.bench_message");
    let mut by_turns: Vec<_> = sides.iter_mut().collect();
    rounds(&mut by_turns, load, rounds_wanted, &[(&scene.database, &reset)], progress).await?;

    let mut table = Table::new(
        "Saving a message, against a bare insert",
        ["PostgREST is asked for", "requests/s", "p50", "p99", "against the insert"],
    );
    let inserts = sides.first().map(Side::rates).unwrap_or_default();
    for (place, side) in sides.iter().enumerate() {
        let ratio = Spread::of_ratios(&side.rates(), &inserts);
        table.row(
            vec![
                side.name.clone(),
                format!("{:.0}", Spread::of(&side.rates()).median),
                median_time(&side.p50()),
                median_time(&side.p99()),
                if place == 0 { "1 ×".into() } else { ratio.times() },
            ],
            (place > 0).then(|| Budget::at_least(BUDGET, ratio.median)),
        );
    }
    let part = sides.first().map_or(f64::NAN, Side::callers_part);
    table.note = format!("Autocannon took {part:.0} % of the machine during the inserts.");
    Ok(table)
}

/// The section about what the function adds, to which each host adds its row.
pub fn added_section() -> Table {
    let heads = ["host", "by PostgREST, p50", "p99", "through the function, p50", "p99", "p50 against p50"];
    Table::new("What the function adds to a request", heads)
}

/// Measures what the function adds on one host.
pub async fn measure_added(scene: &Scene, rounds_wanted: u32, progress: Progress, section: &mut Table) -> Result<()> {
    progress.say(format!("{}: what the function adds", scene.host));
    let side = |name, wanted| Side::new(name, vec![wanted], &scene.people);
    let mut direct = side("PostgREST", scene.rest.post("/rpc/save_message", body("user")));
    let mut function = side("chat-message", scene.function("chat-message").post("", body("user")));
    let load = Load { callers: 1, seconds: Some(1.0), most: Some(PEOPLE * A_MINUTES_MESSAGES), rate: None };
    rounds(&mut [&mut direct, &mut function], load, rounds_wanted, &[(&scene.database, RESET)], progress).await?;
    let ratio = Spread::of_ratios(&function.p50(), &direct.p50());
    let times = [direct.p50(), direct.p99(), function.p50(), function.p99()].map(|times| median_time(&times));
    let cells = [scene.host.to_string()].into_iter().chain(times).chain([ratio.times()]).collect();
    section.row(cells, Some(Budget::at_most(ADDED_BUDGET, ratio.median)));
    Ok(())
}

/// A message, as a page writes it.
pub fn body(role: &str) -> String {
    json!({
        "id": "{uuid}",
        "session_id": "{session}",
        "role": role,
        "message": "I have been thinking about who I could call when it gets late, and there is my sister.",
        "meta": { "client": "web", "locale": "en-GB" },
    })
    .to_string()
}

fn plain_insert(scene: &Scene) -> Wanted {
    scene.postgrest.post("/bench_message", body("user")).header("prefer", "return=minimal")
}

/// Makes it, and waits until PostgREST has heard of it.
async fn make_plain_table(scene: &Scene) -> Result<()> {
    scene.database.batch_execute(PLAIN_TABLE).await?;
    let mut outcome = Ok(());
    for _ in 0..50 {
        outcome = Caller::default().send(&plain_insert(scene).by(scene.first()?)).await.map(drop);
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    outcome
}
