//! What a function answers requests with; made once per isolate.

use std::rc::Rc;

use crate::answer::{Problem, code};
use crate::auth::Authenticator;
use crate::config::{Config, Variables};
use crate::host::Host;
use crate::upstream::{Breaker, Upstream};

/// The host, the configuration, and what stands on them.
pub(super) struct Services<S> {
    pub(super) host: Rc<dyn Host>,
    pub(super) config: Rc<Config>,
    /// Configuration of the function's own.
    pub(super) settings: S,
    /// Names of the variables that are missing or wrong: with any, only `/health` works.
    faulty: Vec<&'static str>,
    pub(super) authenticator: Authenticator,
    pub(super) upstream: Rc<Upstream>,
}

impl<S> Services<S> {
    /// Reads the configuration.
    pub(super) fn new(
        host: Rc<dyn Host>,
        settings: fn(&mut Variables) -> S,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let mut variables = Variables::new(lookup);
        let config = Rc::new(Config::read(&mut variables));
        let authenticator = Authenticator::new(Rc::clone(&host), Rc::clone(&config), &mut variables);
        let settings = settings(&mut variables);
        let faulty = variables.faulty().to_vec();
        let breaker = Rc::<Breaker>::default();
        let upstream = Rc::new(Upstream { host: Rc::clone(&host), config: Rc::clone(&config), breaker });
        Self { host, config, settings, faulty, authenticator, upstream }
    }

    /// Names the variables at fault, never their values.
    pub(super) fn check_configuration(&self) -> Result<(), Problem> {
        if self.faulty.is_empty() {
            return Ok(());
        }
        let names = self.faulty.join(", ");
        Err(Problem::new(&code::MISCONFIGURED, format!("Missing or wrong: {names}. See docs/configuration.md.")))
    }
}
