//! Holds every exchange with a function to the function's OpenAPI document.
//!
//! A response must have a status, a media type and a body that the document names, and a problem one of the codes it
//! lists for the operation and the status. A request that succeeds must be as the document says; of one that is refused
//! nothing is known. The documents leave room for members to come; here a response may have none that they do not name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::stack::{checkout, repository};

/// Parameters that are the gateway's.
const OF_THE_GATEWAY: [&str; 2] = ["apikey", "forceFunctionRegion"];

/// A request and its response.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URL.
    pub url: &'a str,
    /// The request's headers.
    pub headers: &'a [(String, String)],
    /// The request's body.
    pub body: &'a [u8],
    /// The response.
    pub answer: &'a Answer,
}

struct Operation {
    method: String,
    /// The path's segments; those in braces stand for any.
    path: Vec<String>,
    parameters: Vec<Parameter>,
    /// What a body may be, by media type.
    bodies: BTreeMap<String, Validator>,
    /// What a response may be, by status and media type.
    responses: BTreeMap<u16, BTreeMap<String, Validator>>,
}

struct Parameter {
    name: String,
    place: String,
    is_required: bool,
    is_integer: bool,
    validator: Validator,
}

/// The documents' operations, by function.
static OPERATIONS: LazyLock<BTreeMap<String, Vec<Operation>>> =
    LazyLock::new(|| documents().into_iter().map(|(function, document)| (function, operations(document))).collect());

/// The functions' documents as they are committed; `cargo xtask test --only openapi` holds them to the code.
pub fn documents() -> BTreeMap<String, Value> {
    let document = |name: String| {
        let file = repository().join(format!("docs/openapi/{name}.json"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (name, serde_json::from_str(&text).unwrap())
    };
    checkout().functions().unwrap().into_iter().map(|function| document(function.name)).collect()
}

/// Functions that run outside the stack, by their URLs.
static ELSEWHERE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

static CHECKED: AtomicUsize = AtomicUsize::new(0);

/// Makes a function known that runs outside the stack.
pub fn runs_at(url: &str, function: &str) {
    ELSEWHERE.lock().unwrap().insert(url.to_owned(), function.to_owned());
}

/// How many exchanges have been checked.
pub fn checked() -> usize {
    CHECKED.load(Ordering::Relaxed)
}

/// Checks an exchange; what is no operation's, or not a function's own response, is left alone.
pub fn check(exchange: &Exchange<'_>) -> Result<(), String> {
    let Some((function, path)) = function_of(exchange.url) else { return Ok(()) };
    let method = if exchange.method == "HEAD" { "GET" } else { exchange.method };
    let is_it = |operation: &&Operation| operation.method == method && operation.takes(&path);
    let operation = OPERATIONS.get(&*function).and_then(|operations| operations.iter().find(is_it));
    let Some(operation) = operation.filter(|_| exchange.answer.headers.contains_key("x-request-id")) else {
        return Ok(());
    };
    CHECKED.fetch_add(1, Ordering::Relaxed);
    // A beacon is lenient too, and its response says nothing.
    let is_lenient = exchange.answer.header("preference-applied") == "handling=lenient"
        || exchange.answer.status == 204 && exchange.url.contains("beacon=");
    let request = if exchange.answer.status.is_success() && !is_lenient {
        operation.check_request(exchange, &path)
    } else {
        Ok(())
    };
    request.and_then(|()| operation.check_response(exchange)).map_err(|fault| {
        let Exchange { method, url, body, answer, .. } = exchange;
        let body: String = String::from_utf8_lossy(body).chars().take(500).collect();
        let text: String = answer.text().chars().take(1000).collect();
        format!(
            "{function}'s OpenAPI document does not allow this: {fault}\n{method} {url}\n{body}\n{} {text}",
            answer.status
        )
    })
}

/// The function that a URL leads to, and the path's segments below it.
fn function_of(url: &str) -> Option<(String, Vec<String>)> {
    let path = url.split(['?', '#']).next()?;
    let elsewhere = ELSEWHERE.lock().unwrap();
    let elsewhere = elsewhere.iter().find_map(|(at, function)| Some((function.clone(), path.strip_prefix(&**at)?)));
    let (function, below) = elsewhere.or_else(|| {
        let (_, after) = path.split_once("/functions/v1/")?;
        let (function, below) = after.split_once('/').unwrap_or((after, ""));
        Some((function.to_owned(), below))
    })?;
    Some((function, below.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()))
}

impl Operation {
    fn takes(&self, path: &[String]) -> bool {
        self.path.len() == path.len()
            && self.path.iter().zip(path).all(|(template, part)| template.starts_with('{') || template == part)
    }

    fn check_request(&self, exchange: &Exchange<'_>, path: &[String]) -> Result<(), String> {
        let query = exchange.url.split_once('?').map_or("", |(_, query)| query);
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_known = |name: &str| {
            OF_THE_GATEWAY.contains(&name)
                || self.parameters.iter().any(|known| known.place == "query" && known.name == name)
        };
        if let Some((name, _)) = query.iter().find(|(name, _)| !is_known(name)) {
            return Err(format!("there is no parameter {name:?}"));
        }
        let segments = self.path.iter().zip(path);
        let params: Vec<_> = segments.map(|(name, part)| (name.replace(['{', '}'], ""), part.clone())).collect();
        for parameter in &self.parameters {
            let given = match &*parameter.place {
                "path" => &params,
                "query" => &query,
                _ => exchange.headers,
            };
            parameter.check(given)?;
        }
        if self.bodies.is_empty() {
            return Ok(());
        }
        let content_type = exchange.headers.iter().find(|(name, _)| name == "content-type");
        let media_type = essence(content_type.map_or("application/json", |(_, value)| value));
        let schema = self.bodies.get(&media_type).ok_or(format!("a body of type {media_type}"))?;
        let body = match &*media_type {
            "application/x-ndjson" => json!(String::from_utf8_lossy(exchange.body)),
            _ => serde_json::from_slice(exchange.body).map_err(|error| format!("the body is no JSON: {error}"))?,
        };
        valid(schema, &body, "the request")
    }

    fn check_response(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let answer = exchange.answer;
        let status = answer.status.as_u16();
        let media_types = self.responses.get(&status).ok_or(format!("a response of status {status}"))?;
        // Some hosts compress responses.
        if exchange.method == "HEAD" || answer.headers.contains_key("content-encoding") {
            return Ok(());
        }
        if media_types.is_empty() {
            return if answer.bytes.is_empty() { Ok(()) } else { Err("a body in this response".to_owned()) };
        }
        let media_type = essence(answer.header("content-type"));
        let schema = media_types.get(&media_type).ok_or(format!("a response of type {media_type:?}"))?;
        let body = if media_type.ends_with("json") { answer.json() } else { json!(answer.text()) };
        valid(schema, &body, "the response")
    }
}

impl Parameter {
    fn check(&self, given: &[(String, String)]) -> Result<(), String> {
        match given.iter().find(|(name, _)| name.eq_ignore_ascii_case(&self.name)) {
            Some((_, value)) => {
                let number = self.is_integer.then(|| value.parse::<u64>().ok()).flatten();
                valid(&self.validator, &number.map_or(json!(value), |number| json!(number)), &self.name)
            }
            None if self.is_required => Err(format!("{} is missing", self.name)),
            None => Ok(()),
        }
    }
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn valid(schema: &Validator, value: &Value, what: &str) -> Result<(), String> {
    let faults: Vec<_> =
        schema.iter_errors(value).take(3).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    if faults.is_empty() { Ok(()) } else { Err(format!("{what} is not valid: {}", faults.join("; "))) }
}

fn operations(mut document: Value) -> Vec<Operation> {
    close(&mut document["components"]["schemas"]);
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let responses = operation["responses"].as_object().expect("responses").iter();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
                parameters: operation["parameters"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|it| parameter(&document, it))
                    .collect(),
                bodies: by_media_type(&document, &operation["requestBody"]["content"]),
                responses: responses
                    .map(|(status, response)| {
                        let content = &resolved(&document, response)["content"];
                        (status.parse().expect("a status"), by_media_type(&document, content))
                    })
                    .collect(),
            });
        }
    }
    operations
}

fn parameter(document: &Value, parameter: &Value) -> Parameter {
    let text = |name: &str| parameter[name].as_str().expect("a text").to_owned();
    Parameter {
        name: text("name"),
        place: text("in"),
        is_required: parameter["required"] == true,
        is_integer: parameter["schema"]["type"] == "integer",
        validator: validator(document, &parameter["schema"]),
    }
}

fn by_media_type(document: &Value, content: &Value) -> BTreeMap<String, Validator> {
    let content = content.as_object().into_iter().flatten();
    // Of JSON in a text, the JSON.
    let schema = |media: &Value| media["schema"].get("contentSchema").unwrap_or(&media["schema"]).clone();
    content.map(|(media_type, media)| (media_type.clone(), validator(document, &schema(media)))).collect()
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(value, |pointer| document.pointer(pointer).expect("what is referred to"))
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let whole = json!({ "allOf": [schema], "components": { "schemas": document["components"]["schemas"] } });
    jsonschema::draft202012::options().should_validate_formats(true).build(&whole).expect("a JSON Schema")
}

/// Lets no object have members that its schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, check};
    use crate::client::Answer;
    use hyper::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    const URL: &str = "http://127.0.0.1:54321/functions/v1/chat-message";
    const ID: &str = "9748cf0b-bb36-4b1e-abb8-6d609107d720";

    fn answer(status: u16, media_type: &str, body: &Value) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", media_type.parse().unwrap());
        headers.insert("x-request-id", "1".parse().unwrap());
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, bytes: body.to_string().into() }
    }

    fn session() -> Value {
        let now = "2026-11-21T12:02:50.747121+00:00";
        json!({
            "session_id": ID, "title": null, "meta": {}, "machine": "check-in", "fsm_state": "welcome", "version": 0,
            "created_at": now, "last_activity": now,
            "completed": false,
        })
    }

    fn problem(code: &str) -> Value {
        json!({ "type": "", "title": "", "status": 0, "detail": "", "code": code, "request_id": "1" })
    }

    fn fault(method: &str, target: &str, body: &Value, answer: &Answer) -> Option<String> {
        let (url, body) = (format!("{URL}{target}"), body.to_string());
        check(&Exchange { method, url: &url, headers: &[], body: body.as_bytes(), answer }).err()
    }

    #[test]
    fn responses_must_be_as_declared() {
        let read = format!("/sessions/{ID}");
        let fault = |answer| fault("GET", &read, &Value::Null, &answer);
        assert_eq!(fault(answer(200, "application/json", &session())), None);
        assert_eq!(fault(answer(404, "application/problem+json", &problem("session_not_found"))), None);
        let mut more = session();
        more["more"] = json!(1);
        for (answer, what) in [
            (answer(201, "application/json", &session()), "status 201"),
            (answer(200, "text/html", &session()), "text/html"),
            (answer(200, "application/json", &more), "more"),
            (answer(200, "application/json", &json!({})), "required"),
            (answer(404, "application/problem+json", &problem("summary_not_found")), "summary_not_found"),
        ] {
            let fault = fault(answer).unwrap();
            assert!(fault.contains(what), "{fault}");
        }
    }

    #[test]
    fn requests_that_succeed_must_be_as_declared() {
        let url = format!("?session_id={ID}");
        let page = answer(200, "application/json", &json!({ "messages": [], "next": null, "last_seq": 0 }));
        assert_eq!(fault("GET", &url, &Value::Null, &page), None);
        for target in ["", "?session_id=1", &format!("{url}&limit=201"), &format!("{url}&limti=1")] {
            assert!(fault("GET", target, &Value::Null, &page).is_some(), "{target}");
        }
        let summary = json!({
            "session_id": ID, "summary_type": "partial", "summary_data": {}, "generated_at": "2026-11-21T12:02:50Z",
        });
        let stored = answer(201, "application/json", &summary);
        let target = format!("/sessions/{ID}/summaries/partial");
        assert_eq!(fault("PUT", &target, &json!({ "summary_data": {} }), &stored), None);
        assert!(fault("PUT", &target, &json!({ "summary": {} }), &stored).is_some());
    }

    #[test]
    fn what_is_of_no_operation_is_left_alone() {
        let any = answer(418, "text/plain", &Value::Null);
        for (method, target) in [("GET", "/nothing"), ("PATCH", ""), ("OPTIONS", "")] {
            assert_eq!(fault(method, target, &Value::Null, &any), None, "{method} {target}");
        }
        let gateways = Answer { headers: HeaderMap::new(), ..any };
        assert_eq!(fault("GET", "/sessions", &Value::Null, &gateways), None);
    }
}
