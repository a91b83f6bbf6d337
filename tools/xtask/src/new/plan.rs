//! What a new function consists of: its own files, and what is added to files of all functions.

use std::io::Write as _;

use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    files,
};
use fs_err as fs;
use jiff::{Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::name::Name;

/// Where a list that cannot be derived ends: what callers may do is reviewed by a person.
pub const MARKER: &str = "    // `cargo xtask new` adds a new function's here.\n";

/// The files of a function, with their templates. `{{name}}` and `{{stem}}` are filled in, in paths too.
const FILES: [(&str, &str); 10] = [
    ("functions/{{name}}/Cargo.toml", include_str!("../../templates/Cargo.toml")),
    ("functions/{{name}}/src/lib.rs", include_str!("../../templates/src/lib.rs")),
    ("functions/{{name}}/src/entries.rs", include_str!("../../templates/src/entries.rs")),
    ("functions/{{name}}/src/openapi.rs", include_str!("../../templates/src/openapi.rs")),
    ("functions/{{name}}/examples/openapi.rs", include_str!("../../templates/examples/openapi.rs")),
    ("functions/{{name}}/tests/requests.rs", include_str!("../../templates/tests/requests.rs")),
    ("migrations/{{time}}_{{stem}}.sql", include_str!("../../templates/migration.sql")),
    ("supabase/functions/{{name}}/index.ts", include_str!("../../templates/index.ts")),
    ("tests/conformance/scenarios/{{stem}}.rs", include_str!("../../templates/scenario.rs")),
    ("tests/fuzz/corpus/{{name}}/save", include_str!("../../templates/corpus")),
];

const WRANGLER: &str = include_str!("../../templates/wrangler.toml");
const CONFIG: &str = include_str!("../../templates/config.toml");
const REVIEWED: &str = include_str!("../../templates/reviewed.rs");
const SEED: &str = include_str!("../../templates/seed.rs");
/// Cargo has no other way to know of it. What else the fuzzer needs to know it derives.
const FUZZED: &str = "{{name}} = { path = \"../../functions/{{name}}\" }\n";

/// A file with its new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Seen from the repository's root.
    pub file: String,
    /// All of it.
    pub text: String,
}

/// Everything that will be written.
#[derive(Debug)]
pub struct Plan {
    /// Files that are not there yet.
    pub new: Vec<Text>,
    /// Files that are, with something added.
    pub changed: Vec<Text>,
}

impl Plan {
    /// Plans a function. Nothing that is there may be overwritten.
    pub fn of(checkout: &Checkout, name: &Name) -> Result<Self> {
        let time = next_time(checkout)?;
        let new: Vec<_> = FILES
            .iter()
            .map(|(file, template)| Text {
                file: name.fill(file).replace("{{time}}", &time),
                text: name.fill(template),
            })
            .collect();
        let folder = [format!("functions/{}", name.name), format!("supabase/functions/{}", name.name)];
        let document = format!("docs/openapi/{}.json", name.name);
        let places = new.iter().map(|text| &text.file).chain(&folder).chain([&document]);
        if let Some(taken) = places.into_iter().find(|place| checkout.path(place).exists()) {
            return Err(Error::new(format!("{taken} is there already, and nothing is overwritten"))
                .cure("another name, or move it away"));
        }
        let changed = vec![
            add(checkout, "wrangler.toml", |text| {
                let wrangler = ["region", "SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "ALLOWED_ORIGINS"]
                    .into_iter()
                    .zip(["{{region}}", "{{url}}", "{{key}}", "{{origins}}"])
                    .fold(name.fill(WRANGLER), |filled, (key, place)| filled.replace(place, value(text, key)));
                end(text, &wrangler, &format!("[env.{}]", name.name))
            })?,
            add(checkout, "supabase/config.toml", |text| {
                end(text, &name.fill(CONFIG), &format!("[functions.{}]", name.name))
            })?,
            add(checkout, "tests/conformance/scenarios/main.rs", |text| module(text, &name.stem))?,
            add(checkout, "tests/conformance/scenarios/attack_matrix.rs", |text| before(text, &name.fill(REVIEWED)))?,
            add(checkout, "tests/conformance/src/seed.rs", |text| before(text, &name.fill(SEED)))?,
            add(checkout, "tests/fuzz/Cargo.toml", |text| {
                let (head, tail) = text.split_once("[dependencies]\n")?;
                Some(format!("{head}[dependencies]\n{}{tail}", name.fill(FUZZED)))
            })?,
        ];
        Ok(Self { new, changed })
    }

    /// Writes it all.
    pub fn write(&self, checkout: &Checkout) -> Result<()> {
        for Text { file, text } in &self.new {
            let path = checkout.path(file);
            files::make_folder_of(&path)?;
            fs::File::create_new(&path)?.write_all(text.as_bytes())?;
        }
        for Text { file, text } in &self.changed {
            fs::write(checkout.path(file), text)?;
        }
        Ok(())
    }

    /// The new files that are Rust.
    pub fn rust(&self) -> impl Iterator<Item = &Text> {
        self.new.iter().filter(|text| text.file.ends_with(".rs"))
    }
}

/// A file with something added; `None` says that there is no place for it.
fn add(checkout: &Checkout, file: &str, change: impl Fn(&str) -> Option<String>) -> Result<Text> {
    let old = fs::read_to_string(checkout.path(file))?;
    let text = change(&old).ok_or_else(|| {
        Error::new(format!("{file} has the function already, or no place for it")).cure(format!("git diff {file}"))
    })?;
    Ok(Text { file: file.to_owned(), text })
}

/// Adds to the end, unless the heading is there already.
fn end(text: &str, added: &str, heading: &str) -> Option<String> {
    let is_there = text.lines().any(|line| line.trim() == heading);
    (!is_there).then(|| format!("{}\n{added}", text.trim_end()))
}

/// Adds before the marker.
fn before(text: &str, added: &str) -> Option<String> {
    let (head, tail) = text.split_once(MARKER)?;
    Some(format!("{head}{added}{MARKER}{tail}"))
}

/// Adds a module to the list of modules, which is sorted.
fn module(text: &str, stem: &str) -> Option<String> {
    let added = format!("mod {stem};");
    let mut lines: Vec<&str> = text.lines().collect();
    let is_module = |line: &&str| line.starts_with("mod ") && line.ends_with(';');
    if lines.contains(&added.as_str()) {
        return None;
    }
    let key = |line: &str| line.trim_end_matches(';').to_owned();
    let after = lines.iter().position(|line| is_module(line) && key(line) > key(&added));
    let last = lines.iter().rposition(is_module)?;
    lines.insert(after.unwrap_or(last + 1), &added);
    Some(lines.join("\n") + "\n")
}

/// The first value of a key in a TOML file of ours: the other functions' is a new one's, too.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let find = |line: &'a str| line.strip_prefix(key)?.trim_start().strip_prefix("= \"")?.strip_suffix('"');
    text.lines().find_map(find).unwrap_or_default()
}

/// The time in a new migration's name: now, but after every other migration's.
fn next_time(checkout: &Checkout) -> Result<String> {
    let names = files::names(&checkout.path("migrations"))?;
    let times = names.iter().filter_map(|name| DateTime::strptime("%Y%m%d%H%M%S", name.split_once('_')?.0).ok());
    let now = Timestamp::now().to_zoned(TimeZone::UTC).datetime();
    let next = times.max().map_or(now, |last| now.max(last.saturating_add(1.minute())));
    Ok(next.strftime("%Y%m%d%H%M%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::{MARKER, before, end, module, value};

    #[test]
    fn a_module_goes_where_the_order_wants_it() {
        let text = "//! Scenarios.\n\nmod b;\nmod d;\n";
        for (stem, expected) in [
            ("a", "mod a;\nmod b;\nmod d;\n"),
            ("c", "mod b;\nmod c;\nmod d;\n"),
            ("d_e", "mod b;\nmod d;\nmod d_e;\n"),
            ("e", "mod b;\nmod d;\nmod e;\n"),
        ] {
            assert_eq!(module(text, stem).unwrap(), format!("//! Scenarios.\n\n{expected}"));
        }
        assert_eq!(module(text, "b"), None);
    }

    #[test]
    fn what_is_added_is_added_once() {
        assert_eq!(end("[a]\n", "\n[b]\n", "[b]").unwrap(), "[a]\n\n[b]\n");
        assert_eq!(end("[a]\n[b]\n", "\n[b]\n", "[b]"), None);
        assert_eq!(before(&format!("x\n{MARKER}y\n"), "z\n").unwrap(), format!("x\nz\n{MARKER}y\n"));
        assert_eq!(before("x\n", "z\n"), None);
        assert_eq!(value("# region\nregion = \"aws:x\"\n", "region"), "aws:x");
    }
}
