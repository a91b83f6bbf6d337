//! Faults, and the places where they are.

use crate::answer::problem::push_token;
use crate::answer::{Fault, FieldError};

/// What a value gets that should be an array.
pub(super) const NOT_AN_ARRAY: Fault = Fault::new("wrong_type", "must be an array");

/// What a value gets that should be an object.
pub const NOT_AN_OBJECT: Fault = Fault::new("wrong_type", "must be a JSON object");

/// Every fault found so far.
pub type Faults = Vec<FieldError>;

/// Notes a fault at a place.
pub fn push(faults: &mut Faults, at: &At<'_>, fault: Fault) {
    faults.push(FieldError { pointer: at.pointer(), fault });
}

/// A place in the body. Its JSON Pointer (RFC 6901) is only written if there is a fault at it.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The body itself.
    Root,
    /// A member of the object at a place.
    Member(&'a At<'a>, &'a str),
    /// An item of the array at a place.
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    /// A member of the object here.
    pub fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    /// An item of the array here.
    pub fn item(&'a self, place: usize) -> Self {
        Self::Item(self, place)
    }

    /// The JSON Pointer.
    pub fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(at, name) => {
                let mut pointer = at.pointer();
                push_token(&mut pointer, name);
                pointer
            }
            Self::Item(at, place) => format!("{}/{place}", at.pointer()),
        }
    }
}
