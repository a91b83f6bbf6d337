//! The simulation: the functions run in a world whose every accident a seed decides.
//!
//! Real routes, handlers and the real [`Edge`](shared::edge::Edge) stand on a simulated host, in virtual time, with many
//! callers at once. Behind them is a small model of the database, and of the issuer of tokens. After every step the rules
//! are checked that must hold whatever happens; `docs/fuzzing.md` lists them. The same seed gives the same world, so a rule
//! that is broken once is broken again.

mod conditions;
mod database;
mod host;
mod isolate;
mod issuer;
mod judge;
mod life;
mod network;
mod plan;
mod scheduler;
mod task;
mod trace;
mod wire;
mod world;

pub use world::Outcome;

/// Runs the world of a seed. With a trace it says what happened last.
pub fn run(seed: u64, is_traced: bool) -> Outcome {
    world::World::new(seed, is_traced).run_to_end()
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn the_same_seed_gives_the_same_world() {
        let fingerprint = |seed, is_traced| run(seed, is_traced).fingerprint;
        for seed in 1..5 {
            assert_eq!(fingerprint(seed, false), fingerprint(seed, true));
        }
        assert_ne!(fingerprint(1, false), fingerprint(2, false));
    }
}
