//! A built function whose module may have little memory, so that memory really runs out.

use crate::stack::checkout;
use std::fs;
use std::path::Path;

use devstack::checkout::{Checkout, Function};
use devstack::host::Host;
use devstack::output::Output;

/// Puts a copy of a built function into a checkout of its own below `root`, with memory for its start and so many pages
/// of 64 KiB more.
pub fn starved(root: &Path, function: &str, host: Host, more_pages: u32) -> Checkout {
    let (real, copy) = (checkout(), Checkout::at(root));
    let function = Function { name: function.to_owned() };
    let (from, to) = (Output::of(&real, host, &function), Output::of(&copy, host, &function));
    copy_folder(from.folder(), to.folder());
    copy_folder(&real.path("supabase/local"), &copy.path("supabase/local"));
    fs::copy(real.path("wrangler.toml"), copy.path("wrangler.toml")).unwrap();
    let module = to.folder().join(to.wasm_name());
    let bytes = fs::read(&module).unwrap();
    fs::write(&module, with_memory(&bytes, more_pages)).unwrap();
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

/// The module with a memory section (number 5) that has a maximum: `more_pages` beyond what it begins with.
fn with_memory(module: &[u8], more_pages: u32) -> Vec<u8> {
    const HEADER: usize = 8;
    const MEMORY: u8 = 5;
    let mut made = module[..HEADER].to_vec();
    let mut at = HEADER;
    while at < module.len() {
        let (id, (length, body)) = (module[at], number(module, at + 1));
        let end = body + length as usize;
        if id == MEMORY {
            let (initial, _) = number(module, body + 2);
            let mut memory = vec![1, 1];
            push_number(&mut memory, initial);
            push_number(&mut memory, initial + more_pages);
            made.push(MEMORY);
            push_number(&mut made, u32::try_from(memory.len()).unwrap());
            made.extend(memory);
        } else {
            made.extend(&module[at..end]);
        }
        at = end;
    }
    made
}

/// An unsigned LEB128 number, and where it ends.
fn number(bytes: &[u8], mut at: usize) -> (u32, usize) {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        at += 1;
        number |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return (number, at);
        }
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
}
