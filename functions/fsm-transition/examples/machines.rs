//! `cargo xtask machines`: what is made of the files in `machines/` and committed.
//!
//! A migration for each machine, once; a picture for the docs, each time. A faulty machine stops this before it begins:
//! the crate does not build, and cargo shows the faults. It runs in the repository's root.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::{fs, path::Path, process::ExitCode};

use fsm_transition::machine::{self, FOLDER, Machine, layout::Layout, migration, svg};

/// What is wrong, and what to do about it.
type Result<T> = std::result::Result<T, String>;

/// Where the migrations are.
const MIGRATIONS: &str = "migrations";
/// Where the docs' pictures are.
const PICTURES: &str = "docs/machines";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Checks the machines, writes what is missing, and says what it did.
fn run() -> Result<()> {
    let machines = machine::read_folder(Path::new(FOLDER)).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        format!("{}\n  docs/machines.md says what a machine may be", faults.join("\n  "))
    })?;
    for machine in &machines {
        println!("{}", write_migration(Path::new(MIGRATIONS), machine)?);
    }
    for machine in &machines {
        println!("{}", write_picture(Path::new(PICTURES), machine)?);
    }
    Ok(())
}

/// Writes the machine's migration, unless it is there. One that is there stays: databases may have run it.
fn write_migration(folder: &Path, machine: &Machine) -> Result<String> {
    let files = files(folder)?;
    let wanted = migration::migration(machine);
    if let Some(file) = files.iter().find(|file| migration::is_of(machine, file)) {
        if read(&folder.join(file))? == wanted {
            return Ok(format!("unchanged  {MIGRATIONS}/{file}"));
        }
        let (id, next) = (&machine.config.id, machine.config.version + 1);
        return Err(format!(
            "{FOLDER}/{} is no longer what {MIGRATIONS}/{file} says.\n\
             A machine that is in use does not change: undo the change there, and make it in {id}@{next}.json, with \
             \"version\": \"{next}\"; sessions stay on the version of their first move.\n\
             If no database has run the migration yet, delete it and run `cargo xtask machines` again.",
            machine.file
        ));
    }
    let file = format!("{}_{}", time_after(&files)?, migration::name(machine));
    write(&folder.join(&file), &wanted)?;
    Ok(format!("written    {MIGRATIONS}/{file}"))
}

fn write_picture(folder: &Path, machine: &Machine) -> Result<String> {
    let file = machine.file.replace(".json", ".svg");
    let path = folder.join(&file);
    let wanted = svg::svg(&machine.config, &Layout::of(&machine.config));
    if fs::read_to_string(&path).is_ok_and(|text| text == wanted) {
        return Ok(format!("unchanged  {PICTURES}/{file}"));
    }
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    write(&path, &wanted)?;
    Ok(format!("written    {PICTURES}/{file}"))
}

/// The minute after the last migration, `YYYYMMDDHHMMSS`: migrations run in order, and one that is new must not come
/// before one that a database has run already.
fn time_after(files: &[String]) -> Result<String> {
    let last = files.iter().filter_map(|file| file.split_once('_')?.0.parse::<u64>().ok()).max();
    let last = last.ok_or_else(|| format!("{MIGRATIONS} holds no migration to come after"))?;
    let (day, hour, minute) = (last / 1_000_000, last / 10_000 % 100, last / 100 % 100);
    match (hour, minute) {
        (_, ..59) => Ok(format!("{day}{hour:02}{:02}00", minute + 1)),
        (..23, _) => Ok(format!("{day}{:02}0000", hour + 1)),
        _ => Err(format!(
            "the last migration, {last}, leaves no minute of its day to come after: give it another time if no \
             database has run it yet"
        )),
    }
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let mut files: Vec<_> =
        entries.filter_map(|entry| entry.ok()).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{machine::Machine, time_after, write_migration, write_picture};
    use std::{fs, path::PathBuf};

    const CHECK_IN: &str = include_str!("../machines/check-in.json");

    /// An empty folder that goes when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("selvedge-machines-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn check_in() -> Machine {
        Machine::parse("check-in.json", CHECK_IN).unwrap()
    }

    #[test]
    fn a_migration_is_written_once_and_after_all_others() {
        let folder = Folder::new("once");
        fs::write(folder.0.join("20261122085900_chat.sql"), "").unwrap();
        let file = "migrations/20261122090000_machine_check_in_v1.sql";
        assert_eq!(write_migration(&folder.0, &check_in()).unwrap(), format!("written    {file}"));
        assert_eq!(write_migration(&folder.0, &check_in()).unwrap(), format!("unchanged  {file}"));
        let second = CHECK_IN.replace("\"version\": \"1\"", "\"version\": \"2\"");
        let second = Machine::parse("check-in@2.json", &second).unwrap();
        let file = "migrations/20261122090100_machine_check_in_v2.sql";
        assert_eq!(write_migration(&folder.0, &second).unwrap(), format!("written    {file}"));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 3);
    }

    #[test]
    fn a_migration_that_is_there_is_never_rewritten() {
        let folder = Folder::new("never");
        let path = folder.0.join("20261122080100_machine_check_in_v1.sql");
        fs::write(&path, "select 1;").unwrap();
        let error = write_migration(&folder.0, &check_in()).unwrap_err().to_string();
        assert!(error.contains("check-in@2.json") && error.contains("\"version\": \"2\""), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "select 1;");
    }

    #[test]
    fn a_picture_follows_its_machine() {
        let folder = Folder::new("picture");
        fs::write(folder.0.join("check-in.svg"), "old").unwrap();
        assert_eq!(write_picture(&folder.0, &check_in()).unwrap(), "written    docs/machines/check-in.svg");
        assert_eq!(write_picture(&folder.0, &check_in()).unwrap(), "unchanged  docs/machines/check-in.svg");
    }

    #[test]
    fn times_go_on_minute_by_minute() {
        let after = |file: &str| time_after(&["20260101000000_a.sql".into(), file.into(), "README.md".into()]);
        assert_eq!(after("20261122080000_b.sql").unwrap(), "20261122080100");
        assert_eq!(after("20261122085959_b.sql").unwrap(), "20261122090000");
        assert!(after("20261122235900_b.sql").is_err());
        assert!(time_after(&[]).is_err());
    }
}
