//! The name of a new function: what it may be, and where it is in use already.

use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    files,
};
use fs_err as fs;
use heck::ToKebabCase as _;

/// Longest name, in characters. With what is put around it, it also names a Worker, tables, indexes and policies, which
/// may have 63.
const MAX_CHARS: usize = 40;

/// Words that cannot name a crate, or a table without quotes: Rust's keywords and crates that are always there, what
/// Cargo keeps for itself, and PostgreSQL's reserved words.
const RESERVED: &str = "\
    abstract all alloc also analyse analyze and any array as asc async asymmetric auth authorization await become \
    between binary both box break build case cast check collate collation column concurrently const constraint \
    continue core crate create cross current database deferrable deps desc distinct do dyn else end enum example \
    examples except extern false fetch final fn for foreign freeze from full function functions gen grant group \
    having health if ilike impl in incremental initially inner intersect into is isnull join lateral leading left let \
    like limit localtime localtimestamp loop macro match mod move mut natural not notnull null offset on only or order \
    outer overlaps override placing primary priv proc_macro pub public ref references returning right self select \
    selvedge session_user similar some static std struct super symmetric system_user table tablesample test tests then \
    to trailing trait true try type typeof union unique unsafe unsized use user using variadic verbose virtual when \
    where while window with yield";

/// The name of a function that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The folder's, the crate's and the URL's: `try-out`.
    pub name: String,
    /// The name in Rust and SQL: `try_out`.
    pub stem: String,
}

impl Name {
    /// Reads a name: words of small letters and digits, joined by hyphens.
    pub fn read(name: &str) -> Result<Self> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_word);
        if !is_name {
            let error = Error::new(format!(
                "{name:?} is no name for a function: a letter first, then small letters and digits, words joined by \
                 single hyphens"
            ));
            return Err(match suggestion(name) {
                Some(other) => error.cure(format!("cargo xtask new {other}")),
                None => error,
            });
        }
        if name.len() > MAX_CHARS {
            return Err(Error::new(format!("{name} has {} characters, and a name may have {MAX_CHARS}", name.len())));
        }
        let stem = name.replace('-', "_");
        if RESERVED.split_whitespace().any(|word| word == stem) {
            return Err(Error::new(format!(
                "{name} is a reserved word of Rust, Cargo or PostgreSQL, or of the project"
            ))
            .cure(format!("cargo xtask new my-{name}")));
        }
        Ok(Self { name: name.to_owned(), stem })
    }

    /// Checks that no crate of the workspace or among its dependencies, and nothing in the database, has this name.
    pub fn is_free(&self, checkout: &Checkout) -> Result<()> {
        let Self { name, stem } = self;
        let lock = fs::read_to_string(checkout.path("Cargo.lock"))?;
        if [name, stem].iter().any(|name| lock.lines().any(|line| line == format!("name = \"{name}\""))) {
            return Err(Error::new(format!("Cargo.lock has a crate {name} already, so the name cannot be used again")));
        }
        let folder = checkout.path("migrations");
        for file in files::names(&folder)? {
            let text = fs::read_to_string(folder.join(&file))?;
            let made = [stem.clone(), format!("save_{stem}"), format!("list_{stem}"), format!("{stem}_object")];
            if let Some(taken) = made.iter().find(|made| creates(&text, made)) {
                return Err(Error::new(format!("migrations/{file} makes public.{taken} already")));
            }
        }
        Ok(())
    }

    /// A template with this name in it.
    pub fn fill(&self, template: &str) -> String {
        template.replace("{{name}}", &self.name).replace("{{stem}}", &self.stem)
    }
}

/// Whether a migration creates something of this name in `public`.
fn creates(migration: &str, name: &str) -> bool {
    migration.lines().filter(|line| line.starts_with("create ")).any(|line| {
        let after = line.split(&format!(" public.{name}")).nth(1);
        after.is_some_and(|after| !after.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    })
}

/// The nearest name that would do: `TryOut` and `try_out` become `try-out`.
fn suggestion(name: &str) -> Option<String> {
    let words = name.replace(|character: char| !character.is_ascii(), " ").to_kebab_case();
    Some(words).filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{Checkout, Name, creates};

    #[test]
    fn a_name_is_words_joined_by_hyphens() {
        for (name, stem) in [("notes", "notes"), ("try-out", "try_out"), ("v2-notes", "v2_notes")] {
            assert_eq!(Name::read(name).unwrap(), Name { name: name.into(), stem: stem.into() });
        }
        for (name, suggested) in [
            ("TryOut", "new try-out"),
            ("try_out", "new try-out"),
            ("-try--out-", "new try-out"),
            ("Größe", "new gr-e"),
            ("select", "new my-select"),
            ("type", "new my-type"),
        ] {
            let error = Name::read(name).unwrap_err().to_string();
            assert!(error.contains(suggested), "{name}: {error}");
        }
        for name in ["", "1", "../up", "a b\n", &"x".repeat(41)] {
            assert!(Name::read(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_in_use_is_refused() {
        let checkout = Checkout::here().unwrap();
        for name in ["chat-message", "shared", "serde", "serde-json", "sessions"] {
            assert!(Name::read(name).unwrap().is_free(&checkout).is_err(), "{name}");
        }
        Name::read("a-name-of-nothing").unwrap().is_free(&checkout).unwrap();
        let migration = "create table public.notes (\ncreate or replace function public.save_notes(id uuid)";
        assert!(creates(migration, "notes") && creates(migration, "save_notes"));
        assert!(!creates(migration, "note") && !creates(migration, "save"));
    }
}
