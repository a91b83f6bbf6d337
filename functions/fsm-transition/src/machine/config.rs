//! A machine file, read: the subset of an XState v5 config that a database can keep.
//!
//! Strict, because a typo that is ignored is a conversation that goes wrong: every name, type and duplicate that does
//! not belong is a fault, and all faults of a file are told at once.

use shared::members::{Members, items, string};
use shared::serde_json::{self, value::RawValue};

use super::Fault;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its name: `supportive-yarn`.
    pub id: String,
    /// From 1.
    pub version: u32,
    /// What people read about it.
    pub words: Words,
    /// The state a session begins in.
    pub initial: String,
    /// The line that says so.
    pub initial_line: usize,
    /// In the order of the file.
    pub states: Vec<State>,
}

/// `title` and `description` of a `meta`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// A few words, for pictures.
    pub title: Option<String>,
    /// A sentence or two.
    pub description: Option<String>,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its name: `support_people`.
    pub name: String,
    /// Where it stands.
    pub line: usize,
    /// What people read about it.
    pub words: Words,
    /// `"type": "final"`: the session is completed here.
    pub is_final: bool,
    /// `"step": true`: the response that leaves it is stored.
    pub is_step: bool,
    /// How many `unclear` a step takes; the last one moves on by force.
    pub max_attempts: Option<u32>,
    /// In the order of the file.
    pub events: Vec<Event>,
}

/// An event a state reacts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name: `next_step`.
    pub name: String,
    /// Tried one after the other, as XState does.
    pub branches: Vec<Branch>,
}

/// One move of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Where it stands.
    pub line: usize,
    /// The state it leads to.
    pub target: String,
    /// What must be true for it to be taken.
    pub guard: Option<String>,
}

impl Config {
    /// Every move: from, event, branch.
    pub fn moves(&self) -> impl Iterator<Item = (&State, &Event, &Branch)> {
        self.states.iter().flat_map(|state| {
            let events = state.events.iter();
            events.flat_map(move |event| event.branches.iter().map(move |branch| (state, event, branch)))
        })
    }

    /// Where a state stands in `states`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| state.name == name)
    }
}

/// Reads a file's text.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Fault>> {
    let mut reader = Reader { file, text, faults: Vec::new() };
    let config = match serde_json::from_str(text) {
        Ok(value) => reader.machine(value),
        Err(error) => {
            reader.fault_at(error.line(), "", format!("not JSON from column {} on", error.column()));
            None
        }
    };
    match config {
        Some(config) if reader.faults.is_empty() => Ok(config),
        _ => Err(reader.faults),
    }
}

/// The same JSON without the white space between its tokens.
pub fn minify(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    text.chars()
        .filter(|character| {
            let keep = in_string || !character.is_ascii_whitespace();
            in_string ^= *character == '"' && !escaped;
            escaped = in_string && *character == '\\' && !escaped;
            keep
        })
        .collect()
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
}

/// How large the numbers are that anyone could mean; the database's `integer` holds both.
const MOST_ATTEMPTS: u32 = 100;
const MOST_VERSIONS: u32 = 1_000_000;

/// How long the words are that fit a picture and a page.
const TITLE_CHARS: usize = 40;
const DESCRIPTION_CHARS: usize = 400;

impl<'a> Reader<'a> {
    fn machine(&mut self, value: &'a RawValue) -> Option<Config> {
        let object = self.object(value, "", "the machine", &["id", "version", "initial", "states", "meta"])?;
        let id = self.required(&object, value, "", "id").and_then(|id| self.string(id, "", "id"));
        let version = self.required(&object, value, "", "version").and_then(|version| self.version(version));
        let initial = self.required(&object, value, "", "initial");
        let initial_line = initial.map_or(1, |initial| self.line(initial));
        let initial = initial.and_then(|initial| self.string(initial, "", "initial"));
        let words = object.get("meta").map_or_else(Words::default, |meta| {
            let known = ["title", "description"];
            self.object(meta, "", "meta", &known).map_or_else(Words::default, |meta| self.words(&meta, ""))
        });
        let states = self.required(&object, value, "", "states").and_then(|states| self.states(states));
        Some(Config { id: id?, version: version?, words, initial: initial?, initial_line, states: states? })
    }

    /// XState's versions are strings.
    fn version(&mut self, value: &'a RawValue) -> Option<u32> {
        let version = string(value).and_then(|text| {
            let number = text.parse().ok().filter(|number| (1..=MOST_VERSIONS).contains(number))?;
            (text == number.to_string()).then_some(number)
        });
        if version.is_none() {
            self.fault(
                value,
                "",
                format!("version is {}; write a whole number from 1 as a string: \"1\"", value.get()),
            );
        }
        version
    }

    fn states(&mut self, value: &'a RawValue) -> Option<Vec<State>> {
        let object = self.named(value, "", "states")?;
        let states: Vec<_> = object.0.iter().map(|(name, value)| self.state(name, value)).collect();
        states.into_iter().collect()
    }

    fn state(&mut self, name: &str, value: &'a RawValue) -> Option<State> {
        let place = format!("state {name:?}");
        let object = self.object(value, &place, "a state", &["type", "on", "meta"])?;
        if let Some(kind) = object.get("type").filter(|kind| string(kind).as_deref() != Some("final")) {
            self.fault(kind, &place, format!("type is {}; it may be \"final\" or be left out", kind.get()));
        }
        let events = match object.get("on") {
            Some(on) => self.events(on, &place)?,
            None => Vec::new(),
        };
        let mut state = State {
            name: name.to_owned(),
            line: self.line(value),
            words: Words::default(),
            is_final: object.get("type").is_some(),
            is_step: false,
            max_attempts: None,
            events,
        };
        let known = ["title", "description", "step", "max_attempts"];
        if let Some(meta) = object.get("meta").and_then(|meta| self.object(meta, &place, "meta", &known)) {
            state.words = self.words(&meta, &place);
            if let Some(step) = meta.get("step") {
                state.is_step = serde_json::from_str(step.get()).unwrap_or_else(|_| {
                    self.fault(step, &place, format!("step is {}; it may be true or false", step.get()));
                    false
                });
            }
            if let Some(attempts) = meta.get("max_attempts") {
                state.max_attempts = attempts.get().parse().ok().filter(|number| (1..=MOST_ATTEMPTS).contains(number));
                if state.max_attempts.is_none() {
                    let text = attempts.get();
                    let what = format!("max_attempts is {text}; it may be a whole number from 1 to {MOST_ATTEMPTS}");
                    self.fault(attempts, &place, what);
                }
            }
        }
        Some(state)
    }

    fn events(&mut self, value: &'a RawValue, place: &str) -> Option<Vec<Event>> {
        let object = self.named(value, place, "on")?;
        let mut events = Vec::new();
        for (name, value) in &object.0 {
            let place = format!("{place}, event {name:?}");
            let branches = items(value).unwrap_or_else(|| vec![*value]);
            if branches.is_empty() {
                self.fault(value, &place, "the list of moves is empty".to_owned());
            }
            let branches: Vec<_> = branches.into_iter().map(|branch| self.branch(branch, &place)).collect();
            events.push(
                branches
                    .into_iter()
                    .collect::<Option<_>>()
                    .map(|branches| Event { name: name.clone().into_owned(), branches }),
            );
        }
        events.into_iter().collect()
    }

    /// A move: `{"target": "goals"}`, or `"goals"` for short.
    fn branch(&mut self, value: &'a RawValue, place: &str) -> Option<Branch> {
        let line = self.line(value);
        if let Some(target) = string(value) {
            return Some(Branch { line, target, guard: None });
        }
        let object = self.object(value, place, "a move", &["target", "guard"])?;
        let guard = match object.get("guard") {
            Some(guard) => Some(self.string(guard, place, "guard")?),
            None => None,
        };
        let target = self.required(&object, value, place, "target")?;
        Some(Branch { line, target: self.string(target, place, "target")?, guard })
    }

    fn words(&mut self, meta: &Members<'a>, place: &str) -> Words {
        let mut read = |name, limit| {
            let value = meta.get(name)?;
            let text = self.string(value, place, name)?;
            // Control characters have no place in a picture: XML cannot even say them.
            if text.trim().is_empty() || text.chars().count() > limit || text.chars().any(char::is_control) {
                let what = format!("{name} must be 1 to {limit} characters, none of them a control character");
                self.fault(value, place, what);
            }
            Some(text)
        };
        Words { title: read("title", TITLE_CHARS), description: read("description", DESCRIPTION_CHARS) }
    }

    /// An object whose names are fixed.
    fn object(&mut self, value: &'a RawValue, place: &str, what: &str, known: &[&str]) -> Option<Members<'a>> {
        let object = self.named(value, place, what)?;
        for (name, value) in &object.0 {
            if !known.contains(&&**name) {
                let known = known.join(", ");
                self.fault(value, place, format!("{what} has no {name:?} here; it may have {known}"));
            }
        }
        Some(object)
    }

    /// An object whose names are the author's.
    fn named(&mut self, value: &'a RawValue, place: &str, what: &str) -> Option<Members<'a>> {
        let Ok(object) = Members::parse(value.get()) else {
            self.fault(value, place, format!("{what} must be an object"));
            return None;
        };
        // The last of two: the first is the one that was there before.
        let is_second = |place: usize, name: &str| object.0.iter().take(place).any(|(earlier, _)| earlier == name);
        let second = object.0.iter().enumerate().rfind(|(place, (name, _))| is_second(*place, name));
        if let Some((_, (name, value))) = second {
            self.fault(value, place, format!("{what} has {name:?} twice"));
        }
        Some(object)
    }

    fn required(&mut self, object: &Members<'a>, owner: &'a RawValue, place: &str, name: &str) -> Option<&'a RawValue> {
        let value = object.get(name);
        if value.is_none() {
            self.fault(owner, place, format!("{name:?} is missing"));
        }
        value
    }

    fn string(&mut self, value: &'a RawValue, place: &str, name: &str) -> Option<String> {
        let string = string(value);
        if string.is_none() {
            self.fault(value, place, format!("{name} must be a string"));
        }
        string
    }

    fn fault(&mut self, value: &'a RawValue, place: &str, what: String) {
        self.fault_at(self.line(value), place, what);
    }

    fn fault_at(&mut self, line: usize, place: &str, what: String) {
        self.faults.push(Fault { file: self.file.to_owned(), line, place: place.to_owned(), what });
    }

    /// A value is a slice of the file's text: how far it is from the beginning tells the line.
    fn line(&self, value: &'a RawValue) -> usize {
        let at = value.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}
