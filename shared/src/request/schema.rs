//! What request types look like, for OpenAPI. Not in the wasm.

use serde_json::{Map, Value, json};

/// Where a field of a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The body with `Input<T>`, the query with `Query<T>`.
    Primary,
    /// The path.
    Path,
    /// The query.
    Query,
    /// As [`From::Primary`], or the header `Idempotency-Key`.
    IdempotencyKey,
    /// As [`From::Primary`], or the header `If-Match`.
    IfMatch,
}

/// A field of a request.
#[derive(Debug, Clone)]
pub struct FieldSchema {
    /// Its name.
    pub name: &'static str,
    /// The doc comment of the field.
    pub description: &'static str,
    /// Where it comes from.
    pub from: From,
    /// Whether it must be there.
    pub is_required: bool,
    /// The JSON Schema (2020-12) of its value.
    pub schema: Value,
}

impl FieldSchema {
    /// The JSON Schema with the description in it. A request type has its own.
    pub fn described(&self) -> Value {
        let mut schema = self.schema.clone();
        if let Some(members) = schema.as_object_mut().filter(|members| !members.contains_key("title")) {
            members.insert("description".to_owned(), json!(self.description));
        }
        schema
    }
}

/// The fields of a request.
pub type Fields = Vec<FieldSchema>;

/// The JSON Schema of an object with these fields and no others. An optional field may be null.
pub fn object<'a>(fields: impl Iterator<Item = &'a FieldSchema> + Clone) -> Value {
    let property = |field: &FieldSchema| {
        let schema = field.described();
        let schema = if field.is_required { schema } else { nullable(schema) };
        (field.name.to_owned(), schema)
    };
    let required: Vec<_> = fields.clone().filter(|field| field.is_required).map(|field| field.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(fields.map(property).collect()));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    Value::Object(schema)
}

/// The JSON Schema of a body with those of these fields that come from it.
pub fn body(fields: &Fields) -> Value {
    object(fields.iter().filter(|field| !matches!(field.from, From::Path | From::Query)))
}

/// The same schema with a title, by which the document refers to it, and a description.
pub fn titled(title: &str, description: &str, mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert("title".to_owned(), json!(title));
        members.insert("description".to_owned(), json!(description));
    }
    schema
}

/// The same schema, or null.
fn nullable(mut schema: Value) -> Value {
    if schema.get("title").is_some() {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    }
    if let Some(members) = schema.as_object_mut() {
        if let Some(kind) = members.get_mut("type") {
            *kind = json!([kind.clone(), "null"]);
        }
        if let Some(Value::Array(words)) = members.get_mut("enum") {
            words.push(Value::Null);
        }
    }
    schema
}
