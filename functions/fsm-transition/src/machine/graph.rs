//! A machine as its diagrams see it: which arrows there are, and which state stands below which.

use super::{check::ATTEMPTS_EXHAUSTED, config::Config};

/// Moves between the same two states, drawn as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Where they begin, as a place in `states`.
    pub from: usize,
    /// Where they end.
    pub to: usize,
    /// Whether they are taken by force.
    pub forced: bool,
    /// `next_step`; `unclear ×2` for the second; several with a slash between.
    pub label: String,
}

/// A machine's moves, those between the same states joined.
pub fn joined_moves(config: &Config) -> Vec<Joined> {
    let mut all: Vec<Joined> = Vec::new();
    for (state, event, branch) in config.moves() {
        let (Some(from), Some(to)) = (config.position(&state.name), config.position(&branch.target)) else { continue };
        let forced = branch.guard.as_deref() == Some(ATTEMPTS_EXHAUSTED);
        let label = match state.max_attempts.filter(|_| forced) {
            Some(attempts) => format!("{} ×{attempts}", event.name),
            None => event.name.clone(),
        };
        match all.iter_mut().find(|joined| (joined.from, joined.to, joined.forced) == (from, to, forced)) {
            Some(joined) => joined.label = format!("{} / {label}", joined.label),
            None => all.push(Joined { from, to, forced, label }),
        }
    }
    all
}

/// Each state's layer, from 0: one more than the lowest of those that lead to it, moves back left aside.
pub fn layers(config: &Config, moves: &[Joined]) -> Vec<i32> {
    let mut walk = Walk { moves, seen: vec![false; config.states.len()], done: Vec::new() };
    if let Some(initial) = config.position(&config.initial) {
        walk.visit(initial);
    }
    let mut layers = vec![0; config.states.len()];
    // A state is done after all it leads to, but for those it leads back to. So the last comes first here.
    for (rank, from) in walk.done.iter().enumerate().rev() {
        let below = layers.get(*from).map_or(0, |layer| layer + 1);
        for joined in moves.iter().filter(|joined| joined.from == *from) {
            let forward = walk.done.iter().take(rank).any(|earlier| *earlier == joined.to);
            if let Some(layer) = layers.get_mut(joined.to).filter(|_| forward) {
                *layer = below.max(*layer);
            }
        }
    }
    layers
}

/// A walk into the depth; `done` are the states in the order they were left.
struct Walk<'a> {
    moves: &'a [Joined],
    seen: Vec<bool>,
    done: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, here: usize) {
        let Some(seen) = self.seen.get_mut(here) else { return };
        if std::mem::replace(seen, true) {
            return;
        }
        for joined in self.moves.iter().filter(|joined| joined.from == here) {
            self.visit(joined.to);
        }
        self.done.push(here);
    }
}
