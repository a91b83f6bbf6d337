//! What each function weighs, against its budget.

use super::table::{Budget, Section, Table};
use crate::build::size::Weight;

/// The section.
pub fn section(weights: &[Weight]) -> Section {
    let mut table = Table::new(["function", "wasm and glue, `gzip -9`", "of the budget"]);
    for weight in weights {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let (gzip, budget) = (weight.gzip as f64, weight.host.budget() as f64);
        table.row(
            vec![
                format!("{} on {}", weight.function, weight.host),
                format!("{:.1} KB", gzip / 1000.0),
                format!("{:.1} %", gzip / budget * 100.0),
            ],
            Some(Budget::new(format!("≤ {} KB", weight.host.budget() / 1000), !weight.over_budget())),
        );
    }
    let told = "All that the host loads, each file compressed by itself; 1 KB is 1000 bytes. For comparison: \
                supabase-js alone, bundled and minified, is 54.9 KB, as the project's contract has it; it was not \
                measured in this run."
        .to_owned();
    Section { title: "Sizes", told, table }
}

#[cfg(test)]
mod tests {
    use super::section;
    use crate::{build::size::Weight, host::Host};

    #[test]
    fn a_function_that_is_too_heavy_misses_its_budget() {
        let weight = |gzip| Weight { function: "f".into(), host: Host::Supabase, wasm: 0, gzip };
        let table = section(&[weight(22_500), weight(45_001)]).table;
        assert_eq!(table.missed(), 1);
        assert!(table.markdown().contains("22.5 KB |        50.0 %"), "{}", table.markdown());
    }
}
