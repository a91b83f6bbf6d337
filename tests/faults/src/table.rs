//! docs/faults.md, held to the suite.

use conformance::stack::repository;
use serde_json::json;

use crate::list::FAULTS;
use crate::verdict::Verdict;

/// The check's own name among the faults.
pub(crate) const CHECK: &str = "docs/faults.md lists exactly these faults";

/// The other check's name.
pub(crate) const CODES_CHECK: &str = "docs/operations.md has a first step for every code of the server's side";

/// Every 5xx of docs/errors.md stands in the table for operators.
pub(crate) fn check_codes() -> Verdict {
    let page = |name| std::fs::read_to_string(repository().join("docs").join(name)).unwrap_or_default();
    let (errors, operations) = (page("errors.md"), page("operations.md"));
    let codes = errors.lines().filter_map(|line| line.strip_prefix("### `")?.split_once("` — 5"));
    let missing = codes.filter(|(code, rest)| !operations.contains(&format!("| `{code}` | 5{rest} |")));
    let complaints: Vec<String> = missing.map(|(code, _)| format!("not in docs/operations.md: {code}")).collect();
    Verdict { complaints, told: json!({}) }
}

/// The table as the page has it. That the ledger held is a condition of every fault's passing.
pub(crate) fn table() -> String {
    let mut table = String::from("| fault | what the caller sees | ledger |\n|---|---|---|\n");
    for fault in FAULTS {
        table += &format!("| {} | {} | held |\n", fault.name, fault.sees);
    }
    table
}

/// Compares.
pub(crate) fn check() -> Verdict {
    let page = std::fs::read_to_string(repository().join("docs/faults.md")).unwrap_or_default();
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("| ")).map(str::to_owned).collect::<Vec<_>>();
    let (here, there) = (rows(&table()), rows(&page));
    let missing = here.iter().filter(|row| !there.contains(row)).map(|row| format!("not in docs/faults.md: {row}"));
    let surplus = there.iter().filter(|row| !here.contains(row)).map(|row| format!("no such fault: {row}"));
    let mut complaints: Vec<String> = missing.chain(surplus).collect();
    if complaints.is_empty() && here != there {
        complaints.push("docs/faults.md has the rows in another order, or twice".to_owned());
    }
    if !complaints.is_empty() {
        complaints.push("`cargo run -p faults -- --table` prints the table".to_owned());
    }
    Verdict { complaints, told: json!({ "faults": FAULTS.len() }) }
}
