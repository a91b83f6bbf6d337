//! The document, made of a function's routes and its declaration.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::problems::{self, FieldError, common_headers};
use super::{Answer, Api, Described, Operation, health};
use crate::answer::Code;
use crate::answer::problem::RETRY_AFTER_MEMBER;
use crate::edge::route::Function;
use crate::request::schema::{FieldSchema, From};
use crate::upstream::DatabaseError;

/// What the parts of the document have in common while it is made.
struct Builder {
    api: Api,
    /// The schemas of request types, by name.
    request_types: Map<String, Value>,
    /// Responses with nothing but codes of every function, by name.
    responses: Map<String, Value>,
    paths: BTreeMap<String, Map<String, Value>>,
    faults: Vec<String>,
}

impl Api {
    /// The document of a function, or everything that is wrong with its declaration, a line for each fault.
    pub fn document<S>(mut self, function: &Function<S>) -> Result<Value, String> {
        self.operations.extend([health::declared(function)]);
        let mut builder = Builder {
            api: self,
            request_types: Map::new(),
            responses: Map::new(),
            paths: BTreeMap::new(),
            faults: Vec::new(),
        };
        for route in &function.routes {
            for operation in &route.methods {
                let mut described = Described::default();
                (operation.describe)(&mut described);
                builder.operation(&operation.method, route.path, described, operation.raises);
            }
        }
        builder.operation(&Method::GET, &health::path(), health::described(), &[]);
        builder.finish(function)
    }
}

impl Builder {
    fn operation(&mut self, method: &Method, path: &str, mut described: Described, raises: &[DatabaseError]) {
        let Some(declared) = self.api.operations.remove(&(method.to_string(), path.to_owned())) else {
            return self.faults.push(format!("{method} {path} has no declaration"));
        };
        let fields = described.reads.as_deref().unwrap_or_default();
        let path = self.template(method, path, fields);
        let mut parameters = parameters(fields, !described.bodies.is_empty());
        parameters.extend(declared.parameters.iter().cloned());
        let is_tagged = declared.answers.iter().any(|answer| answer.headers.iter().any(|(name, _)| *name == "ETag"));
        let mut responses = Map::new();
        for answer in &declared.answers {
            responses.insert(answer.status.to_string(), self.answer(answer));
        }
        if *method == Method::GET && is_tagged {
            parameters.push(header("If-None-Match", "The `ETag` of an earlier response.", json!({ "type": "string" })));
            responses.insert("304".to_owned(), self.answer(&Answer::empty(304, "Nothing has changed.")));
        }
        for (status, problem) in self.problems(method, &path, &described, raises.iter().chain(&declared.problems)) {
            if responses.insert(status.clone(), problem).is_some() {
                self.faults.push(format!("{method} {path}: {status} is a success and a problem"));
            }
        }
        let mut operation = Map::new();
        let mut add = |name: &str, value: Value| operation.insert(name.to_owned(), value);
        add("operationId", json!(declared.id));
        add("summary", json!(declared.summary));
        add("security", problems::security(described.caller));
        add("responses", Value::Object(responses));
        if !declared.description.is_empty() {
            add("description", json!(declared.description));
        }
        if !parameters.is_empty() {
            add("parameters", json!(parameters));
        }
        if !described.bodies.is_empty() {
            for (_, schema) in &mut described.bodies {
                self.faults.extend(name_request_types(schema, &mut self.request_types).err());
            }
            add("requestBody", body(&described, &declared));
        }
        for (media_type, name, _) in &declared.requests {
            if !described.bodies.iter().any(|(known, _)| known == media_type) {
                self.faults.push(format!("{method} {path}: the example {name:?} is of no media type it reads"));
            }
        }
        self.paths.entry(path).or_default().insert(method.as_str().to_ascii_lowercase(), Value::Object(operation));
    }

    /// The route's path with the names that the request type gives its parameters, which are those of faults.
    fn template(&mut self, method: &Method, path: &str, fields: &[FieldSchema]) -> String {
        let mut names = fields.iter().filter(|field| field.from == From::Path).map(|field| field.name);
        let parts = path.split('/').map(|part| match part.strip_prefix('{') {
            Some(param) => format!("{{{}}}", names.next().unwrap_or(param.trim_end_matches('}'))),
            None => part.to_owned(),
        });
        let template = parts.collect::<Vec<_>>().join("/");
        let fields = fields.iter().filter(|field| field.from == From::Path).count();
        if template.matches('{').count() != fields {
            self.faults.push(format!("{method} {path} has another number of parameters than its request type"));
        }
        template
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let mut headers = common_headers();
        for (name, description) in &answer.headers {
            let header = json!({ "description": description, "schema": { "type": "string" } });
            headers.insert((*name).to_owned(), header);
        }
        let content: Map<_, _> = answer
            .content
            .iter()
            .map(|content| {
                let schema = (content.schema)(&mut self.api.generator);
                (content.media_type.to_owned(), json!({ "schema": schema, "example": content.example }))
            })
            .collect();
        let mut response = json!({ "description": answer.description, "headers": headers });
        if let Some(members) = response.as_object_mut().filter(|_| !content.is_empty()) {
            members.insert("content".to_owned(), Value::Object(content));
        }
        response
    }

    /// The operation's problems by status. Where all codes of a status are those of every function, and others answer
    /// with the same ones, the response is a component.
    fn problems<'a>(
        &mut self,
        method: &Method,
        path: &str,
        described: &Described,
        own: impl Iterator<Item = &'a DatabaseError>,
    ) -> Vec<(String, Value)> {
        let mut by_status: BTreeMap<u16, (Vec<&Code>, bool)> = BTreeMap::new();
        for code in problems::codes(method, described) {
            by_status.entry(code.status).or_default().0.push(code);
        }
        for raised in own {
            let (codes, has_own) = by_status.entry(raised.code.status).or_default();
            *has_own = true;
            if !codes.contains(&raised.code) {
                codes.push(raised.code);
            }
            for member in raised.members {
                if *member != RETRY_AFTER_MEMBER && !self.api.members.contains_key(member) {
                    self.faults.push(format!("{method} {path}: the problem member {member:?} is not declared"));
                }
            }
        }
        let response = |(status, (codes, has_own)): (u16, (Vec<&Code>, bool))| {
            let response = problems::response(status, &codes);
            let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let name = reason.unwrap_or("Problem").replace(' ', "");
            let is_shared = !has_own && *self.responses.entry(&name).or_insert_with(|| response.clone()) == response;
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            (status.to_string(), if is_shared { reference } else { response })
        };
        by_status.into_iter().map(response).collect()
    }

    fn finish<S>(mut self, function: &Function<S>) -> Result<Value, String> {
        let left =
            self.api.operations.keys().map(|(method, path)| format!("{method} {path} is declared and is no operation"));
        self.faults.extend(left);
        if !self.faults.is_empty() {
            return Err(self.faults.join("\n"));
        }
        let Self { mut api, request_types, responses, paths, .. } = self;
        let members = api.members.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())).collect();
        api.generator.subschema_for::<FieldError>();
        let mut schemas = Value::Object(api.generator.take_definitions(true));
        if let Some(codes) = schemas.pointer_mut("/FieldError/properties/code/enum").and_then(Value::as_array_mut) {
            codes.extend(api.field_codes.iter().map(|code| json!(code)));
        }
        if let Some(properties) = schemas.pointer_mut("/Health/properties").and_then(Value::as_object_mut) {
            let own = function.health.iter();
            properties.extend(own.map(|(name, value)| ((*name).to_owned(), json!({ "examples": [value] }))));
        }
        if let Some(schemas) = schemas.as_object_mut() {
            schemas.insert("Problem".to_owned(), problems::schema(members));
            schemas.extend(request_types);
        }
        let name = function.name;
        Ok(json!({
            "openapi": "3.1.0",
            "info": {
                "title": api.title,
                "description": api.description,
                "version": function.version,
                "license": { "name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "servers": [
                {
                    "url": format!("https://{{project}}.supabase.co/functions/v1/{name}"),
                    "description": "On Supabase",
                    "variables": { "project": { "default": "project", "description": "The project's reference." } },
                },
                {
                    "url": format!("http://127.0.0.1:54321/functions/v1/{name}"),
                    "description": "The local stack: `cargo xtask dev`",
                },
            ],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "headers": problems::headers(),
                "securitySchemes": problems::security_schemes(),
            },
        }))
    }
}

/// Makes a component of every request type in a schema: those have a title.
fn name_request_types(schema: &mut Value, components: &mut Map<String, Value>) -> Result<(), String> {
    match schema {
        Value::Array(items) => return items.iter_mut().try_for_each(|item| name_request_types(item, components)),
        Value::Object(members) => {
            members.values_mut().try_for_each(|member| name_request_types(member, components))?;
        }
        _ => {}
    }
    let Some(title) = schema.get("title").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
    let named = std::mem::replace(schema, json!({ "$ref": format!("#/components/schemas/{title}") }));
    if *components.entry(&title).or_insert_with(|| named.clone()) == named {
        Ok(())
    } else {
        Err(format!("there are two request types {title}"))
    }
}

/// The parameters outside the body.
fn parameters(fields: &[FieldSchema], has_body: bool) -> Vec<Value> {
    let mut parameters = Vec::new();
    for field in fields {
        let mut add = |place: &str| {
            parameters.push(json!({
                "name": field.name, "in": place, "required": field.is_required, "description": field.description,
                "schema": field.schema,
            }));
        };
        match field.from {
            From::Path => add("path"),
            From::Query => add("query"),
            _ if !has_body => add("query"),
            _ => {}
        }
        match field.from {
            From::IdempotencyKey => parameters.push(idempotency_key(field.name)),
            From::IfMatch => parameters.push(if_match(field.name)),
            _ => {}
        }
    }
    parameters
}

fn idempotency_key(field: &str) -> Value {
    let description =
        format!("The same as `{field}`, bare or as a quoted string. Where both are given they must agree.");
    header("Idempotency-Key", &description, json!({ "type": "string", "pattern": "^\"?[0-9A-Fa-f-]{36}\"?$" }))
}

fn if_match(field: &str) -> Value {
    let description = format!(
        "An `ETag`: the same as `{field}`, but another version is 412 then. Where both are given they must agree."
    );
    header("If-Match", &description, json!({ "type": "string" }))
}

fn header(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": schema })
}

fn body(described: &Described, declared: &Operation) -> Value {
    let content: Map<_, _> = described
        .bodies
        .iter()
        .map(|(media_type, schema)| {
            let of_type = declared.requests.iter().filter(|(known, _, _)| known == media_type);
            let examples: Map<_, _> =
                of_type.map(|(_, name, value)| ((*name).to_owned(), json!({ "value": value }))).collect();
            ((*media_type).to_owned(), json!({ "schema": schema, "examples": examples }))
        })
        .collect();
    json!({ "required": true, "content": content })
}

#[cfg(test)]
mod tests {
    use super::{Answer, Api, Operation};
    use crate::answer::{self, Problem};
    use crate::edge::{Function, Head, get};
    use crate::host::Response;
    use http::{Method, StatusCode};

    async fn handler(_: Head) -> Result<Response, Problem> {
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    fn function() -> Function<()> {
        Function::new("any", "1.0.0").route("/", get(handler))
    }

    fn declared() -> Operation {
        Operation::new("read", "Read").answer(Answer::empty(204, "Done."))
    }

    #[test]
    fn operations_and_declarations_must_match() {
        let api = || Api::new("Any", "Any.");
        assert!(api().operation(Method::GET, "/", declared()).document(&function()).is_ok());
        assert_eq!(api().document(&function()).unwrap_err(), "GET / has no declaration");
        let both = api().operation(Method::GET, "/", declared()).operation(Method::PUT, "/", declared());
        assert_eq!(both.document(&function()).unwrap_err(), "PUT / is declared and is no operation");
    }

    #[test]
    fn an_operation_has_the_problems_of_what_it_extracts_and_no_others() {
        let document = Api::new("Any", "Any.").operation(Method::GET, "/", declared()).document(&function()).unwrap();
        let responses = document.pointer("/paths/~1/get/responses").unwrap().as_object().unwrap();
        assert_eq!(responses.keys().collect::<Vec<_>>(), ["204", "500"]);
    }
}
