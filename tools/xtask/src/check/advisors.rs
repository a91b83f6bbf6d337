//! Supabase's own linter, `supabase db advisors`, on the database the migrations make.
//!
//! Whatever it finds, at any level, fails the step, unless it is accepted below with its reason. A reason that has
//! nothing left to excuse fails it too, so the list cannot outgrow the truth.

use serde_json::Value;

use super::{
    fresh_database::{self, FreshDatabase},
    report::Outcome,
};
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    stack::migrations::{aimed_at, push},
    tools::{platform::PostgresLine, toolbox::Toolbox},
};

/// Findings that stay.
const ACCEPTED: &[Accepted] = &[Accepted {
    lint: "unused_index",
    key: None,
    reason: "it counts the scans so far, and a database made a moment ago has had none; the query an index serves is \
             named beside it in migrations/",
}];

/// A table nobody protects: a linter that stays silent about it is not looking.
const PLANTED: (&str, &str) = ("create table public.planted (a integer)", "rls_disabled_in_public_public_planted");

/// A finding, or a kind of them, that stays.
#[derive(Debug)]
struct Accepted {
    /// The linter's name for it.
    lint: &'static str,
    /// One finding, by the key the linter prints, `<lint>_<schema>_<object>`. None: wherever it says it, because what
    /// it says is not about our schema.
    key: Option<&'static str>,
    reason: &'static str,
}

impl Accepted {
    fn covers(&self, finding: &Finding) -> bool {
        self.lint == finding.lint && self.key.is_none_or(|key| key == finding.key)
    }
}

/// What the linter found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    lint: String,
    key: String,
    /// For a person: level, what, where to read more.
    text: String,
}

/// Checks a database with all migrations.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    fresh_database::with(checkout, PostgresLine::V17, on).await
}

async fn on(database: FreshDatabase) -> Result<Outcome> {
    let FreshDatabase { toolbox, url, client } = database;
    let pushed = Outcome::of_one(&push(&toolbox, &url).await?);
    if pushed.failed > 0 {
        return Ok(pushed);
    }
    let mut outcome = judge(&findings(&toolbox, &url).await?, ACCEPTED);
    let (plant, key) = PLANTED;
    client.batch_execute(plant).await?;
    if findings(&toolbox, &url).await?.iter().any(|finding| finding.key == key) {
        outcome.passed += 1;
    } else {
        outcome.failed += 1;
        outcome.output.push_str("a table without row level security was planted, and the linter did not see it\n");
    }
    Ok(outcome)
}

/// Runs the linter. The level is named, because it leaves out what is below its default, warnings.
async fn findings(toolbox: &Toolbox, url: &str) -> Result<Vec<Finding>> {
    let flags = ["--type", "all", "--level", "info", "--fail-on", "none", "--output-format", "json"];
    let said = aimed_at(toolbox.supabase()?.args(["db", "advisors"]).args(flags), url)?.run().await?;
    if !said.status.success() {
        return Err(Error::new(format!("supabase db advisors failed:\n{}", said.last_lines(20))));
    }
    read(&said.stdout)
}

fn read(json: &str) -> Result<Vec<Finding>> {
    let said: Value = serde_json::from_str(json).context(|| format!("supabase db advisors said {json:?}"))?;
    let unreadable = || Error::new(format!("supabase db advisors answered in a form this step does not know: {json}"));
    said.get("results")
        .and_then(Value::as_array)
        .ok_or_else(unreadable)?
        .iter()
        .map(finding)
        .collect::<Option<_>>()
        .ok_or_else(unreadable)
}

fn finding(value: &Value) -> Option<Finding> {
    let text = |name| value.get(name).and_then(Value::as_str);
    let (lint, level, detail) = (text("name")?, text("level")?, text("detail")?);
    Some(Finding {
        lint: lint.to_owned(),
        key: text("cacheKey")?.to_owned(),
        text: format!("{level} {detail}\n  {}", text("remediation").unwrap_or_default()),
    })
}

fn judge(findings: &[Finding], accepted: &[Accepted]) -> Outcome {
    let mut outcome = Outcome::default();
    for Finding { key, text, .. } in findings.iter().filter(|finding| !accepted.iter().any(|one| one.covers(finding))) {
        outcome.failed += 1;
        outcome.output.push_str(&format!("{text}\n  mend the migration, or accept {key:?} in check/advisors.rs\n"));
    }
    for one @ Accepted { lint, key, reason } in accepted {
        let place = key.unwrap_or(lint);
        match findings.iter().filter(|finding| one.covers(finding)).count() {
            0 => {
                outcome.failed += 1;
                outcome.output.push_str(&format!("{place} is accepted in check/advisors.rs and does not occur\n"));
            }
            count => outcome.note.get_or_insert_default().push_str(&format!("accepted: {place}, {count}: {reason}\n")),
        }
    }
    outcome.passed = u32::from(outcome.failed == 0);
    outcome
}

#[cfg(test)]
mod tests {
    use super::{ACCEPTED, Accepted, Finding, judge, read};

    fn found(lint: &str, key: &str) -> Finding {
        Finding { lint: lint.into(), key: key.into(), text: format!("WARN {key}") }
    }

    #[test]
    fn a_finding_fails_unless_it_is_accepted() {
        let one = found("a_lint", "a_lint_public_t");
        let failed = judge(std::slice::from_ref(&one), &[]);
        assert_eq!((failed.passed, failed.failed), (0, 1));
        assert!(failed.output.contains("a_lint_public_t"), "{}", failed.output);
        for key in [None, Some("a_lint_public_t")] {
            let accepted = [Accepted { lint: "a_lint", key, reason: "so" }];
            assert_eq!(judge(std::slice::from_ref(&one), &accepted).failed, 0);
        }
    }

    #[test]
    fn an_exception_covers_no_other_finding_and_must_still_occur() {
        let accepted = [Accepted { lint: "a_lint", key: Some("a_lint_public_t"), reason: "so" }];
        assert_eq!(judge(&[found("a_lint", "a_lint_public_u")], &accepted).failed, 2);
        assert_eq!(judge(&[], &accepted).failed, 1);
    }

    #[test]
    fn every_exception_has_its_reason() {
        assert!(ACCEPTED.iter().all(|one| one.reason.split_whitespace().count() > 3));
    }

    #[test]
    fn the_linters_answer_is_read_and_anything_else_is_an_error() {
        let finding = r#"{"results":[{"name":"l","level":"INFO","detail":"d","remediation":"r","cacheKey":"k"}]}"#;
        let expected = Finding { lint: "l".into(), key: "k".into(), text: "INFO d\n  r".into() };
        assert_eq!(read(finding).ok(), Some(vec![expected]));
        assert_eq!(read(r#"{"results":[]}"#).ok(), Some(Vec::new()));
        for other in ["", "{}", r#"{"results":[{"name":"l"}]}"#, r#"{"results":{}}"#] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
