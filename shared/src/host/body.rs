//! The body of a response.

use std::any::Any;
use std::fmt;

/// The body of a response. One that came from the database may stay with the host ([`Body::Held`]): it then goes to
/// the caller without a copy through the module's memory.
#[derive(Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// In memory.
    Bytes(Vec<u8>),
    /// With the host, whole or still on its way.
    Held(Box<dyn HeldBody>),
}

/// A body that stays with the host.
pub trait HeldBody {
    /// A copy of it, where it is whole; `None` of one that is still on its way.
    fn bytes(&self) -> Option<Vec<u8>>;

    /// Its first byte, and its last where it is whole.
    fn ends(&self) -> (Option<u8>, Option<u8>);

    /// For the host that made it.
    fn as_any(&self) -> &dyn Any;
}

impl Body {
    /// The bytes, copied out of the host if need be. A body that is still on its way has none yet: it is given back.
    pub fn into_bytes(self) -> Result<Vec<u8>, Self> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Bytes(bytes) => Ok(bytes),
            Self::Held(held) => held.bytes().ok_or(Self::Held(held)),
        }
    }

    /// Whether it begins and, where it is whole, ends as a JSON object does. PostgREST writes no white space around
    /// one. That tells an answer of the database's from a proxy's page and from half an answer, without reading it.
    pub fn is_json_object(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Bytes(bytes) => bytes.first() == Some(&b'{') && bytes.last() == Some(&b'}'),
            Self::Held(held) => matches!(held.ends(), (Some(b'{'), None | Some(b'}'))),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({:?})", String::from_utf8_lossy(bytes)),
            Self::Held(_) => f.write_str("Held"),
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::Body;

    #[test]
    fn an_object_is_known_by_its_ends() {
        for (text, is_object) in [
            ("{}", true),
            (r#"{"a":1}"#, true),
            ("[]", false),
            ("", false),
            (r#"{"a":"018f"#, false),
            ("<html>", false),
        ] {
            assert_eq!(Body::from(text).is_json_object(), is_object, "{text}");
        }
        assert!(!Body::Empty.is_json_object());
    }
}
