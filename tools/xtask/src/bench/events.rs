//! Events in batches through `analytics`, against one insert each straight into PostgREST.

use serde_json::{Value, json};

use super::{
    figures::{Spread, median_time},
    load::{Load, Side, rounds},
    scene::Scene,
    table::{Budget, Table},
};
use devstack::{error::Result, progress::Progress};

/// Events in a request.
const BATCHES: [usize; 4] = [1, 10, 100, 500];
/// The batch that has a budget, and the budget: so many times the events a second of single inserts.
const JUDGED: (usize, f64) = (500, 30.0);
/// Callers at once, on either side.
const CALLERS: usize = 8;

/// A side, and how many events each of its requests has.
struct Batches {
    side: Side,
    size: usize,
    budget: Option<f64>,
}

/// The section, to which each host adds its rows.
pub fn section() -> Table {
    let heads =
        ["the events go to", "in a request", "requests/s", "events/s", "p50", "p99", "events/s against single inserts"];
    Table::new("Events in batches, against single inserts", heads)
}

/// Measures one host.
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress, section: &mut Table) -> Result<()> {
    let host = scene.host;
    progress.say(format!("{host}: events in batches, against single inserts"));
    let now = scene.asked("select to_json(now()) #>> '{}'").await?;
    let mut all = vec![Batches { side: insert(scene, 1, &now), size: 1, budget: None }];
    all.extend(BATCHES.map(|size| {
        let budget = (size == JUDGED.0).then_some(JUDGED.1);
        Batches { side: through_the_function(scene, size, &now), size, budget }
    }));
    all.push(Batches { side: insert(scene, JUDGED.0, &now), size: JUDGED.0, budget: None });
    let load = Load { callers: CALLERS, seconds: Some(1.2), ..Load::default() };
    let mut sides: Vec<&mut Side> = all.iter_mut().map(|one| &mut one.side).collect();
    rounds(&mut sides, load, rounds_wanted, &[(&scene.database, "truncate public.analytics")], progress).await?;

    let singles = all.first().map(|one| one.side.rates()).unwrap_or_default();
    for (place, Batches { side, size, budget }) in all.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 500 events")]
        let events: Vec<f64> = side.rates().iter().map(|rate| rate * *size as f64).collect();
        let ratio = Spread::of_ratios(&events, &singles);
        let cells = vec![
            side.name.clone(),
            size.to_string(),
            format!("{:.0}", Spread::of(&side.rates()).median),
            format!("{:.0}", Spread::of(&events).median),
            median_time(&side.p50()),
            median_time(&side.p99()),
            if place == 0 { "1 ×".into() } else { ratio.times() },
        ];
        section.row(cells, budget.map(|budget| Budget::at_least(budget, ratio.median)));
    }
    let part = all.first().map_or(f64::NAN, |one| one.side.callers_part());
    section.note += &format!(" Beside {host}, autocannon took {part:.0} % of the machine during single inserts.");
    Ok(())
}

/// One event, or an array of them, straight into PostgREST. Beside the host, whose turns are between its own.
fn insert(scene: &Scene, size: usize, now: &str) -> Side {
    let kind = if size == 1 { "PostgREST" } else { "PostgREST in bulk" };
    let wanted = scene.postgrest.post("/analytics", array(size, now)).header("prefer", "return=minimal");
    Side::new(format!("{kind}, beside {}", scene.host), vec![wanted], &scene.people)
}

fn through_the_function(scene: &Scene, size: usize, now: &str) -> Side {
    let wanted = scene.function("analytics").post("", body(size, now));
    Side::new(format!("`analytics` on {}", scene.host), vec![wanted], &scene.people)
}

/// A batch, as a page sends it to `analytics`.
pub fn body(size: usize, now: &str) -> String {
    format!("{{\"events\":{}}}", array(size, now))
}

/// The same event on all sides.
fn array(size: usize, now: &str) -> String {
    let event = json!({
        "id": "{uuid}", "event_type": "llm_turn_completed", "session_id": "{uuid}", "occurred_at": now,
        "event_data": { "turns": 3, "model": "local-7b", "seconds": 1.8 },
    });
    Value::from(vec![event; size]).to_string()
}
