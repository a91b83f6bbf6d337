//! A panic without its words, and what nobody calls.
//!
//! A function that panics is answered for by `shared::web`: the request gets a 500 and the log a line. Nobody hears the
//! message Rust makes, and it could quote what the caller wrote. So the code that makes it is replaced by the trap it
//! ends in anyway, and the places in the source that it would have named are blanked; no path of the machine it was
//! built on is in what is shipped. The same goes for code that is linked in for exports which `slim` has deleted: tables
//! of functions keep it alive. Together 2 KB of a function for Supabase, compressed, and 6 KB of one for Workers.

use std::collections::HashSet;

use walrus::{
    ConstExpr, DataKind, ExportItem, FunctionId, FunctionKind, LocalFunction, Module,
    ir::{Call, Unreachable, Visitor, dfs_in_order},
};

use crate::{
    error::{Error, Result},
    host::Host,
};

/// Code that does nothing but say what went wrong, and then trap: parts of the names of its functions.
const PANICS: [&str; 11] = [
    "core[…]::panicking::",
    "std[…]::panicking::panic_handler",
    "std[…]::panicking::panic_with_hook",
    "::unwrap_failed",
    "::expect_failed",
    "::slice_index_fail",
    "::slice_error_fail",
    "::assert_failed",
    "::raw_vec::handle_error",
    "::handle_alloc_error",
    "::rust_begin_unwind",
];

/// Code that nothing calls but panics and what `worker` exports: formatting, streams. Parts of the names
/// of its functions, as rustc's symbols have them with `[…]` for the hash of a crate of its own.
const UNUSED: [&str; 5] = ["core[…]::fmt::", "alloc[…]::fmt::", "std[…]::io::", "PanicHookInfo", "futures_util::"];

/// The same where there is no `worker`: `shared::web` has an executor of its own, and makes no closures.
const UNUSED_ON_SUPABASE: [&str; 2] = ["js_sys::futures::", "wasm_bindgen::convert::closures::"];

/// What panics say and formatting writes in std's own words. One that a new Rust words otherwise stays, and does no harm.
const WORDS: [&str; 16] = [
    "assertion `left ",
    "cannot access a Thread Local Storage value during or after destruction: ",
    "copy_from_slice: source slice length (",
    ") does not match destination slice length (",
    "`at` split index (is ",
    "removal index (is ",
    "swap_remove index (is ",
    ") should be <= len (is ",
    ") should be < len (is ",
    "closure invoked recursively or after being dropped",
    "called `Option::unwrap_throw()` on a `None` value",
    "Tried to shrink to a larger capacity",
    "capacity overflow",
    "`async fn` resumed after completion",
    "RefCell already mutably borrowedRefCell already borrowed",
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849505152535455\
     5657585960616263646566676869707172737475767778798081828384858687888990919293949596979899",
];

/// Makes every panic a trap, and whatever nobody calls. An error names what is called all the same.
pub fn trap_without_words(module: &mut Module, host: Host, stem: &str) -> Result<()> {
    let named = |parts: &[&str], name: &str| {
        let name = without_hashes(name);
        parts.iter().any(|part| name.contains(part))
    };
    let mut unused = HashSet::new();
    for function in module.funcs.iter_mut() {
        let name = function.name.clone().unwrap_or_default();
        let is_unused = named(&UNUSED, &name) || host == Host::Supabase && named(&UNUSED_ON_SUPABASE, &name);
        if is_unused {
            unused.insert(function.id());
        }
        if let (true, FunctionKind::Local(local)) = (is_unused || named(&PANICS, &name), &mut function.kind) {
            let entry = local.entry_block();
            let body = &mut local.block_mut(entry).instrs;
            body.clear();
            body.push((Unreachable {}.into(), Default::default()));
        }
    }
    if let Some(name) = called(module, &unused, stem) {
        return Err(Error::new(format!("{name} is called, and xtask/src/build/traps.rs takes it for unused")));
    }
    let segments: Vec<_> = module.data.iter().map(|data| data.id()).collect();
    for segment in segments {
        let data = module.data.get_mut(segment);
        if let DataKind::Active { offset: ConstExpr::Value(walrus::ir::Value::I32(start)), .. } = data.kind
            && let Ok(start) = usize::try_from(start)
        {
            blank_locations(&mut data.value, start);
            blank_words(&mut data.value);
        }
    }
    Ok(())
}

/// The name of a function out of `unused` that is called, one call leading to another, by an export or by code of this
/// repository (which may be called through a table).
fn called(module: &Module, unused: &HashSet<FunctionId>, stem: &str) -> Option<String> {
    let mut open: Vec<FunctionId> = module
        .exports
        .iter()
        .filter_map(|export| match export.item {
            ExportItem::Function(function) => Some(function),
            _ => None,
        })
        .chain(
            module
                .funcs
                .iter()
                .filter(|function| is_ours(function.name.as_deref(), stem))
                .map(|function| function.id()),
        )
        .collect();
    let mut seen: HashSet<_> = open.iter().copied().collect();
    while let Some(function) = open.pop() {
        if unused.contains(&function) {
            return module.funcs.get(function).name.clone();
        }
        if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
            open.extend(calls_of(local).into_iter().filter(|callee| seen.insert(*callee)));
        }
    }
    None
}

/// Whether a function is of a crate of this repository: `shared`, or the function's own, whose name is `stem`. As rustc
/// writes names of old, and as it does with a crate's hash.
fn is_ours(name: Option<&str>, stem: &str) -> bool {
    let name = without_hashes(name.unwrap_or_default());
    ["shared", stem].iter().any(|krate| name.contains(&format!("{krate}::")) || name.contains(&format!("{krate}[…]::")))
}

fn calls_of(function: &LocalFunction) -> Vec<FunctionId> {
    struct Calls(Vec<FunctionId>);
    impl Visitor<'_> for Calls {
        fn visit_call(&mut self, call: &Call) {
            self.0.push(call.func);
        }
    }
    let mut calls = Calls(Vec::new());
    dfs_in_order(&mut calls, function, function.entry_block());
    calls.0
}

/// `core[c5930c85a12de822]::fmt::write` as `core[…]::fmt::write`.
fn without_hashes(name: &str) -> String {
    let mut text = String::new();
    for part in name.split_inclusive(['[', ']']) {
        let is_hash =
            part.len() == 17 && part.ends_with(']') && part.bytes().take(16).all(|byte| byte.is_ascii_hexdigit());
        text.push_str(if is_hash { "…]" } else { part });
    }
    text
}

/// Blanks every `core::panic::Location` (address and length of a file's name, line, column: four words) in data that is
/// loaded at `start`, and the names with it.
fn blank_locations(data: &mut [u8], start: usize) {
    let mut found = Vec::new();
    for (place, words) in data.windows(16).enumerate().step_by(4) {
        let word = |number: usize| {
            let bytes = words.get(number * 4..number * 4 + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
        };
        let Some(from) = word(0).checked_sub(start) else { continue };
        let name = from..from.saturating_add(word(1));
        let is_file = data.get(name.clone()).is_some_and(|name| name.ends_with(b".rs"));
        if is_file && (1..100_000).contains(&word(2)) && (1..1000).contains(&word(3)) {
            found.push(place..place + 16);
            found.push(name);
        }
    }
    for range in found {
        if let Some(bytes) = data.get_mut(range) {
            bytes.fill(0);
        }
    }
}

fn blank_words(data: &mut [u8]) {
    for word in WORDS.map(str::as_bytes) {
        let places: Vec<_> =
            data.windows(word.len()).enumerate().filter(|(_, part)| *part == word).map(|(place, _)| place).collect();
        for place in places {
            if let Some(bytes) = data.get_mut(place..place + word.len()) {
                bytes.fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{blank_locations, without_hashes};

    #[test]
    fn hashes_of_crates_are_left_out_of_names() {
        assert_eq!(without_hashes("<core[c5930c85a12de822]::fmt::Formatter>::pad"), "<core[…]::fmt::Formatter>::pad");
        assert_eq!(without_hashes("a[b]::[u8]::c"), "a[b]::[u8]::c");
    }

    #[test]
    fn locations_and_their_files_are_blanked_and_nothing_else() {
        let mut data = b"keep src/a.rs keep  ".to_vec();
        let words = |words: [u32; 4]| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        data.extend(words([1005, 8, 12, 5]));
        data.extend(words([1000, 4, 12, 5]));
        data.extend(words([1005, 8, 0, 5]));
        let kept = data.get(36..).unwrap_or_default().to_vec();
        blank_locations(&mut data, 1000);
        assert_eq!(data.get(..20), Some(&b"keep \0\0\0\0\0\0\0\0 keep  "[..]));
        assert_eq!(data.get(20..36), Some(&[0; 16][..]));
        assert_eq!(data.get(36..), Some(&kept[..]));
    }
}
