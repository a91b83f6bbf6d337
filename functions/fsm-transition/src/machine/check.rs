//! What makes a well-formed file a machine nobody gets stuck in.

use super::{
    Fault,
    config::{Branch, Config, Event, State},
};

/// The one guard there is: this attempt is the last the step takes.
pub const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

/// The event that counts an attempt.
pub const UNCLEAR: &str = "unclear";

/// Everything wrong with a machine, in the order of its file.
pub fn check(file: &str, config: &Config) -> Vec<Fault> {
    let mut checker = Checker { file, config, faults: Vec::new() };
    checker.identity();
    checker.initial();
    for state in &config.states {
        checker.state(state);
        for event in &state.events {
            checker.event(state, event);
        }
    }
    checker.paths();
    let mut faults = checker.faults;
    faults.sort_by_key(|fault| fault.line);
    faults
}

struct Checker<'a> {
    file: &'a str,
    config: &'a Config,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    fn identity(&mut self) {
        let Config { id, version, .. } = self.config;
        if !is_name(id, '-') {
            self.fault(1, "", format!("the id {id:?} does not match ^[a-z][a-z0-9-]{{0,63}}$"));
        }
        let name = if *version == 1 { format!("{id}.json") } else { format!("{id}@{version}.json") };
        if self.file != name {
            self.fault(1, "", format!("version {version} of {id:?} belongs into a file of the name {name}"));
        }
    }

    fn initial(&mut self) {
        let Config { initial, initial_line, .. } = self.config;
        match self.config.states.iter().find(|state| state.name == *initial) {
            None => self.fault(*initial_line, "", format!("initial: {}", self.unknown(initial))),
            Some(state) if state.is_final => {
                self.fault(
                    *initial_line,
                    &place(state),
                    "is initial and final: a session would end as it begins".into(),
                );
            }
            Some(_) => {}
        }
    }

    fn state(&mut self, state: &State) {
        let mut fault = |what: &str| self.fault(state.line, &place(state), what.to_owned());
        if !is_name(&state.name, '_') {
            fault("its name does not match ^[a-z][a-z0-9_]{0,63}$");
        }
        if state.is_final && !state.events.is_empty() {
            fault("is final, so it cannot have transitions");
        }
        if state.is_final && state.is_step {
            fault("is final, so it cannot be a step: a step's response is stored when it is left");
        }
        if !state.is_final && state.events.is_empty() {
            fault("is a dead end: it has no transitions and is not final");
        }
        if state.max_attempts.is_some() && !state.is_step {
            fault("has max_attempts but is no step");
        }
        let guarded = state.events.iter().flat_map(|event| &event.branches).any(|branch| branch.guard.is_some());
        if state.max_attempts.is_some() && state.is_step && !guarded {
            fault("has max_attempts, but no move with the guard attempts_exhausted uses it");
        }
        if state.max_attempts.is_none() && guarded {
            fault("has the guard attempts_exhausted, but its meta has no max_attempts");
        }
    }

    fn event(&mut self, state: &State, event: &Event) {
        let here = format!("{}, event {:?}", place(state), event.name);
        let line = event.branches.first().map_or(state.line, |branch| branch.line);
        if !is_name(&event.name, '_') {
            self.fault(line, &here, "its name does not match ^[a-z][a-z0-9_]{0,63}$".into());
        }
        if event.name == UNCLEAR && !state.is_step {
            self.fault(line, &here, "unclear counts an attempt, so it belongs into a step".into());
        }
        for branch in &event.branches {
            if self.config.position(&branch.target).is_none() {
                self.fault(branch.line, &here, self.unknown(&branch.target));
            }
            match branch.guard.as_deref() {
                None => {}
                Some(ATTEMPTS_EXHAUSTED) if !state.is_step => {
                    self.fault(branch.line, &here, "the guard attempts_exhausted belongs into a step".into());
                }
                Some(ATTEMPTS_EXHAUSTED) if event.name != UNCLEAR => {
                    let what = "the guard attempts_exhausted belongs to unclear, the event that counts attempts";
                    self.fault(branch.line, &here, what.into());
                }
                Some(ATTEMPTS_EXHAUSTED) => {}
                Some(guard) => {
                    let what = format!("there is no guard {guard:?}; the one there is: {ATTEMPTS_EXHAUSTED}");
                    self.fault(branch.line, &here, what);
                }
            }
        }
        self.branches(&here, &event.branches);
    }

    /// At most one guarded move, then exactly one that needs no guard.
    fn branches(&mut self, here: &str, branches: &[Branch]) {
        let (Some(last), Some(first)) = (branches.last(), branches.first()) else { return };
        if last.guard.is_some() {
            self.fault(last.line, here, "no move without a guard comes after the guarded one".into());
        } else if let Some(early) = branches.iter().rev().skip(1).find(|branch| branch.guard.is_none()) {
            self.fault(early.line, here, "this move has no guard, so those after it are never taken".into());
        } else if branches.len() > 2 {
            self.fault(first.line, here, "has several guarded moves; the first hides the others".into());
        }
    }

    /// Every state can be reached, and from every state an end.
    fn paths(&mut self) {
        if !self.config.states.iter().any(|state| state.is_final) {
            return self.fault(
                1,
                "",
                "no state is final: write \"type\": \"final\" where a session is completed".into(),
            );
        }
        let moves: Vec<_> = self
            .config
            .moves()
            .filter_map(|(from, _, branch)| {
                Some((self.config.position(&from.name)?, self.config.position(&branch.target)?))
            })
            .collect();
        let back: Vec<_> = moves.iter().map(|(from, to)| (*to, *from)).collect();
        let ends = (0..self.config.states.len()).filter(|place| self.is_final(*place));
        let leading_to_an_end = reach(&back, ends.collect());
        if let Some(initial) = self.config.position(&self.config.initial) {
            let reached = reach(&moves, vec![initial]);
            for (index, state) in self.config.states.iter().enumerate() {
                if !reached.contains(&index) {
                    self.fault(state.line, &place(state), format!("cannot be reached from {:?}", self.config.initial));
                }
            }
        }
        for (index, state) in self.config.states.iter().enumerate() {
            if !leading_to_an_end.contains(&index) && !state.events.is_empty() {
                self.fault(state.line, &place(state), "is a dead end: no final state can be reached from it".into());
            }
        }
    }

    fn is_final(&self, place: usize) -> bool {
        self.config.states.get(place).is_some_and(|state| state.is_final)
    }

    fn unknown(&self, name: &str) -> String {
        let states: Vec<_> = self.config.states.iter().map(|state| state.name.as_str()).collect();
        format!("there is no state {name:?}; there are {}", states.join(", "))
    }

    fn fault(&mut self, line: usize, place: &str, what: String) {
        self.faults.push(Fault { file: self.file.to_owned(), line, place: place.to_owned(), what });
    }
}

fn place(state: &State) -> String {
    format!("state {:?}", state.name)
}

/// A small letter, then up to 63 small letters, digits and separators.
fn is_name(text: &str, separator: char) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator)
}

/// Everything that can be reached over `moves`.
fn reach(moves: &[(usize, usize)], mut reached: Vec<usize>) -> Vec<usize> {
    let mut next = 0;
    while let Some(here) = reached.get(next).copied() {
        for (_, to) in moves.iter().filter(|(from, _)| *from == here) {
            if !reached.contains(to) {
                reached.push(*to);
            }
        }
        next += 1;
    }
    reached
}
