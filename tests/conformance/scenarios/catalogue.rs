//! The database before and after its migrations were written anew: every difference is on a list, with its reason.
//!
//! `catalogue/listing.sql` lists a database line by line; `catalogue/0.1.0.txt` is the listing of the old migrations. A
//! migration that changes the database adds its lines to `catalogue/intended.txt`, below a comment that says why.

use std::collections::BTreeSet;
use std::fs;

use conformance::stack::{Stack, repository};

fn file(name: &str) -> String {
    let path = repository().join("tests/conformance/catalogue").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of one listing that the other has not, each with its sign.
fn differences(old: &BTreeSet<String>, new: &BTreeSet<String>) -> BTreeSet<String> {
    let gone = old.difference(new).map(|line| format!("- {line}"));
    gone.chain(new.difference(old).map(|line| format!("+ {line}"))).collect()
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// The lines of `intended.txt`: comments in front of a group are its reason.
fn intended(text: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut all, mut wrong, mut reason) = (BTreeSet::new(), Vec::new(), String::new());
    let mut begins = true;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            if !begins {
                reason.clear();
            }
            begins = true;
            reason += comment;
        } else if line.is_empty() {
            (begins, reason) = (true, String::new());
        } else {
            begins = false;
            if reason.split_whitespace().count() < 4 {
                wrong.push(format!("no reason: {line}"));
            }
            if !all.insert(line.to_owned()) {
                wrong.push(format!("twice: {line}"));
            }
        }
    }
    (all, wrong)
}

#[tokio::test]
async fn every_difference_from_the_old_migrations_is_intended_and_has_a_reason() {
    let database = Stack::running().database().await;
    let rows = database.query(&file("listing.sql"), &[]).await.unwrap();
    let new: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let found = differences(&lines(&file("0.1.0.txt")), &new);
    let (intended, wrong) = intended(&file("intended.txt"));
    let unexpected: Vec<_> = found.difference(&intended).collect();
    let missing: Vec<_> = intended.difference(&found).collect();
    for line in &unexpected {
        println!("differs, and is not in intended.txt: {line}");
    }
    for line in &missing {
        println!("in intended.txt, and does not differ: {line}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(unexpected.is_empty() && missing.is_empty(), "the lines are above");
}

#[test]
fn a_line_too_many_or_too_few_is_a_difference_and_a_line_without_a_reason_is_wrong() {
    let (old, new) = (lines("table a\ntable b"), lines("table b\ntable c"));
    assert_eq!(differences(&old, &new), lines("- table a\n+ table c"));
    let (all, wrong) = intended("# Because of a good reason.\n- x\n+ y\n\n+ z\n# short\n+ y");
    assert_eq!(all.len(), 3);
    assert_eq!(wrong, ["no reason: + z", "no reason: + y", "twice: + y"]);
}
