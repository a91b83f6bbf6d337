//! What is made of a machine: diagrams, pictures, migrations, the table in the wasm. And that what is committed is it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use fsm_transition::{
    machine::{
        Machine,
        config::Config,
        layout::{Layout, Rect},
        mermaid::mermaid,
        migration::{is_of, migration},
        read_folder,
        svg::svg,
    },
    machines,
};
use serde_json::Value;

const CHECK_IN: &str = include_str!("../machines/check-in.json");

fn repository(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(below)
}

fn all() -> Vec<Machine> {
    read_folder(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("machines")).unwrap()
}

fn picture(config: &Config) -> String {
    svg(config, &Layout::of(config))
}

/// A machine of the states `a`, `b`, … with these moves, the last state being final.
fn machine(states: &str, moves: &[&str]) -> Config {
    let last = states.chars().last().unwrap();
    let members: Vec<_> = states
        .chars()
        .map(|state| {
            let on: Vec<_> = moves
                .iter()
                .filter(|two| two.starts_with(state))
                .map(|two| format!(r#""to_{0}": "{0}""#, &two[1..]))
                .collect();
            let kind = if state == last { r#", "type": "final""# } else { "" };
            format!(r#""{state}": {{"meta": {{"title": "State {state}"}}, "on": {{{}}}{kind}}}"#, on.join(","))
        })
        .collect();
    let text = format!(r#"{{"id": "m", "version": "1", "initial": "a", "states": {{{}}}}}"#, members.join(","));
    Machine::parse("m.json", &text).unwrap().config
}

fn shapes() -> Vec<Config> {
    let mut shapes: Vec<_> = all().into_iter().map(|machine| machine.config).collect();
    shapes.push(machine("abcdef", &["ab", "ac", "ad", "be", "ce", "de", "ef"]));
    shapes.push(machine(
        "abcdefgh",
        &["ab", "ac", "bd", "be", "cf", "cg", "dh", "eh", "fh", "gh", "ga", "ea", "ah", "bc", "fb", "dd"],
    ));
    shapes
}

#[test]
fn the_mermaid_of_check_in() {
    let expected = "\
stateDiagram-v2
    [*] --> asked
    asked --> answered : next_step
    asked --> closed : unclear ×3
    asked --> asked : unclear
    answered --> asked : ask_again
    answered --> closed : close
    closed --> [*]
";
    assert_eq!(mermaid(&Machine::parse("check-in.json", CHECK_IN).unwrap().config), expected);
}

#[test]
fn states_named_like_mermaid_s_own_words_get_an_alias() {
    let text = CHECK_IN.replace("\"answered\"", "\"note\"");
    let diagram = mermaid(&Machine::parse("check-in.json", &text).unwrap().config);
    assert!(diagram.starts_with("stateDiagram-v2\n    state \"note\" as S_note\n    [*] --> asked\n"), "{diagram}");
    assert!(diagram.contains("    S_note --> closed : close\n"), "{diagram}");
}

#[test]
fn the_migration_of_check_in() {
    let machine = Machine::parse("check-in.json", CHECK_IN).unwrap();
    let expected = format!(
        "\
-- The machine check-in, version 1. Generated from functions/fsm-transition/machines/check-in.json
-- by `cargo xtask machines`. Do not edit: sessions stay on the version of their first move, so a change is a new
-- version. See docs/machines.md.
set local lock_timeout = '5s';

insert into public.fsm_machines (machine, machine_version, initial, definition) values
  ('check-in', 1, 'asked', '{}'::jsonb)
on conflict do nothing;

insert into public.fsm_states (machine, machine_version, state, is_final, is_step, max_attempts) values
  ('check-in', 1, 'asked', false, true, 3),
  ('check-in', 1, 'answered', false, false, null),
  ('check-in', 1, 'closed', true, false, null)
on conflict do nothing;

insert into public.fsm_transitions (machine, machine_version, from_state, event, to_state, forced) values
  ('check-in', 1, 'asked', 'next_step', 'answered', false),
  ('check-in', 1, 'asked', 'unclear', 'closed', true),
  ('check-in', 1, 'asked', 'unclear', 'asked', false),
  ('check-in', 1, 'answered', 'ask_again', 'asked', false),
  ('check-in', 1, 'answered', 'close', 'closed', false)
on conflict do nothing;
",
        machine.definition
    );
    assert_eq!(migration(&machine), expected);
}

#[test]
fn quotes_in_words_stay_words() {
    let text = CHECK_IN.replace("See you", "It's <b> & 'bye'");
    let machine = Machine::parse("check-in.json", &text).unwrap();
    assert!(migration(&machine).contains("\"It''s <b> & ''bye''\""));
    assert!(picture(&machine.config).contains(">It's &lt;b&gt; &amp; 'bye'</text>"));
}

#[test]
fn every_machine_has_its_migration_and_it_says_what_the_file_says() {
    let files: Vec<_> = fs::read_dir(repository("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for machine in all() {
        let found: Vec<_> = files.iter().filter(|file| is_of(&machine, file)).collect();
        let [file] = found.as_slice() else {
            panic!("{}: {} migrations; run `cargo xtask machines`", machine.file, found.len());
        };
        let committed = fs::read_to_string(repository("migrations").join(file)).unwrap();
        assert_eq!(committed, migration(&machine), "{}: a change is a new version", machine.file);
    }
}

#[test]
fn the_pictures_in_the_docs_are_those_of_the_machines() {
    for machine in all() {
        let file = repository("docs/machines").join(machine.file.replace(".json", ".svg"));
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(committed, picture(&machine.config), "{}: run `cargo xtask machines`", file.display());
    }
}

#[test]
fn the_guide_shows_what_there_is() {
    let guide = fs::read_to_string(repository("docs/machines.md")).unwrap();
    let machine = all().into_iter().find(|machine| machine.config.id == "supportive-yarn").unwrap();
    assert!(guide.contains(&mermaid(&machine.config)), "the diagram in docs/machines.md is old");
    assert!(guide.contains(CHECK_IN), "check-in.json in docs/machines.md is old");
    let faulty = CHECK_IN.replace("\"target\": \"answered\"", "\"target\": \"answerd\"");
    for fault in Machine::parse("check-in.json", &faulty).unwrap_err() {
        assert!(guide.contains(&fault.to_string()), "docs/machines.md lacks: {fault}");
    }
}

#[test]
fn boxes_do_not_overlap_and_everything_is_inside() {
    let apart =
        |a: Rect, b: Rect| a.x + a.width < b.x || b.x + b.width < a.x || a.y + a.height < b.y || b.y + b.height < a.y;
    for config in shapes() {
        let layout = Layout::of(&config);
        assert_eq!(layout.boxes.len(), config.states.len());
        let view = layout.view;
        for (place, one) in layout.boxes.iter().enumerate() {
            assert!(layout.boxes[place + 1..].iter().all(|other| apart(*one, *other)), "{layout:?}");
            assert!(one.x >= view.x && one.x + one.width <= view.x + view.width, "{layout:?}");
            assert!(one.y >= view.y && one.y + one.height <= view.y + view.height, "{layout:?}");
        }
        for arrow in &layout.arrows {
            let width = fsm_transition::machine::layout::label_width(&arrow.label);
            let (x, y) = arrow.label_at;
            let label = Rect { x: if arrow.label_left { x - width } else { x }, y: y - 7, width, height: 14 };
            assert!(layout.boxes.iter().all(|one| apart(*one, label)), "{arrow:?}");
            assert!(label.x >= view.x && label.x + width <= view.x + view.width, "{arrow:?}");
        }
    }
}

#[test]
fn labels_do_not_overlap() {
    for machine in all() {
        let layout = Layout::of(&machine.config);
        let labels: Vec<_> = layout.arrows.iter().filter(|arrow| !arrow.label.is_empty()).collect();
        for (place, one) in labels.iter().enumerate() {
            for other in &labels[place + 1..] {
                let span = |arrow: &fsm_transition::machine::layout::Arrow| {
                    let width = fsm_transition::machine::layout::label_width(&arrow.label);
                    let x = arrow.label_at.0 - if arrow.label_left { width } else { 0 };
                    (x, x + width)
                };
                let ((a, b), (c, d)) = (span(one), span(other));
                assert!(b < c || d < a || (one.label_at.1 - other.label_at.1).abs() > 14, "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn states_stand_below_those_that_lead_to_them() {
    let tops = |config: &Config| -> Vec<_> { Layout::of(config).boxes.iter().map(|one| one.y).collect() };
    let line = tops(&machine("abcd", &["ab", "bc", "cd", "ca", "ad"]));
    assert!(line.is_sorted_by(|a, b| a < b), "{line:?}");
    let diamond = tops(&machine("abcd", &["ab", "ac", "bd", "cd"]));
    assert!(diamond[0] < diamond[1] && diamond[1] == diamond[2] && diamond[2] < diamond[3], "{diamond:?}");
}

#[test]
fn a_picture_says_what_it_is_and_brings_everything_it_needs() {
    for machine in machines::ALL {
        let picture = &machine.svg(None);
        assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\""));
        assert!(picture.contains("<title>") && picture.contains("@media(prefers-color-scheme:dark)"));
        for (state, _) in machine.states {
            assert_eq!(picture.matches(&format!("<g id=\"state-{state}\"><rect")).count(), 1);
        }
        assert_eq!(picture.matches("http").count(), 1, "only its namespace is elsewhere");
        assert!(picture.len() < 6_000, "{} bytes are shipped in the wasm", picture.len());
    }
}

#[test]
fn forced_moves_are_dashed_and_ends_are_doubled() {
    let picture = &machines::find("supportive-yarn", None).unwrap().svg(None);
    assert_eq!(picture.matches("<path class=\"forced\"").count(), 4);
    assert_eq!(picture.matches("<rect class=\"in\"").count(), 1);
    assert_eq!(picture.matches("<rect class=\"step\"").count(), 4);
}

#[test]
fn the_table_holds_the_files() {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(machines::ALL.len(), all().len());
    let check_in = machines::find("check-in", Some(1)).unwrap();
    assert_eq!(check_in.version, 1);
    assert_eq!(value(check_in.definition), value(CHECK_IN));
    assert_eq!(check_in.states.iter().map(|(state, _)| *state).collect::<Vec<_>>(), ["asked", "answered", "closed"]);
    assert!(machines::find("check-in", Some(2)).is_none() && machines::find("check", None).is_none());
    let ids: BTreeSet<_> = machines::ALL.iter().map(|machine| machine.id).collect();
    for id in ids {
        let latest = machines::ALL.iter().filter(|machine| machine.id == id).map(|machine| machine.version).max();
        assert_eq!(machines::find(id, None).map(|machine| machine.version), latest);
    }
}

#[test]
fn the_current_state_is_marked() {
    let machine = machines::find("check-in", None).unwrap();
    let marked = machine.svg(Some("answered"));
    assert!(marked.contains("#state-answered rect{fill:#fbbf24;") && marked.contains(", now at answered</title>"));
    assert_eq!(marked.matches("</style>").count(), 1);
    let diagram = machine.mermaid(Some("answered"));
    assert!(
        diagram.starts_with(&machine.mermaid(None)) && diagram.ends_with("\n    class answered current\n"),
        "{diagram}"
    );
}

#[test]
fn a_state_it_does_not_have_marks_nothing() {
    let machine = machines::find("check-in", None).unwrap();
    for state in ["goals", "", "asked{}</style><script>"] {
        assert_eq!(machine.svg(Some(state)), machine.svg(None));
        assert_eq!(machine.mermaid(Some(state)), machine.mermaid(None));
    }
}
