//! Which WebAssembly features a module was compiled with, as rustc notes them in its `target_features` section.

use devstack::error::{Error, Result};

/// wasm-opt's arguments that allow exactly the features the module already uses: fewer and it refuses the module, all
/// of them and it may emit what a host does not run.
pub fn wasm_opt_flags(wasm: &[u8]) -> Result<Vec<String>> {
    let mut flags = vec!["--mvp-features".to_owned()];
    for feature in target_features(wasm)? {
        let name = match feature {
            "nontrapping-fptoint" => "nontrapping-float-to-int",
            other => other,
        };
        flags.push(format!("--enable-{name}"));
    }
    Ok(flags)
}

/// The names with a `+` in the `target_features` section.
pub fn target_features(wasm: &[u8]) -> Result<Vec<&str>> {
    let broken = || Error::new("cargo's wasm has no readable target_features section").cure("no `strip` in Cargo.toml");
    let section = custom_section(wasm, "target_features").ok_or_else(broken)?;
    read_features(section).ok_or_else(broken)
}

fn read_features(section: &[u8]) -> Option<Vec<&str>> {
    let (count, mut rest) = number(section)?;
    let mut names = Vec::new();
    for _ in 0..count {
        let (prefix, after) = rest.split_first()?;
        let (name, after) = text(after)?;
        if *prefix == b'+' {
            names.push(name);
        }
        rest = after;
    }
    Some(names)
}

fn custom_section<'a>(wasm: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut rest = wasm.strip_prefix(b"\0asm\x01\0\0\0")?;
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = number(after)?;
        let (body, after) = after.split_at_checked(length)?;
        if *id == 0 {
            let (name, content) = text(body)?;
            if name == wanted {
                return Some(content);
            }
        }
        rest = after;
    }
    None
}

/// A length-prefixed name.
fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = number(bytes)?;
    let (name, rest) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

/// An unsigned LEB128 number.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{target_features, wasm_opt_flags};

    fn module(features: &[u8]) -> Vec<u8> {
        let mut section = b"\x0ftarget_features".to_vec();
        section.extend(features);
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend([1, 2, 0xaa, 0xbb]); // some other section, to be stepped over
        wasm.extend([0, u8::try_from(section.len()).unwrap_or_default()]);
        wasm.extend(section);
        wasm
    }

    #[test]
    fn the_features_in_use_are_read() {
        let wasm = module(b"\x03+\x08sign-ext-\x04simd+\x13nontrapping-fptoint");
        assert_eq!(target_features(&wasm).unwrap_or_default(), ["sign-ext", "nontrapping-fptoint"]);
        let flags = ["--mvp-features", "--enable-sign-ext", "--enable-nontrapping-float-to-int"];
        assert_eq!(wasm_opt_flags(&wasm).unwrap_or_default(), flags);
    }

    #[test]
    fn a_stripped_or_cut_module_is_an_error() {
        assert!(target_features(b"\0asm\x01\0\0\0").is_err());
        assert!(target_features(&module(b"\x03+\x08sign")).is_err());
        assert!(target_features(b"not wasm").is_err());
    }
}
