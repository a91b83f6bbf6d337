//! A machine's file, as the scenarios read it: the expectation, independent of the code under test.

use serde_json::Value;

use crate::stack::repository;

/// A machine in `functions/fsm-transition/machines/`.
#[derive(Debug, Clone)]
pub struct MachineFile(pub Value);

impl MachineFile {
    /// Reads `<id>.json`.
    pub fn read(id: &str) -> Self {
        let path = repository().join(format!("functions/fsm-transition/machines/{id}.json"));
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// The state a session begins in.
    pub fn initial(&self) -> &str {
        self.0["initial"].as_str().unwrap()
    }

    /// Every state.
    pub fn states(&self) -> Vec<String> {
        self.0["states"].as_object().unwrap().keys().cloned().collect()
    }

    /// Every event any state takes.
    pub fn events(&self) -> Vec<String> {
        let mut events: Vec<String> = self.states().iter().flat_map(|state| self.allowed(state)).collect();
        events.sort();
        events.dedup();
        events
    }

    /// The events a state takes, sorted.
    pub fn allowed(&self, state: &str) -> Vec<String> {
        let on = self.0["states"][state]["on"].as_object();
        let mut events: Vec<String> = on.map(|on| on.keys().cloned().collect()).unwrap_or_default();
        events.sort();
        events
    }

    /// Whether a state is a step.
    pub fn is_step(&self, state: &str) -> bool {
        self.0["states"][state]["meta"]["step"] == true
    }

    /// Whether an event counts as an attempt in a state: it has a guarded branch.
    pub fn is_attempt(&self, state: &str, event: &str) -> bool {
        self.branches(state, event).iter().any(|branch| branch["guard"].is_string())
    }

    /// Where an event leads, unless the attempts are exhausted.
    pub fn target(&self, state: &str, event: &str) -> Option<String> {
        let branches = self.branches(state, event);
        branches
            .iter()
            .find(|branch| branch["guard"].is_null())
            .map(|branch| branch.as_str().or_else(|| branch["target"].as_str()).unwrap_or(state).to_owned())
    }

    fn branches(&self, state: &str, event: &str) -> Vec<Value> {
        match &self.0["states"][state]["on"][event] {
            Value::Null => Vec::new(),
            Value::Array(branches) => branches.clone(),
            one => vec![one.clone()],
        }
    }
}
