//! What is fed, each with the rules that what comes of it must keep: `docs/fuzzing.md`.

/// Returns an error unless a rule holds. Up to the first colon it names the rule.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

mod cursors;
mod objects;
mod reference;
mod request;
mod sent;
mod token;
mod upstream;
mod values;

use crate::engine::Target;

/// All of them.
pub(crate) const ALL: [Target; 10] = [
    Target { name: "token", run: token::run },
    Target { name: "chat-message", run: request::run },
    Target { name: "fsm-transition", run: request::run },
    Target { name: "analytics", run: request::run },
    Target { name: "upstream", run: upstream::run },
    Target { name: "cursors", run: cursors::run },
    Target { name: "objects", run: objects::run },
    Target { name: "uuid", run: values::uuid },
    Target { name: "date-time", run: values::date_time },
    Target { name: "numbers", run: values::numbers },
];
