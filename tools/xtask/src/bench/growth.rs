//! Whether requests take longer with a hundred times as many messages in the database.

use super::{
    call::{Caller, People, Person},
    figures::{Spread, median_time},
    load::{Load, Side, rounds},
    messages,
    scene::Scene,
    table::{Budget, Table},
};
use devstack::{
    error::{Context as _, Result},
    progress::Progress,
};

/// How many messages there are, on the one stack and on the other.
const MESSAGES: [u32; 2] = [10_000, 1_000_000];
/// How many of them a session has.
const OF_A_SESSION: u32 = 100;
/// Who owns the sessions: so many people, each with at least as many sessions as a page lists.
const OWNERS: usize = 4;
/// So many times as long, at most.
const BUDGET: f64 = 1.3;
/// The most requests in a turn: what the owners may write in a minute, nearly.
const AT_MOST: usize = 100;

/// Measures it on two stacks, the first of which is to have few messages and the second many.
pub async fn measure(few: &Scene, many: &Scene, rounds_wanted: u32, progress: Progress) -> Result<Table> {
    progress.say("growth: filling two databases");
    let scenes = [few, many];
    let mut readers = Vec::new();
    for (scene, messages) in scenes.iter().zip(MESSAGES) {
        readers.push(fill(scene, messages).await?);
    }
    let mut table = Table::new("Growth", ["request", "10⁴ messages, p50", "10⁶ messages, p50", "10⁶ against 10⁴"]);
    for (name, path) in [
        ("read a page of history", Some("?session_id={session}&limit=50")),
        ("list sessions", Some("/sessions")),
        ("save a message", None),
    ] {
        progress.say(format!("growth: {name}"));
        let mut sides: Vec<Side> = scenes
            .iter()
            .zip(&readers)
            .map(|(scene, readers)| {
                let chat = scene.function("chat-message");
                match path {
                    Some(path) => Side::new(name, vec![chat.get(path)], readers),
                    // Into their own sessions.
                    None => Side::new(name, vec![chat.post("", messages::body("user"))], &owners(scene)),
                }
            })
            .collect();
        let load = Load { callers: 1, seconds: Some(2.0), most: Some(AT_MOST), rate: None };
        let reset = scenes.map(|scene| (&scene.database, "truncate public.rate_limit_uses"));
        rounds(&mut sides.iter_mut().collect::<Vec<_>>(), load, rounds_wanted, &reset, progress).await?;
        let [few, many] = [sides.first(), sides.last()].map(|side| side.map(Side::p50).unwrap_or_default());
        let ratio = Spread::of_ratios(&many, &few);
        table.row(
            vec![name.into(), median_time(&few), median_time(&many), ratio.times()],
            Some(Budget::at_most(BUDGET, ratio.median)),
        );
    }
    Ok(table)
}

fn owners(scene: &Scene) -> People {
    scene.people.iter().take(OWNERS).cloned().collect()
}

/// Fills a database; returns the owners, each with one of their sessions.
async fn fill(scene: &Scene, messages: u32) -> Result<People> {
    let caller = Caller::default();
    let people = owners(scene);
    for person in &*people {
        // This also makes a session, by which the database knows who it is.
        caller.send(&scene.function("chat-message").post("", messages::body("user")).by(person)).await?;
    }
    // Without triggers: they number, count and limit what callers write, one row after the other.
    let fill = format!(
        "set session_replication_role = replica;
         insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state, last_activity)
           select gen_random_uuid(), owner.user_id, 'supportive-yarn', 1, 'welcome', now() - interval '1 minute' * session
           from (select distinct user_id from public.sessions) owner,
             generate_series(1, {messages} / {OF_A_SESSION} / {OWNERS}) session;
         insert into public.chat_history (id, session_id, role, message, seq)
           select gen_random_uuid(), session_id, 'bot', 'There is my sister, whom I could call when it gets late.', seq
           from public.sessions, generate_series(1, {OF_A_SESSION}) seq
           where last_activity < now() - interval '30 seconds';
         set session_replication_role = origin;
         vacuum analyze"
    );
    for statement in fill.split(';') {
        scene.database.batch_execute(statement).await?;
    }
    let mut readers = Vec::new();
    for Person { token, session } in &*people {
        let oldest = format!(
            "select session_id::text from public.sessions s where session_id <> '{session}'
               and user_id = (select user_id from public.sessions where session_id = '{session}')
             order by last_activity limit 1"
        );
        let session = scene.asked(&oldest).await?;
        let session = session.parse().context(|| format!("{session} is no session"))?;
        readers.push(Person { token: token.clone(), session });
    }
    Ok(readers.into())
}
