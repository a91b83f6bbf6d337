//! The OpenAPI 3.1 document of a function. Not in the wasm.
//!
//! Types and routes say most of it: paths, parameters, bodies, who may call, and every problem an operation can answer
//! with. What they cannot say is declared in the function's `openapi.rs` as an [`Api`]: words, successful responses,
//! examples, and the problems a handler makes itself. An operation without a declaration, or a declaration without an
//! operation, is a fault of the document.

mod document;
mod health;
mod problems;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::process::ExitCode;

use http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::request::Field;
use crate::request::schema::Fields;
use crate::upstream::DatabaseError;
pub use problems::{FIELD_CODES, FieldError};

/// Who may call an operation that looks at its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody who asks for nothing of anybody's; else a signed-in user.
    Public,
    /// A signed-in user.
    User,
    /// A signed-in user, or a visitor without a token.
    Anonymous,
}

/// What an operation's extractors say of it.
#[derive(Debug, Default)]
pub struct Described {
    /// Who may call it; `None` if it does not look at its caller.
    pub caller: Option<Access>,
    /// The fields it reads, if it reads any.
    pub reads: Option<Fields>,
    /// The media types of the body it reads, each with its JSON Schema. Without any, it reads no body.
    pub bodies: Vec<(&'static str, Value)>,
    /// Whether it calls the database.
    pub calls_database: bool,
}

/// A function's declaration.
pub struct Api {
    title: &'static str,
    description: &'static str,
    /// By method and route.
    operations: BTreeMap<(String, String), Operation>,
    /// Members of problems beyond those that every problem may have, with their JSON Schemas.
    members: BTreeMap<&'static str, Schema>,
    field_codes: &'static [&'static str],
    generator: SchemaGenerator,
}

/// An operation's declaration.
#[derive(Default)]
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: Vec<Value>,
    requests: Vec<(&'static str, &'static str, Value)>,
    answers: Vec<Answer>,
    problems: Vec<DatabaseError>,
}

/// A successful response.
pub struct Answer {
    status: u16,
    description: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    content: Vec<Content>,
}

/// The body of a response in one media type.
struct Content {
    media_type: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    example: Value,
}

/// Prints a document as a file of it is written, or else what is wrong with its declarations.
pub fn print(document: Result<Value, String>) -> ExitCode {
    match document {
        Ok(mut json) => {
            // The same text, whatever the features of another crate make of the order of members.
            json.sort_all_objects();
            println!("{json:#}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::FAILURE
        }
    }
}

impl Api {
    /// A function without operations.
    pub fn new(title: &'static str, description: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let (operations, members) = (BTreeMap::new(), BTreeMap::new());
        Self { title, description, operations, members, field_codes: &[], generator: settings.into_generator() }
    }

    /// Declares an operation. The path is that of the route.
    #[must_use]
    pub fn operation(mut self, method: Method, path: &str, operation: Operation) -> Self {
        self.operations.insert((method.to_string(), path.to_owned()), operation);
        self
    }

    /// Declares a member that problems may have. `T` may have a description.
    #[must_use]
    pub fn problem_member<T: JsonSchema>(mut self, name: &'static str, description: &'static str) -> Self {
        let mut schema = self.generator.subschema_for::<T>();
        schema.insert("description".to_owned(), json!(description));
        self.members.insert(name, schema);
        self
    }

    /// Declares the codes of faulty fields that only this function uses.
    #[must_use]
    pub fn field_codes(mut self, codes: &'static [&'static str]) -> Self {
        self.field_codes = codes;
        self
    }
}

impl Operation {
    /// An operation; `id` is the name that generated clients give it.
    pub fn new(id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..Self::default() }
    }

    /// More about it, in Markdown.
    #[must_use]
    pub fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// A header that is no part of a request type.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "header", "description": description, "schema": schema }));
        self
    }

    /// An example of a body.
    #[must_use]
    pub fn request(mut self, media_type: &'static str, name: &'static str, example: Value) -> Self {
        self.requests.push((media_type, name, example));
        self
    }

    /// A successful response.
    #[must_use]
    pub fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// A problem that the handler makes, beside those its extractors and its database function do.
    #[must_use]
    pub fn problem(mut self, problem: DatabaseError) -> Self {
        self.problems.push(problem);
        self
    }
}

impl Answer {
    /// A response without a body.
    pub fn empty(status: u16, description: &'static str) -> Self {
        Self { status, description, headers: Vec::new(), content: Vec::new() }
    }

    /// A response with a JSON body.
    pub fn json<T: JsonSchema>(status: u16, description: &'static str, example: Value) -> Self {
        Self::empty(status, description).or_as::<T>("application/json", example)
    }

    /// The same response in another media type.
    #[must_use]
    pub fn or_as<T: JsonSchema>(mut self, media_type: &'static str, example: Value) -> Self {
        self.content.push(Content { media_type, schema: SchemaGenerator::subschema_for::<T>, example });
        self
    }

    /// A header of it.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }
}

/// The type of a request's field, as a part of a response.
pub struct Wire<T>(PhantomData<T>);

impl<T: Field> JsonSchema for Wire<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<T>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::schema().try_into().unwrap_or_default()
    }
}
