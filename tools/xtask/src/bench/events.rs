//! Events in batches through `analytics`, against one insert each straight into PostgREST.

use std::{fmt::Write as _, time::Duration};

use uuid::Uuid;

use super::{
    figures::{Spread, milliseconds},
    load::{Load, Side, WARM_UP, rounds},
    scene::{Scene, whose},
    table::{Budget, Section, Table},
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
pub fn section() -> Section {
    let heads =
        ["the events go to", "in a request", "requests/s", "events/s", "p50", "p99", "events/s against single inserts"];
    let told = format!(
        "{CALLERS} callers send events as fast as they are answered. The counterpart is what a page without Selvedge \
         does: it inserts each event into the same table as a signed-in user (`POST /analytics`, \
         `Prefer: return=minimal`). It has every advantage: those requests go straight to PostgREST, while the batches \
         go through gateway, function and gateway again. The last row of each host is a page that makes batches and \
         has PostgREST insert them in bulk."
    );
    Section { title: "Events in batches, against single inserts", told, table: Table::new(heads) }
}

/// Measures one host.
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress, section: &mut Section) -> Result<()> {
    let host = scene.host;
    progress.say(format!("{host}: events in batches, against single inserts"));
    let now = scene.asked("select to_json(now()) #>> '{}'").await?;
    let mut all = vec![Batches { side: insert(scene, 1, &now), size: 1, budget: None }];
    all.extend(BATCHES.map(|size| {
        let budget = (size == JUDGED.0).then_some(JUDGED.1);
        Batches { side: through_the_function(scene, size, &now), size, budget }
    }));
    all.push(Batches { side: insert(scene, JUDGED.0, &now), size: JUDGED.0, budget: None });
    let load = Load {
        callers: CALLERS,
        warm_up: WARM_UP,
        turn: Duration::from_millis(1200),
        at_most: usize::MAX,
        rounds: rounds_wanted,
    };
    let mut sides: Vec<&mut Side> = all.iter_mut().map(|one| &mut one.side).collect();
    rounds(&mut sides, &load, Some((&scene.database, "truncate public.analytics")), progress).await?;

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
            milliseconds(side.percentile(0.5)),
            milliseconds(side.percentile(0.99)),
            if place == 0 { "1 ×".into() } else { ratio.times() },
        ];
        section.table.row(cells, budget.map(|budget| Budget::at_least(budget, ratio.median)));
    }
    if let Some(part) = all.first().and_then(|one| one.side.own_part()) {
        let part = part * 100.0;
        let _ =
            write!(section.told, " Beside {host} the callers took {part:.0} % of the machine during single inserts.");
    }
    Ok(())
}

/// One event, or an array of them, straight into PostgREST. Beside the host, whose turns are between its own.
fn insert(scene: &Scene, size: usize, now: &str) -> Side {
    let (door, people, now) = (scene.postgrest.clone(), scene.people.clone(), now.to_owned());
    let kind = if size == 1 { "PostgREST" } else { "PostgREST in bulk" };
    Side::new(format!("{kind}, beside {}", scene.host), door.port, move |number| {
        let token = whose(&people, number).map_or("", |person| &person.token);
        door.post("/analytics", token, array(size, &now)).header("prefer", "return=minimal")
    })
}

fn through_the_function(scene: &Scene, size: usize, now: &str) -> Side {
    let (door, people, now) = (scene.function("analytics"), scene.people.clone(), now.to_owned());
    Side::new(format!("`analytics` on {}", scene.host), door.port, move |number| {
        let token = whose(&people, number).map_or("", |person| &person.token);
        door.post("", token, body(size, &now))
    })
}

/// A batch, as a page sends it to `analytics`.
pub fn body(size: usize, now: &str) -> String {
    format!("{{\"events\":{}}}", array(size, now))
}

fn array(size: usize, now: &str) -> String {
    let mut array = String::from("[");
    for place in 0..size {
        if place > 0 {
            array.push(',');
        }
        write_event(&mut array, now);
    }
    array.push(']');
    array
}

/// The same event on all sides.
fn write_event(array: &mut String, now: &str) {
    let id = Uuid::new_v4();
    let _ = write!(
        array,
        r#"{{"id":"{id}","event_type":"llm_turn_completed","event_data":{{"turns":3,"model":"local-7b","seconds":1.8}},"session_id":"{id}","occurred_at":"{now}"}}"#
    );
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::body;

    #[test]
    fn a_batch_is_json_with_an_id_for_each_event() {
        let batch: Value = serde_json::from_str(&body(3, "2026-11-21T10:00:00Z")).unwrap();
        let ids: Vec<&str> =
            batch["events"].as_array().unwrap().iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids.len(), 3);
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    }
}
