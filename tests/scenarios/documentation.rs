//! Documentation that is held to the code.

use std::collections::BTreeSet;

use analytics::Analytics;
use chat_message::ChatMessage;
use conformance::stack::repository;
use fsm_transition::FsmTransition;
use shared::code::Code;
use shared::function::Function;

/// Every code a function can answer with.
fn codes() -> Vec<&'static Code> {
    let raised =
        Analytics::RAISED.iter().chain(ChatMessage::RAISED).chain(FsmTransition::RAISED).map(|raised| raised.code);
    shared::code::ALL.iter().copied().chain(raised).chain([&fsm_transition::VERSION_CONFLICT_IF_MATCH]).collect()
}

#[test]
fn errors_md_lists_exactly_the_codes_there_are() {
    let text = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let listed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.split_once("` — "))
        .map(|(name, status)| (name.to_owned(), status.to_owned()))
        .collect();
    let known: BTreeSet<_> = codes().iter().map(|code| (code.name.to_owned(), code.status.to_string())).collect();
    assert_eq!(listed, known);
}

#[test]
fn errors_md_lists_exactly_the_field_codes_there_are() {
    let text = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let listed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    // A Rule is the only way a field code comes to be.
    let mut known = BTreeSet::new();
    for folder in
        ["shared/src", "functions/analytics/src", "functions/chat-message/src", "functions/fsm-transition/src"]
    {
        for file in std::fs::read_dir(repository().join(folder)).unwrap().flatten() {
            let source = std::fs::read_to_string(file.path()).unwrap_or_default();
            let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            let rules = source.split("Rule { code: \"").skip(1);
            known.extend(rules.map(|rule| rule.split('"').next().unwrap().to_owned()));
        }
    }
    assert_eq!(listed, known);
}

#[test]
fn configuration_md_lists_exactly_the_variables_that_are_read() {
    let text = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let listed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut known = BTreeSet::new();
    for source in ["shared/src/config.rs", "functions/chat-message/src/lib.rs"] {
        let source = std::fs::read_to_string(repository().join(source)).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap().to_owned();
        for call in [".text(\"", ".number(\"", ".get(\""] {
            known.extend(source.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    known.remove("keys"); // a JSON member
    known.remove("default"); // another
    assert_eq!(listed, known);
}

#[test]
fn chat_domain_md_names_the_test_of_each_of_the_sixteen_defects() {
    let text = std::fs::read_to_string(repository().join("docs/chat-domain.md")).unwrap();
    let listed: BTreeSet<_> = text.split('`').filter(|word| word.starts_with("defect_")).map(str::to_owned).collect();
    let tests = std::fs::read_to_string(repository().join("tests/scenarios/defects.rs")).unwrap();
    let known: BTreeSet<_> =
        tests.split("async fn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned()).collect();
    let known: BTreeSet<_> = known.into_iter().filter(|name| name.starts_with("defect_")).collect();
    assert_eq!((listed.len(), listed), (16, known));
}
