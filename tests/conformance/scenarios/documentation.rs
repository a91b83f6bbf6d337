//! Documentation that is held to the code.

use std::collections::BTreeSet;

use conformance::openapi::documents;
use conformance::stack::{checkout, repository};
use shared::answer::code;

/// Every code a function can respond with, and its status: those all functions share, and the constants
/// of type `Code` in their sources.
fn codes() -> BTreeSet<(String, String)> {
    let mut codes: BTreeSet<_> = code::ALL.iter().map(|code| (code.name.to_owned(), code.status.to_string())).collect();
    for source in sources() {
        let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
        for rest in source.split("Code { name: \"").skip(1) {
            let (name, rest) = rest.split_once("\", status: ").expect("the status follows the name");
            codes.insert((name.to_owned(), rest.split(',').next().unwrap().to_owned()));
        }
    }
    codes
}

/// The sources of the crates in the wasm, without their tests.
fn sources() -> Vec<String> {
    let mut open: Vec<_> = ["shared/src", "functions"].into_iter().map(|folder| repository().join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.components().any(|part| part.as_os_str() == "tests")
        {
            let source = std::fs::read_to_string(&path).unwrap();
            sources.push(source.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned());
        }
    }
    sources
}

/// What begins the rows of a page's tables, in backticks.
fn names_in_tables(page: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository().join(page)).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn errors_md_lists_exactly_the_codes_there_are() {
    let text = std::fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let listed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.split_once("` — "))
        .map(|(name, status)| (name.to_owned(), status.to_owned()))
        .collect();
    assert_eq!(listed, codes());
}

#[test]
fn errors_md_lists_exactly_the_field_codes_there_are() {
    let listed = names_in_tables("docs/errors.md");
    // A Fault is the only way a field code comes to be.
    let mut known = BTreeSet::new();
    for source in sources() {
        for call in ["Fault::new(", "Fault::bounded("] {
            let codes = source.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            known.extend(codes.map(|code| code.split('"').next().unwrap().to_owned()));
        }
    }
    known.insert("not_allowed".to_owned()); // a constant
    assert_eq!(listed, known);
    let documented: BTreeSet<_> = documents()
        .values()
        .flat_map(|document| {
            let codes = document.pointer("/components/schemas/FieldError/properties/code/enum").unwrap();
            codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn configuration_md_lists_exactly_the_variables_that_are_read() {
    let listed = names_in_tables("docs/configuration.md");
    let mut known = BTreeSet::new();
    let functions = checkout().functions().unwrap().into_iter();
    let sources = functions.map(|function| format!("functions/{}/src/lib.rs", function.name));
    for source in sources.chain(["shared/src/config.rs".to_owned()]) {
        let source = std::fs::read_to_string(repository().join(source)).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap().to_owned();
        for call in [".read(\"", ".get(\""] {
            let source: String = source.split_whitespace().collect();
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
    let tests = std::fs::read_to_string(repository().join("tests/conformance/scenarios/defects.rs")).unwrap();
    let known: BTreeSet<_> =
        tests.split("async fn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned()).collect();
    let known: BTreeSet<_> = known.into_iter().filter(|name| name.starts_with("defect_")).collect();
    assert_eq!((listed.len(), listed), (16, known));
}

#[test]
fn architecture_md_quotes_the_handler_as_it_is() {
    let text = std::fs::read_to_string(repository().join("docs/architecture.md")).unwrap();
    let save = std::fs::read_to_string(repository().join("functions/chat-message/src/save.rs")).unwrap();
    let quoted: Vec<_> = text.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(quoted.len(), 3, "the handler, the request type and the rule across fields");
    for block in quoted {
        assert!(save.contains(block), "save.rs does not read so any more:\n{block}");
    }
}

#[test]
fn adding_a_function_md_quotes_what_the_command_makes() {
    let read = |file: &str| std::fs::read_to_string(repository().join(file)).unwrap();
    let text = read("docs/adding-a-function.md");
    let made = ["lib.rs", "entries.rs"].map(|file| read(&format!("tools/xtask/templates/src/{file}"))).concat();
    let made = made.replace("{{name}}", "notes").replace("{{stem}}", "notes");
    let quoted: Vec<_> = text.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(quoted.len(), 3, "the request type, a handler and the routes");
    for block in quoted {
        assert!(made.contains(block), "cargo xtask new does not write this any more:\n{block}");
    }
}
