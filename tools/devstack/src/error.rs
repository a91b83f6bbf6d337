//! One error type: what went wrong, and what to do about it.

use std::fmt;

/// A failure as the person at the keyboard should read it.
#[derive(Debug, Clone)]
pub struct Error {
    what: String,
    cure: Option<String>,
}

/// A result whose error is ready to be read.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cure: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.cure {
            Some(cure) => write!(f, "\n  try: {}", cure.replace('\n', "\n       ")),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::new(why(&error))
    }
}

/// What PostgreSQL itself said, where it did.
pub fn why(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        None => error.to_string(),
        Some(said) => {
            let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}]{hint}", said.message(), said.code().code())
        }
    }
}

/// Puts what was being done in front of an error from below.
pub trait Context<T> {
    /// `{what}: {the error below}`.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(format!("{}: {error}", what())))
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn says_what_is_wrong_and_what_to_do() {
        let error = Error::new("port 1 is taken").cure("stop it\nor move");
        assert_eq!(error.to_string(), "error: port 1 is taken\n  try: stop it\n       or move");
    }
}
