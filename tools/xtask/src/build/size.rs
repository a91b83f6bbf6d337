//! How large a function is. There is no limit: a change of size is for the pull request to name.

use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use fs_err as fs;

use devstack::output::Output;
use devstack::{error::Result, host::Host};

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// The function.
    pub function: String,
    /// The host it was built for.
    pub host: Host,
    /// The module, uncompressed, in bytes.
    pub wasm: u64,
    /// Module and glue, each after `gzip -9`, in bytes.
    pub gzip: u64,
}

/// Weighs everything the host loads.
pub fn weigh(output: &Output) -> Result<Weight> {
    let mut weight = Weight { function: output.function.name.clone(), host: output.host, wasm: 0, gzip: 0 };
    for file in output.loaded_files()? {
        let bytes = fs::read(&file)?;
        weight.gzip += gzipped(&bytes)?;
        if file.extension().is_some_and(|kind| kind == "wasm") {
            weight.wasm += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        }
    }
    Ok(weight)
}

fn gzipped(bytes: &[u8]) -> std::io::Result<u64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(u64::try_from(encoder.finish()?.len()).unwrap_or(u64::MAX))
}

/// The table, a row a function and host.
pub fn table(weights: &[Weight]) -> String {
    let wide = weights.iter().map(|weight| weight.function.len()).max().unwrap_or(0).max("function".len());
    let mut table = String::new();
    let _ = writeln!(table, "{:wide$}  {:8}  {:>11}  {:>19}", "function", "host", "wasm bytes", "wasm+glue, gzip -9");
    for weight in weights {
        let (function, host, wasm, gzip) = (&weight.function, weight.host.name(), weight.wasm, kilobytes(weight.gzip));
        let _ = writeln!(table, "{function:wide$}  {host:8}  {wasm:>11}  {gzip:>16.1} KB");
    }
    table
}

/// Bytes as kilobytes.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{Weight, gzipped, table};
    use devstack::host::Host;

    #[test]
    fn the_table_lines_up() {
        let weight = |host, gzip| Weight { function: "chat-message".into(), host, wasm: 123_456, gzip };
        let table = table(&[weight(Host::Workers, 40_000), weight(Host::Supabase, 145_090)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines,
            [
                "function      host       wasm bytes   wasm+glue, gzip -9",
                "chat-message  workers        123456              40.0 KB",
                "chat-message  supabase       123456             145.1 KB",
            ]
        );
    }

    #[test]
    fn compression_is_gzips() {
        assert!(gzipped(&[b'a'; 10_000]).is_ok_and(|size| size < 100));
    }
}
