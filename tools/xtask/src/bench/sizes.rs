//! How large each function is.

use super::table::{Section, Table};
use crate::build::size::Weight;

/// The section.
pub fn section(weights: &[Weight]) -> Section {
    let mut table = Table::new(["function", "wasm and glue, `gzip -9`"]);
    for weight in weights {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let kilobytes = weight.gzip as f64 / 1000.0;
        table.row(vec![format!("{} on {}", weight.function, weight.host), format!("{kilobytes:.1} KB")], None);
    }
    let told = "All that the host loads, each file compressed by itself; 1 KB is 1000 bytes. Size has no budget. For \
                comparison: supabase-js alone, bundled and minified, is 54.9 KB; it was not measured in this run."
        .to_owned();
    Section { title: "Sizes", told, table }
}
