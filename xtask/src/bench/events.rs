//! Events in batches through `analytics`, against one insert each straight into PostgREST.

use std::{fmt::Write as _, time::Duration};

use uuid::Uuid;

use super::{
    figures::{Spread, milliseconds},
    load::{Load, Side, rounds},
    scene::{Scene, whose},
    table::{Budget, Section, Table},
};
use crate::{error::Result, progress::Progress};

/// Events in a request.
const BATCHES: [usize; 4] = [1, 10, 100, 500];
/// The batch that has a budget, and the budget: so many times the events a second of single inserts.
const JUDGED: (usize, f64) = (500, 20.0);
/// Callers at once, on either side.
pub const CALLERS: usize = 8;

/// The section, to which each host adds its rows.
pub fn section() -> Section {
    let heads = [
        "host, and who takes the events",
        "in a request",
        "requests/s",
        "events/s",
        "p50",
        "p99",
        "events/s against single inserts",
    ];
    let told = format!(
        "{CALLERS} callers send events as fast as they are answered. The other side is what a page without Selvedge \
         does: it inserts each event into the same table as a signed-in user (`POST /analytics`, \
         `Prefer: return=minimal`). It is given every advantage: its requests go straight to PostgREST, those with \
         batches through gateway, function and gateway again."
    );
    Section { title: "Events in batches, against single inserts", told, table: Table::new(heads) }
}

/// Measures one host.
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress, section: &mut Section) -> Result<()> {
    progress.say(format!("{}: events in batches, against single inserts", scene.host));
    let now = scene.asked("select to_json(now()) #>> '{}'").await?;
    let mut sides = vec![single_inserts(scene, &now)];
    sides.extend(BATCHES.map(|batch| through_the_function(scene, batch, &now)));
    let load = Load { callers: CALLERS, turn: Duration::from_millis(1200), at_most: usize::MAX, rounds: rounds_wanted };
    rounds(&mut sides, &load, &scene.database, "truncate public.analytics", progress).await?;

    let singles = sides.first().map(Side::rates).unwrap_or_default();
    for (side, batch) in sides.iter().zip([1].into_iter().chain(BATCHES)) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 500 events")]
        let events: Vec<f64> = side.rates().iter().map(|rate| rate * batch as f64).collect();
        let ratio = Spread::of_ratios(&events, &singles);
        let is_judged = batch == JUDGED.0;
        let is_the_counterpart = side.name == SINGLE;
        section.table.row(
            vec![
                format!("{}, {}", scene.host, side.name),
                batch.to_string(),
                format!("{:.0}", Spread::of(&side.rates()).median),
                format!("{:.0}", Spread::of(&events).median),
                milliseconds(side.percentile(0.5)),
                milliseconds(side.percentile(0.99)),
                if is_the_counterpart { "1 ×".into() } else { ratio.times() },
            ],
            is_judged.then(|| Budget::at_least(JUDGED.1, ratio.median)),
        );
    }
    Ok(())
}

/// The name of the side that has no function in it.
const SINGLE: &str = "PostgREST";

fn single_inserts(scene: &Scene, now: &str) -> Side {
    let (door, people, now) = (scene.postgrest.clone(), scene.people.clone(), now.to_owned());
    Side::new(SINGLE, door.port, move |number| {
        let token = whose(&people, number).map_or("", |person| &person.token);
        let mut body = String::new();
        write_event(&mut body, &now);
        door.post("/analytics", token, body).header("prefer", "return=minimal")
    })
}

fn through_the_function(scene: &Scene, batch: usize, now: &str) -> Side {
    let (door, people, now) = (scene.function("analytics"), scene.people.clone(), now.to_owned());
    Side::new("`analytics`", door.port, move |number| {
        let token = whose(&people, number).map_or("", |person| &person.token);
        door.post("", token, body(batch, &now))
    })
}

/// A batch, as a page writes it.
pub fn body(batch: usize, now: &str) -> String {
    let mut body = String::from("{\"events\":[");
    for place in 0..batch {
        if place > 0 {
            body.push(',');
        }
        write_event(&mut body, now);
    }
    body.push_str("]}");
    body
}

/// The same event on both sides.
fn write_event(body: &mut String, now: &str) {
    let id = Uuid::new_v4();
    let _ = write!(
        body,
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
