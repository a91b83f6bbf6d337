//! Every rule a machine can break, and what its author is told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use fsm_transition::machine::{Machine, config::minify};

const CHECK_IN: &str = include_str!("../machines/check-in.json");

/// What is said about `check-in.json` when `old` in it is `new`.
fn faults_of(old: &str, new: &str) -> Vec<String> {
    assert!(CHECK_IN.contains(old), "{old}");
    faults("check-in.json", &CHECK_IN.replacen(old, new, 1))
}

fn faults(file: &str, text: &str) -> Vec<String> {
    match Machine::parse(file, text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// A machine with one state of interest between a beginning and an end.
fn with_middle(middle: &str) -> Vec<String> {
    faults(
        "check-in.json",
        &machine(&format!(r#""a": {{"on": {{"go": "b"}}}}, "b": {middle}, "c": {{"type": "final"}}"#)),
    )
}

fn machine(states: &str) -> String {
    format!(r#"{{"id": "check-in", "version": "1", "initial": "a", "states": {{{states}}}}}"#)
}

const FILE: &str = "functions/fsm-transition/machines/check-in.json:";

#[test]
fn the_machines_here_have_none() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("machines");
    assert_eq!(fsm_transition::machine::read_folder(&folder).map(|machines| machines.len()), Ok(2));
}

#[test]
fn an_unknown_target_is_named_with_file_line_state_and_event() {
    assert_eq!(
        faults_of(r#""target": "answered""#, r#""target": "answerd""#),
        [
            format!(
                "{FILE}13: state \"asked\", event \"next_step\": there is no state \"answerd\"; there are asked, answered, \
                 closed"
            ),
            format!("{FILE}20: state \"answered\": cannot be reached from \"asked\""),
        ]
    );
}

#[test]
fn an_unknown_initial_state_is_named() {
    let found = faults_of(r#""initial": "asked""#, r#""initial": "ask""#);
    assert_eq!(found, [format!("{FILE}8: initial: there is no state \"ask\"; there are asked, answered, closed")]);
}

#[test]
fn a_session_cannot_begin_at_the_end() {
    let found = faults_of(r#""initial": "asked""#, r#""initial": "closed""#);
    assert!(found[0].contains(":8: state \"closed\": is initial and final"), "{found:?}");
}

#[test]
fn a_state_nothing_leads_to_is_unreachable() {
    let found = faults_of(r#""closed": {"#, r#""lost": {"on": {"close": "closed"}}, "closed": {"#);
    assert_eq!(found, [format!("{FILE}27: state \"lost\": cannot be reached from \"asked\"")]);
}

#[test]
fn a_state_without_moves_is_a_dead_end() {
    for middle in ["{}", r#"{"on": {}}"#] {
        let found = with_middle(middle);
        assert!(
            found.iter().any(|fault| fault.contains("state \"b\": is a dead end: it has no transitions")),
            "{found:?}"
        );
    }
}

#[test]
fn a_circle_without_a_way_out_is_a_dead_end() {
    let found = faults(
        "check-in.json",
        &machine(r#""a": {"on": {"go": "b", "end": "c"}}, "b": {"on": {"go": "b"}}, "c": {"type": "final"}"#),
    );
    assert_eq!(found, [format!("{FILE}1: state \"b\": is a dead end: no final state can be reached from it")]);
}

#[test]
fn a_machine_needs_a_final_state() {
    let found = faults("check-in.json", &machine(r#""a": {"on": {"go": "a"}}"#));
    assert_eq!(found, [format!("{FILE}1: no state is final: write \"type\": \"final\" where a session is completed")]);
}

#[test]
fn a_final_state_has_no_moves_and_no_response() {
    let found = faults_of(r#""type": "final""#, r#""type": "final", "on": {"again": "asked"}"#);
    assert_eq!(found, [format!("{FILE}27: state \"closed\": is final, so it cannot have transitions")]);
    let found = faults_of(r#""title": "See you""#, r#""step": true"#);
    assert!(found[0].contains("state \"closed\": is final, so it cannot be a step"), "{found:?}");
}

#[test]
fn there_is_one_guard() {
    let found = faults_of("attempts_exhausted", "is_happy");
    assert!(found.contains(&format!(
        "{FILE}15: state \"asked\", event \"unclear\": there is no guard \"is_happy\"; the one there is: attempts_exhausted"
    )));
}

#[test]
fn a_guarded_move_needs_one_without_a_guard_after_it() {
    for (old, new, what) in [
        (
            r#"{ "target": "asked" }"#,
            r#"{ "guard": "attempts_exhausted", "target": "asked" }"#,
            "no move without a guard",
        ),
        (r#"{ "guard": "attempts_exhausted", "target": "closed" },"#, r#"{ "target": "closed" },"#, "never taken"),
        (
            r#"{ "target": "asked" }"#,
            r#"{ "guard": "attempts_exhausted", "target": "asked" }, { "target": "asked" }"#,
            "several guarded moves",
        ),
    ] {
        let found = faults_of(old, new);
        assert!(
            found.iter().any(|fault| fault.contains("state \"asked\", event \"unclear\": ") && fault.contains(what)),
            "{found:?}"
        );
    }
}

#[test]
fn attempts_are_counted_in_steps_by_unclear_alone() {
    let guarded = r#"[{"guard": "attempts_exhausted", "target": "c"}, "b"]"#;
    for (middle, what) in [
        (r#"{"on": {"unclear": "b", "go": "c"}}"#.to_owned(), "unclear counts an attempt, so it belongs into a step"),
        (format!(r#"{{"on": {{"unclear": {guarded}}}}}"#), "the guard attempts_exhausted belongs into a step"),
        (
            format!(r#"{{"meta": {{"step": true, "max_attempts": 2}}, "on": {{"go": {guarded}}}}}"#),
            "the guard attempts_exhausted belongs to unclear",
        ),
        (r#"{"meta": {"max_attempts": 2}, "on": {"go": "c"}}"#.to_owned(), "has max_attempts but is no step"),
        (
            r#"{"meta": {"step": true, "max_attempts": 2}, "on": {"go": "c"}}"#.to_owned(),
            "has max_attempts, but no move",
        ),
        (format!(r#"{{"meta": {{"step": true}}, "on": {{"unclear": {guarded}}}}}"#), "its meta has no max_attempts"),
    ] {
        let found = with_middle(&middle);
        assert!(found.iter().any(|fault| fault.contains("state \"b\"") && fault.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn names_fit_the_database_and_urls() {
    let long = "a".repeat(65);
    for name in ["Closed", "1st", "clo-sed", "", long.as_str()] {
        let found = faults("check-in.json", &CHECK_IN.replace("\"closed\"", &format!("{name:?}")));
        assert!(found.iter().any(|fault| fault.contains(&format!("state {name:?}: its name"))), "{found:?}");
        let found = faults_of("\"close\"", &format!("{name:?}"));
        assert!(found.iter().any(|fault| fault.contains(&format!("event {name:?}: its name"))), "{found:?}");
    }
    for id in ["Check-in", "check_in", "1"] {
        let found = faults_of("\"id\": \"check-in\"", &format!("\"id\": {id:?}"));
        assert!(found[0].contains(&format!("the id {id:?} does not match ^[a-z][a-z0-9-]{{0,63}}$")), "{found:?}");
    }
}

#[test]
fn a_version_is_a_whole_number_in_a_string() {
    for version in ["1", "\"0\"", "\"01\"", "\"1.0\"", "\"-1\"", "\"+1\"", "\"4294967296\"", "null"] {
        let found = faults_of("\"version\": \"1\"", &format!("\"version\": {version}"));
        assert_eq!(found, [format!("{FILE}3: version is {version}; write a whole number from 1 as a string: \"1\"")]);
    }
}

#[test]
fn the_file_is_named_after_id_and_version() {
    let second = CHECK_IN.replacen("\"version\": \"1\"", "\"version\": \"2\"", 1);
    assert_eq!(faults("check-in@2.json", &second), [""; 0]);
    let found = faults("check-in.json", &second);
    assert_eq!(found, [format!("{FILE}1: version 2 of \"check-in\" belongs into a file of the name check-in@2.json")]);
    assert_eq!(faults("checkin.json", CHECK_IN).len(), 1);
    assert_eq!(faults("check-in@1.json", CHECK_IN).len(), 1);
}

#[test]
fn unknown_names_are_told_with_those_there_are() {
    for (old, new, what) in [
        (
            "\"initial\"",
            "\"context\": {}, \"initial\"",
            "8: the machine has no \"context\" here; it may have id, version",
        ),
        (
            "\"type\"",
            "\"entry\": [], \"type\"",
            "state \"closed\": a state has no \"entry\" here; it may have type, on, meta",
        ),
        (
            r#"{ "target": "answered" }"#,
            r#"{ "target": "answered", "actions": [] }"#,
            "event \"next_step\": a move has no \"actions\"",
        ),
        (
            "\"step\"",
            "\"steps\": 1, \"step\"",
            "state \"asked\": meta has no \"steps\" here; it may have title, description, step",
        ),
        ("\"description\"", "\"author\"", "6: meta has no \"author\" here; it may have title, description"),
    ] {
        let found = faults_of(old, new);
        assert!(found[0].contains(what), "{found:?}");
    }
}

#[test]
fn a_name_that_stands_twice_is_found() {
    for (old, new, what) in [
        ("\"initial\"", "\"id\": \"check-in\", \"initial\"", ":8: the machine has \"id\" twice"),
        ("\"closed\": {", "\"asked\": {}, \"closed\": {", ":27: states has \"asked\" twice"),
        ("\"close\"", "\"ask_again\"", ":24: state \"answered\": on has \"ask_again\" twice"),
        ("\"step\"", "\"title\": \"\", \"step\"", ":11: state \"asked\": meta has \"title\" twice"),
        (
            "\"guard\"",
            "\"target\": \"asked\", \"guard\"",
            ":15: state \"asked\", event \"unclear\": a move has \"target\" twice",
        ),
    ] {
        let found = faults_of(old, new);
        assert!(found[0].contains(what), "{found:?}");
    }
}

#[test]
fn wrong_types_and_missing_names_are_told() {
    for (old, new, what) in [
        ("\"check-in\"", "7", "id must be a string"),
        ("\"asked\",", "[],", "initial must be a string"),
        ("\"final\"", "\"parallel\"", "state \"closed\": type is \"parallel\"; it may be \"final\" or be left out"),
        ("true", "1", "state \"asked\": step is 1; it may be true or false"),
        (
            "\"max_attempts\": 3",
            "\"max_attempts\": \"3\"",
            "max_attempts is \"3\"; it may be a whole number from 1 to 100",
        ),
        ("\"max_attempts\": 3", "\"max_attempts\": 0", "max_attempts is 0"),
        (r#"{ "target": "answered" }"#, "[]", "event \"next_step\": the list of moves is empty"),
        (r#"{ "target": "answered" }"#, "{}", "event \"next_step\": \"target\" is missing"),
        (r#"{ "target": "answered" }"#, "1", "event \"next_step\": a move must be an object"),
        ("\"attempts_exhausted\"", r#"{ "type": "attempts_exhausted" }"#, "event \"unclear\": guard must be a string"),
        ("\"id\": \"check-in\",", "", ":1: \"id\" is missing"),
        ("\"See you\"", "\"\"", "state \"closed\": title must be 1 to 40 characters"),
        ("\"See you\"", "\"\\u0000\"", "title must be 1 to 40 characters, none of them a control character"),
    ] {
        let found = faults_of(old, new);
        assert!(found[0].starts_with(FILE) && found[0].contains(what), "{found:?}");
    }
    assert_eq!(faults("check-in.json", "[]"), [format!("{FILE}1: the machine must be an object")]);
}

#[test]
fn broken_json_is_told_with_its_line_and_column() {
    assert_eq!(faults_of("\"initial\":", "\"initial\""), [format!("{FILE}8: not JSON from column 13 on")]);
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text =
        CHECK_IN.replace("\"final\"", "\"end\"").replace("true", "1").replace("\"version\": \"1\"", "\"version\": 1");
    assert_eq!(faults("check-in.json", &text).len(), 3);
}

#[test]
fn a_definition_loses_white_space_and_nothing_else() {
    assert_eq!(minify("{ \"a b\" :\n\t\"c \\\" d\\\\\" , \"e\": 1 }"), "{\"a b\":\"c \\\" d\\\\\",\"e\":1}");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&minify(CHECK_IN)), value(CHECK_IN));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_the_reader_panic_and_a_broken_one_is_told_with_its_name(
        text in "[\\[\\]{}\":,a-z0-9 \n]{0,40}", from in 0..CHECK_IN.len(), length in 0..6_usize, new in "[\\[\\]{}\":,é0a]{0,3}"
    ) {
        let end = (from + length).min(CHECK_IN.len());
        let changed = [&CHECK_IN[..from], &new, &CHECK_IN[end..]].concat();
        for text in [text, changed] {
            for fault in faults("check-in.json", &text) {
                proptest::prop_assert!(fault.starts_with(FILE), "{}", fault);
            }
        }
    }
}
