//! The OpenAPI document of a function. Not in the wasm.

use crate::request::Primary;
use crate::request::schema::Fields;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Anybody who asks for nothing of anybody's; else a signed-in user.
    #[default]
    Public,
    /// A signed-in user.
    User,
    /// A signed-in user, or a visitor without a token.
    Anonymous,
}

/// What an operation's extractors say of it.
#[derive(Debug, Default)]
pub struct Described {
    /// Who may call it.
    pub caller: Access,
    /// What it reads.
    pub reads: Option<(Primary, Fields)>,
}

impl Described {
    /// Notes what it reads.
    pub fn read(&mut self, primary: Primary, fields: Fields) {
        self.reads = Some((primary, fields));
    }
}
