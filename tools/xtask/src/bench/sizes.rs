//! How large each function is.

use super::table::Table;
use crate::build::size::Weight;

/// The section.
pub fn section(weights: &[Weight]) -> Table {
    let mut table = Table::new("Sizes", ["function", "wasm and glue, `gzip -9`"]);
    for weight in weights {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let kilobytes = weight.gzip as f64 / 1000.0;
        table.row(vec![format!("{} on {}", weight.function, weight.host), format!("{kilobytes:.1} KB")], None);
    }
    table
}
