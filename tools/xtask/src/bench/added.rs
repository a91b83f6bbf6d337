//! What the function adds to the time of a request, on one machine.

use std::time::Duration;

use super::{
    figures::{Spread, milliseconds},
    load::{Load, Side, WARM_UP, rounds},
    messages,
    scene::{PEOPLE, Scene, whose},
    table::{Budget, Section, Table},
};
use devstack::{error::Result, progress::Progress};

/// So many times as long, at most.
const BUDGET: f64 = 1.2;

/// The section, to which each host adds its row.
pub fn section() -> Section {
    let told = "One caller saves messages, one after the other: by `rpc/save_message`, which is all a page without \
         the function would need, and through `chat-message`, which knows the token, checks and forwards. Both go through \
         the gateway. All of it is on one machine: this shows the work. The distance to the database, which \
         both have to go once, is not in it."
        .to_owned();
    let heads = ["host", "by PostgREST, p50", "p99", "through the function, p50", "p99", "p50 against p50"];
    Section { title: "What the function adds to a request", told, table: Table::new(heads) }
}

/// Measures one host.
pub async fn measure(scene: &Scene, rounds_wanted: u32, progress: Progress, section: &mut Section) -> Result<()> {
    progress.say(format!("{}: what the function adds", scene.host));
    let by_postgrest = messages::save_message("PostgREST", &scene.rest, scene, "user");
    let (door, people) = (scene.function("chat-message"), scene.people.clone());
    let through_the_function = Side::new("chat-message", door.port, move |number| {
        let Some(person) = whose(&people, number) else { return door.post("", "", "") };
        door.post("", &person.token, messages::body(person, "user"))
    });
    let (mut direct, mut function) = (by_postgrest, through_the_function);
    let load = Load {
        callers: 1,
        warm_up: WARM_UP,
        turn: Duration::from_millis(1000),
        at_most: PEOPLE * 30,
        rounds: rounds_wanted,
    };
    rounds(&mut [&mut direct, &mut function], &load, Some((&scene.database, messages::RESET)), progress).await?;
    let ratio = Spread::of_ratios(&function.medians(), &direct.medians());
    section.table.row(
        vec![
            scene.host.to_string(),
            milliseconds(direct.percentile(0.5)),
            milliseconds(direct.percentile(0.99)),
            milliseconds(function.percentile(0.5)),
            milliseconds(function.percentile(0.99)),
            ratio.times(),
        ],
        Some(Budget::at_most(BUDGET, ratio.median)),
    );
    Ok(())
}
