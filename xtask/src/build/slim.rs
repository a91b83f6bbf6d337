//! Leaving out what neither side of the glue uses.
//!
//! wasm-bindgen exports every class of every crate that is linked in (`worker` brings half a dozen), and names each
//! import after what it does and a hash. Two thirds of the glue, and 3 KB of the module, are for nobody. So:
//! the exports that the glue of this module's own imports never calls are deleted, the imports get short names, and
//! what then remains unused in either goes too.

use std::{fs, path::Path};

use walrus::Module;

use super::{compile::Compiled, traps};
use crate::{
    error::{Context as _, Error, Result},
    host::Host,
    tools::toolbox::Toolbox,
};

/// What a module imports.
#[derive(Debug, Clone)]
pub struct Import {
    /// The short name it has in the module.
    short: String,
    /// The name it has where it comes from.
    long: String,
    /// Where it comes from: wasm-bindgen's glue, or a snippet of JavaScript beside it.
    from: String,
}

/// esbuild's way with the glue that is shipped.
pub const MINIFY: &str = "--minify";

/// What the module exports to its host.
fn entry(host: Host) -> &'static str {
    match host {
        Host::Workers => "fetch",
        Host::Supabase => "handle",
    }
}

/// Slims the module in a folder of glue, before wasm-opt. Gives the imports' names, for [`slim_glue`].
pub async fn slim_module(toolbox: &Toolbox, compiled: &Compiled, folder: &Path) -> Result<Vec<Import>> {
    let stem = compiled.function.stem();
    without_side_effects(&folder.join(format!("{stem}_bg.js")))?;
    let file = folder.join(format!("{stem}_bg.wasm"));
    let mut module = read(&file)?;
    let mut names: Vec<Import> = module
        .imports
        .iter()
        .map(|import| Import { short: import.name.clone(), long: import.name.clone(), from: import.module.clone() })
        .collect();
    let glue = shaken(toolbox, compiled, folder, &names, None).await?;
    let unused: Vec<_> =
        module.exports.iter().filter(|export| !is_called(&glue, &export.name)).map(|export| export.id()).collect();
    for export in unused {
        module.exports.delete(export);
    }
    traps::trap_without_words(&mut module, compiled.host)?;
    export_stack_pointer(&mut module)?;
    walrus::passes::gc::run(&mut module);
    let kept: Vec<_> = module.imports.iter().map(|import| (import.module.clone(), import.name.clone())).collect();
    names.retain(|import| kept.iter().any(|(from, name)| *from == import.from && *name == import.long));
    let glue = format!("./{stem}_bg.js");
    for (number, import) in module.imports.iter_mut().enumerate() {
        if let Some(name) = names.iter_mut().find(|name| name.from == import.module && name.long == import.name) {
            name.short = short(number);
            // All come out of one file in the end.
            (import.module, import.name) = (glue.clone(), name.short.clone());
        }
    }
    module
        .emit_wasm_file(&file)
        .map_err(|error| Error::new(format!("{} cannot be written: {error:#}", file.display())))?;
    Ok(names)
}

/// Lets the glue put the stack back after a trap: see `shared/src/web/driver.js`.
fn export_stack_pointer(module: &mut Module) -> Result<()> {
    const NAME: &str = "__stack_pointer";
    let pointer = module.globals.iter().find(|global| global.name.as_deref() == Some(NAME)).map(|global| global.id());
    let pointer = pointer.ok_or_else(|| Error::new("the module has no stack pointer of that name".to_owned()))?;
    module.exports.add(NAME, pointer);
    Ok(())
}

/// Slims the glue in a folder to what the module there, now in its final form, imports.
pub async fn slim_glue(toolbox: &Toolbox, compiled: &Compiled, folder: &Path, mut names: Vec<Import>) -> Result<()> {
    let stem = compiled.function.stem();
    let module = read(&folder.join(format!("{stem}_bg.wasm")))?;
    let used: Vec<String> = imports(&module).collect();
    names.retain(|import| used.contains(&import.short));
    let glue = shaken(toolbox, compiled, folder, &names, Some(MINIFY)).await?;
    let _ = fs::remove_dir_all(folder.join("snippets")); // they are inside the glue now
    let file = folder.join(format!("{stem}_bg.js"));
    fs::write(&file, glue).context(|| format!("{} cannot be written", file.display()))
}

/// Classes run code where they are defined, which keeps them in any bundle: their registration with a collector that
/// is of no use to a class nobody makes.
fn without_side_effects(glue: &Path) -> Result<()> {
    let text = fs::read_to_string(glue).context(|| format!("{} cannot be read", glue.display()))?;
    let mut slim = String::new();
    for line in text.lines().filter(|line| !line.starts_with("if (Symbol.dispose) ")) {
        slim.push_str(&line.replace("new FinalizationRegistry(", "/* @__PURE__ */ new FinalizationRegistry("));
        slim.push('\n');
    }
    fs::write(glue, slim).context(|| format!("{} cannot be written", glue.display()))
}

/// The glue of these imports and no others, in one file.
async fn shaken(
    toolbox: &Toolbox,
    compiled: &Compiled,
    folder: &Path,
    imports: &[Import],
    minify: Option<&str>,
) -> Result<String> {
    let stem = compiled.function.stem();
    let mut text = format!("export {{ {}, __wbg_set_wasm }} from \"./{stem}_bg.js\";\n", entry(compiled.host));
    for Import { short, long, from } in imports {
        text.push_str(&format!("export {{ {long} as {short} }} from \"{from}\";\n"));
    }
    let wanted = folder.join("wanted.js");
    fs::write(&wanted, text).context(|| format!("{} cannot be written", wanted.display()))?;
    let said = toolbox
        .esbuild()?
        .arg(&wanted)
        .args(["--bundle", "--format=esm", "--target=es2022", "--log-level=warning"])
        .args(minify)
        .succeed(&format!("Bundling the glue of {}", compiled.function.name))
        .await?;
    let _ = fs::remove_file(&wanted);
    Ok(said.stdout)
}

/// Whether glue calls an export, or the loader does.
fn is_called(glue: &str, export: &str) -> bool {
    export == "__wbindgen_start"
        || glue.match_indices("wasm.").any(|(place, found)| {
            let after = glue.get(place + found.len()..).and_then(|rest| rest.strip_prefix(export));
            after.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$'))
        })
}

/// `a` … `z`, `a1` … `z1`, and so on: no word of JavaScript is among them.
fn short(number: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    if number < 26 { letter.to_string() } else { format!("{letter}{}", number / 26) }
}

fn imports(module: &Module) -> impl Iterator<Item = String> {
    module.imports.iter().map(|import| import.name.clone())
}

fn read(file: &Path) -> Result<Module> {
    Module::from_file(file).map_err(|error| Error::new(format!("{} is no module: {error:#}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::{is_called, short};

    #[test]
    fn an_export_is_called_by_its_whole_name() {
        let glue = "wasm.__wbindgen_malloc(1); wasm.handle_more(); x = wasm.memory.buffer";
        for (export, called) in
            [("__wbindgen_malloc", true), ("memory", true), ("handle", false), ("handle_more", true), ("free", false)]
        {
            assert_eq!(is_called(glue, export), called, "{export}");
        }
        assert!(is_called("", "__wbindgen_start"));
    }

    #[test]
    fn short_names_never_repeat() {
        let mut names: Vec<_> = (0..200).map(short).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 200);
    }
}
