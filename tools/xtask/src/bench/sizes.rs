//! How large each function is.

use super::table::Table;
use crate::build::size::{Weight, kilobytes};

/// The section.
pub fn section(weights: &[Weight]) -> Table {
    let mut table = Table::new("Sizes", ["function", "wasm and glue, `gzip -9`"]);
    for weight in weights {
        let kilobytes = kilobytes(weight.gzip);
        table.row(vec![format!("{} on {}", weight.function, weight.host), format!("{kilobytes:.1} KB")], None);
    }
    table
}
