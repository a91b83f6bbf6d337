//! The layers of `shared` and the order of the crates hold: imports go down only, and no files import each other in a
//! circle.
//!
//! A file imports another when one of its paths (`use` or not) ends at something that the other defines:
//! - paths through `crate::`, `super::` and `self::` are followed, and in a `mod.rs` those that begin with one of its
//!   modules;
//! - a name that a `mod.rs` re-exports belongs to the file that defines it, so `super::Id` in `request/draft.rs` is an
//!   import of `request/id.rs`;
//! - the re-exports themselves (`pub use`) import nothing, and unit tests may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conformance::stack::{checkout, repository};

/// The layers, from the top. Each may import those below it, and itself.
const LAYERS: [&str; 8] = ["edge", "request", "auth", "upstream", "answer", "host", "config", "members"];

/// A module, by the names on the way to it: `["request", "id"]`.
type Module = Vec<String>;

/// The crate: its modules, each with its file.
struct Crate {
    files: BTreeMap<Module, File>,
}

/// A module's file.
struct File {
    name: String,
    /// Every path in it that may lead to another module.
    paths: Vec<Vec<String>>,
    /// What it re-exports.
    re_exports: Vec<Vec<String>>,
}

impl Crate {
    fn read(source: &str) -> Self {
        let root = repository().join(source);
        let mut files = BTreeMap::new();
        let mut open = vec![root.clone()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("src/lib.rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                files.insert(module(&name), File::read(name, &path));
            }
        }
        Self { files }
    }

    /// The modules that each module imports.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let of = |module| {
            let file: &File = &self.files[module];
            let imported = file.paths.iter().filter_map(|path| self.defines(module, path));
            imported.filter(|imported| *imported != module).collect()
        };
        self.files.keys().map(|module| (module, of(module))).collect()
    }

    /// The module that defines what a path leads to; `None` if that is no module of this crate.
    fn defines(&self, from: &Module, path: &[String]) -> Option<&Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            own => [from.as_slice(), &[own.to_owned()]].concat(),
        };
        while let Some((name, after)) = rest.split_first() {
            let child = [at.as_slice(), std::slice::from_ref(name)].concat();
            if name == "super" {
                at.pop();
            } else if self.files.contains_key(&child) {
                at = child;
            } else {
                let re_export = self.files.get(&at)?.re_exports.iter().find(|path| path.last() == Some(name));
                return match re_export {
                    Some(path) => self.defines(&at, path),
                    None => self.files.get_key_value(&at).map(|(module, _)| module),
                };
            }
            rest = after;
        }
        self.files.get_key_value(&at).map(|(module, _)| module)
    }
}

impl File {
    fn read(name: String, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
        let tokens = tokens(&code.join("\n"));
        let is_parent = name.ends_with("mod.rs");
        let children: Vec<_> =
            tokens.windows(3).filter(|three| three[0] == "mod" && three[2] == ";").map(|three| &three[1]).collect();
        let (mut paths, mut re_exports) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            let begins = |word: &String| {
                ["crate", "super", "self"].contains(&word.as_str()) || is_parent && children.contains(&word)
            };
            let is_path = begins(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::");
            if !is_path || at > 0 && tokens[at - 1] == "::" {
                at += 1;
                continue;
            }
            let is_re_export = at > 1 && tokens[at - 1] == "use" && (tokens[at - 2] == "pub" || tokens[at - 2] == ")");
            at = tree(&tokens, at, &[], if is_re_export { &mut re_exports } else { &mut paths });
        }
        Self { name, paths, re_exports }
    }
}

/// The module of a file.
fn module(file: &str) -> Module {
    let path = file.strip_suffix(".rs").unwrap();
    path.strip_suffix("/mod").unwrap_or(path).split('/').map(str::to_owned).collect()
}

/// Words, `::`, and every other character by itself. Strings are left out.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = if is_word(first) {
            rest.find(|character| !is_word(character)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if token == "\"" {
            let end = after.match_indices('"').map(|(place, _)| place).find(|place| !after[..*place].ends_with('\\'));
            rest = &after[end.map_or(after.len(), |end| end + 1)..];
        } else {
            tokens.push(token.to_owned());
        }
        rest = rest.trim_start();
    }
    tokens
}

/// Reads a path, or a tree of them (`a::{b, c::d}`), from a place on; returns the place after it.
fn tree(tokens: &[String], mut at: usize, before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let is = |at: usize, wanted: &str| tokens.get(at).is_some_and(|token| token == wanted);
    let mut path = before.to_vec();
    loop {
        path.push(tokens[at].clone());
        at += 1;
        if is(at, "::") && is(at + 1, "{") {
            at += 2;
            while !is(at, "}") {
                if is(at, ",") {
                    at += 1;
                } else {
                    at = tree(tokens, at, &path, paths);
                }
            }
            return at + 1;
        }
        let goes_on = is(at, "::") && tokens.get(at + 1).is_some_and(|next| next.starts_with(char::is_alphabetic));
        if !goes_on {
            // `{self}` is the module itself.
            path.pop_if(|last| last == "self");
            paths.push(path);
            return if is(at, "as") { at + 2 } else { at };
        }
        at += 1;
    }
}

fn layer(module: &Module) -> usize {
    let name = module.first().unwrap();
    LAYERS.iter().position(|layer| layer == name).unwrap_or_else(|| panic!("{name} has no place among the layers"))
}

/// Everything that can be reached from a module.
fn reached<'a>(imports: &BTreeMap<&'a Module, BTreeSet<&'a Module>>, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        open.extend(imports[module].iter().filter(|imported| reached.insert(**imported)));
    }
    reached
}

/// The crates of this workspace that a crate depends on, its tests not counted.
fn dependencies(of: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(repository().join(of).join("Cargo.toml")).unwrap();
    let workspace = std::fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let is_ours = |name: &str| workspace.lines().any(|line| line.starts_with(&format!("{name} = {{ path = ")));
    let sections = manifest.split("\n[").filter(|section| section.starts_with("dependencies]"));
    let names = sections.flat_map(str::lines).filter_map(|line| line.split_once(['.', ' ']).map(|(name, _)| name));
    names.filter(|name| is_ours(name)).map(str::to_owned).collect()
}

#[test]
fn imports_are_found_where_they_are() {
    let shared = Crate::read("shared/src");
    let imports = shared.imports();
    let does_import = |file: &str, other: &str| imports[&module(file)].contains(&module(other));
    for (file, other) in [
        ("request/draft.rs", "request/id.rs"),   // use super::Id, which mod.rs re-exports
        ("request/draft.rs", "request/word.rs"), // super::word::NOT_ALLOWED, within an expression
        ("request/object.rs", "answer/problem.rs"), // use crate::answer::Fault
        ("auth/mod.rs", "upstream/database.rs"), // use crate::upstream::Identity
        ("edge/mod.rs", "edge/cors.rs"),         // cors::apply, within an expression
        ("edge/adapter.rs", "host/web/mod.rs"),  // use crate::host::web::{self, …}
        ("edge/context.rs", "edge/services.rs"), // use super::services::Services
    ] {
        assert!(does_import(file, other), "{file}: {other}");
    }
    for (file, other) in
        [("answer/mod.rs", "answer/page.rs"), ("members.rs", "config.rs"), ("host/mod.rs", "host/fake.rs")]
    {
        assert!(!does_import(file, other), "{file}: {other}");
    }
}

#[test]
fn imports_go_down_only() {
    let shared = Crate::read("shared/src");
    for (module, imported) in shared.imports() {
        for imported in imported {
            let (file, other) = (&shared.files[module].name, &shared.files[imported].name);
            assert!(layer(module) <= layer(imported), "{file} imports {other}, which is in a layer above");
        }
    }
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    for source in ["shared/src", "tools/devstack/src"] {
        let tree = Crate::read(source);
        let imports = tree.imports();
        let all: BTreeMap<_, _> = imports.keys().map(|module| (*module, reached(&imports, module))).collect();
        let circles: Vec<_> = imports
            .iter()
            .flat_map(|(module, imported)| imported.iter().map(move |imported| (*module, *imported)))
            .filter(|(module, imported)| all[imported].contains(module))
            .map(|(module, imported)| format!("{} -> {}", tree.files[module].name, tree.files[imported].name))
            .collect();
        assert!(circles.is_empty(), "files of {source} import each other in a circle:\n{}", circles.join("\n"));
    }
}

#[test]
fn crates_depend_on_those_below_them_and_nothing_on_xtask() {
    let functions: Vec<_> = checkout().functions().unwrap().into_iter().map(|function| function.name).collect();
    let mut allowed: Vec<(String, Vec<&str>)> = [
        ("shared/derive", vec![]),
        ("shared", vec!["shared-derive"]),
        ("tools/devstack", vec![]),
        ("tools/xtask", vec!["devstack"]),
    ]
    .map(|(folder, below)| (folder.to_owned(), below))
    .to_vec();
    allowed.extend(functions.iter().map(|name| (format!("functions/{name}"), vec!["shared"])));
    let with_functions =
        |below: &[&'static str]| below.iter().copied().chain(functions.iter().map(String::as_str)).collect();
    allowed.push(("tests/conformance".to_owned(), with_functions(&["devstack", "shared"])));
    allowed.push(("tests/faults".to_owned(), with_functions(&["conformance", "devstack", "shared"])));
    allowed.push(("tests/fuzz".to_owned(), with_functions(&["shared"])));
    allowed.push(("tests/simulation".to_owned(), with_functions(&["shared"])));
    for (folder, allowed) in allowed {
        let other: Vec<_> =
            dependencies(&folder).into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(other.is_empty(), "{folder} depends on {other:?}, which are not below it");
    }
    assert_eq!(dependencies("tools/xtask"), ["devstack".to_owned()].into(), "dependencies are found where they are");
}
