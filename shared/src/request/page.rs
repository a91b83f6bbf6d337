//! Reading a page's `limit` and `before`.

use serde::ser::{SerializeMap, Serializer};

use super::draft::{Draft, Params, Parts, ReadFields, Source};
use super::fault::{At, Faults};
use super::number::Within;
use super::value::{Field, Value};
use crate::answer::{Cursor, Fault, MAX_LIMIT, Page};

const NOT_A_CURSOR: Fault = Fault::new("invalid_cursor", "must be the next of an earlier page");

/// A cursor, read from the text a client got as `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorField<C>(pub C);

impl<C: Cursor> Field for CursorField<C> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        C::decode(&value.string()?).map(Self).ok_or(NOT_A_CURSOR)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" })
    }
}

/// A [`Page`] while it is read.
#[derive(Debug)]
pub struct PageDraft<C> {
    /// At most so many items.
    pub limit: Draft<Within<MAX_LIMIT>>,
    /// The `next` of the page before.
    pub before: Draft<CursorField<C>>,
}

impl<C> Default for PageDraft<C> {
    fn default() -> Self {
        Self { limit: Draft::Missing, before: Draft::Missing }
    }
}

impl<C: Cursor> ReadFields for PageDraft<C> {
    type Output = Page<C>;

    fn set(&mut self, source: Source, name: &str, value: Value<'_>, at: &At<'_>, faults: &mut Faults) -> bool {
        match (name, source) {
            ("limit", Source::Primary) => self.limit.read(value, at, faults),
            ("before", Source::Primary) => self.before.read(value, at, faults),
            _ => return false,
        }
        true
    }

    fn set_path(&mut self, _: &mut Params<'_>, _: &mut Faults) {}

    fn set_headers(&mut self, _: &Parts<'_>, _: &mut Faults) {}

    fn require(&self, _: &At<'_>, _: &mut Faults) {}

    fn finish(self) -> Option<Page<C>> {
        let limit = self.limit.optional()?.map(|Within(limit)| limit);
        Some(Page { limit, before: self.before.optional()?.map(|CursorField(place)| place) })
    }
}

/// A request type that another one may contain by `#[request(flatten)]`.
pub trait Flatten {
    /// Its draft.
    type Draft: ReadFields<Output = Self>;

    /// Whether it has a rule across fields. Such a struct cannot be flattened, because nothing would ask its rule.
    const HAS_CHECK: bool = false;

    /// The JSON Schema of it as a body.
    #[cfg(not(target_arch = "wasm32"))]
    fn body_schema() -> serde_json::Value {
        super::schema::body(&Self::fields())
    }

    /// Its fields, for OpenAPI.
    #[cfg(not(target_arch = "wasm32"))]
    fn fields() -> super::schema::Fields;

    /// Writes its members as parameters of a database function.
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// Writes a request type as the parameters of a database function.
pub fn serialize<T: Flatten, Z: Serializer>(value: &T, serializer: Z) -> Result<Z::Ok, Z::Error> {
    let mut map = serializer.serialize_map(None)?;
    value.entries(&mut map)?;
    map.end()
}

impl<C: Cursor> Flatten for Page<C> {
    type Draft = PageDraft<C>;

    #[cfg(not(target_arch = "wasm32"))]
    fn fields() -> super::schema::Fields {
        use super::schema::{FieldSchema, From};
        vec![
            FieldSchema {
                name: "limit",
                description: "At most so many items; 50 if not given. A page also ends at about 1 MiB.",
                from: From::Primary,
                is_required: false,
                schema: Within::<MAX_LIMIT>::schema(),
            },
            FieldSchema {
                name: "before",
                description: "The `next` of the page before.",
                from: From::Primary,
                is_required: false,
                schema: CursorField::<C>::schema(),
            },
        ]
    }

    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(limit) = self.limit {
            map.serialize_entry("limit", &limit)?;
        }
        self.before.iter().try_for_each(|place| place.entries(map))
    }
}
