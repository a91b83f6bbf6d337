//! A machine as a migration: rows for the tables by which the database decides.

use super::{FOLDER, Machine, check::ATTEMPTS_EXHAUSTED};

/// What the migration's file is called after its time: `machine_check_in_v1.sql`.
pub fn name(machine: &Machine) -> String {
    format!("machine_{}_v{}.sql", machine.config.id.replace('-', "_"), machine.config.version)
}

/// Whether a file of `migrations/` is the one of this machine, whatever its time.
pub fn is_of(machine: &Machine, file: &str) -> bool {
    file.split_once('_').is_some_and(|(_, rest)| rest == name(machine))
}

/// The migration. Run again it changes nothing: a version, once written, stays as it is.
pub fn migration(machine: &Machine) -> String {
    let config = &machine.config;
    let key = format!("{}, {}", literal(&config.id), config.version);
    let states = config.states.iter().map(|state| {
        let attempts = state.max_attempts.map_or_else(|| "null".to_owned(), |attempts| attempts.to_string());
        format!("({key}, {}, {}, {}, {attempts})", literal(&state.name), state.is_final, state.is_step)
    });
    let moves = config.moves().map(|(from, event, branch)| {
        let forced = branch.guard.as_deref() == Some(ATTEMPTS_EXHAUSTED);
        let (from, event, to) = (literal(&from.name), literal(&event.name), literal(&branch.target));
        format!("({key}, {from}, {event}, {to}, {forced})")
    });
    format!(
        "-- The machine {id}, version {version}. Generated from {FOLDER}/{file}\n\
         -- by `cargo xtask machines`. Do not edit: sessions stay on the version of their first move, so a change is a new\n\
         -- version. See docs/machines.md.\n\
         set local lock_timeout = '5s';\n\n\
         insert into public.fsm_machines (machine, machine_version, initial, definition) values\n  \
         ({key}, {initial}, {definition}::jsonb)\n\
         on conflict do nothing;\n\n\
         insert into public.fsm_states (machine, machine_version, state, is_final, is_step, max_attempts) values\n  \
         {states}\n\
         on conflict do nothing;\n\n\
         insert into public.fsm_transitions (machine, machine_version, from_state, event, to_state, forced) values\n  \
         {moves}\n\
         on conflict do nothing;\n",
        id = config.id,
        version = config.version,
        file = machine.file,
        initial = literal(&config.initial),
        definition = literal(&machine.definition),
        states = states.collect::<Vec<_>>().join(",\n  "),
        moves = moves.collect::<Vec<_>>().join(",\n  "),
    )
}

/// A string as SQL writes it, backslashes being themselves (`standard_conforming_strings`).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
