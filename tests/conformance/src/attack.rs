//! Every verb PostgREST has, tried on every object of the catalogue with the victim's own values.

use std::fmt;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalogue::{Catalogue, Function, Relation};
use crate::client::{Answer, Call, call};
use crate::person::Person;
use crate::stack::Stack;

/// Somebody who tries.
#[derive(Debug)]
pub enum Attacker {
    /// With the publishable key alone, which everybody has.
    Anon(Stack),
    /// Signed in, and somebody else.
    Stranger(Person),
    /// The victim.
    Owner(Person),
}

/// Something to attack, with values of the victim's.
#[derive(Debug)]
pub enum Target<'a> {
    /// With a row of it, where there is one, and the columns that tell it from others of the same parent.
    Relation(&'a Relation, Map<String, Value>, Vec<String>),
    /// With all of the victim's values, by name.
    Function(&'a Function, Map<String, Value>),
}

/// A privilege on an object: the verb, and the column where it is about one.
pub type Need = (&'static str, Option<String>);

/// Which columns a verb may be used on, by the list of what is reviewed.
pub type Allowed<'a> = &'a dyn Fn(&'static str, &str, &str) -> bool;

/// One request.
#[derive(Debug)]
pub struct Attempt {
    /// What is being done, for a person.
    pub label: String,
    /// A relation's name or a function's signature.
    pub on: String,
    /// The privileges this needs: verb and column.
    pub needs: Vec<Need>,
    /// Whether it makes something new of nothing but what may be given: for the owner it works.
    pub is_new: bool,
    method: &'static str,
    target: String,
    prefer: &'static str,
    body: Option<Value>,
}

impl Attempt {
    /// Whether nothing is sent that could come back as an echo.
    pub fn only_reads(&self) -> bool {
        self.method == "GET" && !self.target.starts_with("rpc/")
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome(Answer);

impl Attacker {
    /// The role the database gives them.
    pub fn role(&self) -> &'static str {
        if matches!(self, Self::Anon(_)) { "anon" } else { "authenticated" }
    }

    /// For a person.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Anon(_) => "anon",
            Self::Stranger(_) => "another user",
            Self::Owner(_) => "the owner",
        }
    }

    /// Whether it is the victim.
    pub fn is_owner(&self) -> bool {
        matches!(self, Self::Owner(_))
    }

    fn call(&self, method: &str, target: &str) -> Call {
        match self {
            Self::Anon(stack) => {
                call(method, format!("{}/rest/v1/{target}", stack.api_url)).header("apikey", &stack.publishable_key)
            }
            Self::Stranger(person) | Self::Owner(person) => person.rest(method, target),
        }
    }

    /// Tries.
    pub async fn send(&self, attempt: &Attempt) -> Outcome {
        let call = self.call(attempt.method, &attempt.target).header("prefer", attempt.prefer);
        Outcome(match &attempt.body {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        })
    }

    /// What PostgREST's own description of the API offers them.
    pub async fn listed(&self) -> Vec<String> {
        let described = self.call("GET", "").send().await.json();
        let paths = described["paths"].as_object().expect("a description");
        paths.keys().filter(|path| *path != "/").cloned().collect()
    }
}

impl Outcome {
    /// Whether the database said no for want of a privilege on what was attacked, or because such a thing is never
    /// possible. Any other error, row level security's included, means that the request got past the grants.
    pub fn is_refused(&self, attempt: &Attempt) -> bool {
        let never = [
            "PGRST202", // no such function, for PostgREST: a trigger's
            "PGRST105", // PUT without a primary key
            "428C9",    // a generated column
            "55000",    // a view that cannot be written through
        ];
        let body = serde_json::from_slice::<Value>(&self.0.bytes).unwrap_or_default();
        let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        // What a function may not do once it runs says nothing of who may run it.
        let denied = match attempt.on.split_once('(') {
            Some((name, _)) => format!("permission denied for function {name}"),
            None => "permission denied for ".to_owned(),
        };
        never.contains(&member("code")) || (member("code") == "42501" && member("message").starts_with(&denied))
    }

    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        self.0.status.is_success()
    }

    /// Whether any of these words came back. (Not in headers: Content-Location repeats the request.)
    pub fn tells<'a>(&self, words: impl IntoIterator<Item = &'a String>) -> bool {
        let text = self.0.text();
        words.into_iter().any(|word| text.contains(word))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status, self.0.text())
    }
}

impl<'a> Target<'a> {
    /// All of them, with these rows by table.
    pub fn all(catalogue: &'a Catalogue, rows: &[(String, Value)]) -> Vec<Self> {
        let first = |name: &str| {
            let (_, rows) = rows.iter().find(|(table, _)| table == name)?;
            rows.as_array()?.first()?.as_object().cloned()
        };
        let mut values = Map::new();
        for (table, _) in rows {
            values.extend(first(table).unwrap_or_default());
        }
        let relations = catalogue.relations.iter().filter(|relation| relation.is_exposed());
        let relations = relations.map(|relation| {
            Self::Relation(relation, first(&relation.name).unwrap_or_default(), catalogue.own_key(relation))
        });
        relations.chain(catalogue.functions.iter().map(|function| Self::Function(function, values.clone()))).collect()
    }

    /// Every way to try, never sending what the victim keeps secret: who gets it back must have been told.
    pub fn attempts(&self, secret: &str, allowed: Allowed) -> Vec<Attempt> {
        match self {
            Self::Relation(relation, row, own_key) => of_relation(relation, &without(secret, row), own_key, allowed),
            Self::Function(function, values) => of_function(function, &without(secret, values)),
        }
    }
}

fn without(secret: &str, values: &Map<String, Value>) -> Map<String, Value> {
    // Inside of objects, too, which stay objects.
    let safe = |value: &Value| serde_json::from_str(&value.to_string().replace(secret, "attack")).expect("JSON still");
    values.iter().map(|(name, value)| (name.clone(), safe(value))).collect()
}

fn of_relation(relation: &Relation, row: &Map<String, Value>, own_key: &[String], allowed: Allowed) -> Vec<Attempt> {
    let Relation { name, columns, key, .. } = relation;
    let value = |column: &String| row.get(column).cloned().unwrap_or_else(|| json!("1"));
    let object = |columns: &[String]| -> Value {
        columns.iter().map(|column| (column.clone(), value(column))).collect::<Map<_, _>>().into()
    };
    // The victim's row by its key, or no row at all: a gap found here must not be felt by other tests.
    let by_key: Vec<String> = key.iter().map(|column| format!("{column}=eq.{}", encoded(&value(column)))).collect();
    let filter = if by_key.is_empty() || row.is_empty() {
        columns.first().map(|column| format!("{column}=is.null")).unwrap_or_default()
    } else {
        by_key.join("&")
    };
    let filtered: Vec<String> = if by_key.is_empty() { columns.iter().take(1).cloned().collect() } else { key.clone() };
    let needs = |verb: &'static str, columns: &[String]| -> Vec<_> {
        columns.iter().map(|column| (verb, Some(column.clone()))).collect()
    };
    let mut attempts = Vec::new();
    let mut attempt = |method, query: &str, prefer, body, needs: Vec<Vec<Need>>| {
        let label = format!("{method} {name}?{query} ({prefer}) {}", body_text(&body));
        let (on, target, needs) = (name.clone(), format!("{name}?{query}"), needs.concat());
        attempts.push(Attempt { label, on, needs, is_new: false, method, target, prefer, body });
    };
    for query in ["select=*", &format!("select=*&{filter}")] {
        attempt("GET", query, "count=exact", None, vec![needs("SELECT", columns)]);
    }
    attempt("DELETE", &filter, "return=minimal", None, vec![vec![("DELETE", None)], needs("SELECT", &filtered)]);
    // Each column alone: none may hide behind another that is refused. Then all, and all that may be given, which is
    // where only row level security and triggers stand between the attacker and the victim's row.
    let given = |verb| columns.iter().filter(|column| allowed(verb, name, column)).cloned().collect::<Vec<_>>();
    let (insertable, updatable) = (given("INSERT"), given("UPDATE"));
    let together = [columns, &insertable, &updatable].map(Vec::as_slice).into_iter().filter(|some| !some.is_empty());
    for some in columns.iter().map(std::slice::from_ref).chain(together) {
        let (body, read) = (Some(object(some)), needs("SELECT", key));
        let (insert, update) = (needs("INSERT", some), needs("UPDATE", some));
        attempt("POST", "", "return=minimal", body.clone(), vec![insert.clone()]);
        let merged = if key.is_empty() { vec![insert.clone()] } else { vec![insert, update.clone(), read] };
        attempt("POST", "", "return=minimal,resolution=merge-duplicates", body.clone(), merged);
        attempt("PATCH", &filter, "return=minimal", body, vec![update, needs("SELECT", &filtered)]);
    }
    let put = vec![needs("INSERT", columns), needs("UPDATE", columns), needs("SELECT", key)];
    attempt("PUT", &by_key.join("&"), "return=minimal", Some(object(columns)), put);
    // Beside the victim's row, not over it: what only a clash of keys would have refused.
    let mut fresh = row.clone();
    // An id is its row's own where it is not the key, too: analytics has one for each user.
    for column in
        own_key.iter().map(String::as_str).chain(["id"]).filter(|column| row.get(*column).is_some_and(is_uuid))
    {
        fresh.insert(column.to_owned(), json!(Uuid::new_v4()));
    }
    attempt("POST", "", "return=minimal", Some(fresh.clone().into()), vec![needs("INSERT", columns)]);
    if !insertable.is_empty() {
        fresh.retain(|column, _| insertable.contains(column));
        attempt("POST", "", "return=minimal", Some(fresh.into()), vec![needs("INSERT", &insertable)]);
        attempts.last_mut().expect("the one just made").is_new = true;
    }
    attempts
}

fn of_function(function: &Function, values: &Map<String, Value>) -> Vec<Attempt> {
    let Function { name, signature, required, .. } = function;
    let value = |(name, kind): &(String, String)| {
        let made = || match kind.as_str() {
            "uuid" => json!(Uuid::new_v4()),
            "json" | "jsonb" => json!({}),
            "boolean" => json!(true),
            "timestamp with time zone" | "date" => json!("2020-01-01T00:00:00Z"),
            _ => json!("1"),
        };
        (name.clone(), values.get(name).cloned().unwrap_or_else(made))
    };
    let arguments: Map<String, Value> = required.iter().map(value).collect();
    let query: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let body: Value = arguments.into();
    [("POST", String::new(), Some(body)), ("GET", query.join("&"), None)]
        .into_iter()
        .map(|(method, query, body)| Attempt {
            label: format!("{method} rpc/{name}?{query} {}", body_text(&body)),
            on: signature.clone(),
            needs: vec![("EXECUTE", None)],
            is_new: false,
            method,
            target: format!("rpc/{name}?{query}"),
            prefer: "count=exact",
            body,
        })
        .collect()
}

fn body_text(body: &Option<Value>) -> String {
    body.as_ref().map(Value::to_string).unwrap_or_default()
}

fn is_uuid(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Uuid::try_parse(text).is_ok())
}

/// A value in a query.
fn encoded(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let encode = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}
