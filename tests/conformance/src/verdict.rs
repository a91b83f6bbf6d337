//! Whether a rule holds, and how that is printed: as cargo prints its tests.

/// A rule, and what breaks it.
#[derive(Debug)]
pub struct Verdict {
    /// What must hold.
    pub rule: &'static str,
    /// Where it does not.
    pub faults: Vec<String>,
}

/// Most faults of a rule that are printed: one mistake tends to be in every request.
const SHOWN: usize = 5;

/// Prints them; whether all hold.
pub fn print(verdicts: &[Verdict]) -> bool {
    for Verdict { rule, faults } in verdicts {
        println!("test {rule} ... {}", if faults.is_empty() { "ok" } else { "FAILED" });
        for fault in faults.iter().take(SHOWN) {
            println!("    {fault}");
        }
        if faults.len() > SHOWN {
            println!("    and {} more", faults.len() - SHOWN);
        }
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.faults.is_empty()).count();
    let (result, passed) = (if failed == 0 { "ok" } else { "FAILED" }, verdicts.len() - failed);
    println!("\ntest result: {result}. {passed} passed; {failed} failed\n");
    failed == 0
}
