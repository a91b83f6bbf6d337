//! What must hold of everything the functions sent upstream while the suite ran.
//!
//! The contract's section 4: exactly the caller's token, the publishable key, and nothing else that says who somebody
//! is; section 9: one upstream request per operation.

use std::collections::BTreeMap;

use devstack::error::Result;
use devstack::stack::function_env::DECOYS;

use super::record::{Asked, Entry, Record, Sent};
use crate::verdict::Verdict;

/// What shared/src/upstream/call.rs sends with a call of a database function, and may.
const WITH_A_CALL: [&str; 6] = ["authorization", "apikey", "content-type", "x-request-id", "traceparent", "tracestate"];

/// What may go with a fetch of the key set, which is made on nobody's behalf.
const WITH_A_KEY_SET: [&str; 1] = ["apikey"];

/// What the runtimes add to any request by themselves, and why it tells nothing about a caller. Each was seen in a
/// record; workerd adds the first two, Deno all.
const OF_THE_RUNTIME: &[(&str, &str)] = &[
    ("host", "HTTP/1.1 asks for it: the gateway's address"),
    ("content-length", "HTTP/1.1 asks for it: the body's length"),
    ("accept", "fetch's default, */*: never what the caller accepts"),
    ("accept-language", "fetch's default, *: never the caller's language"),
    ("accept-encoding", "what Deno can unpack, the same for everybody"),
    ("user-agent", "Deno's own name and version, never the caller's"),
];

/// The key set's path.
const KEY_SET: &str = "/auth/v1/.well-known/jwks.json";

/// A rule, and the faults it finds.
type Rule = (&'static str, fn(&Record, &str) -> Vec<String>);

const RULES: [Rule; 7] = [
    ("the record is whole, and there is something to see", whole),
    ("nothing goes anywhere but to a database function or the key set", places),
    ("no header leaves that is not on the list", names),
    ("the key is the publishable one, and the token the caller's own", identity),
    ("no secret of the environment leaves", secrets),
    ("request ids and trace headers are the caller's, byte for byte", traces),
    ("an operation is one request, and a refused token none", once),
];

/// Goes over a record, rule by rule.
pub fn judge(text: &str, publishable_key: &str) -> Result<Vec<Verdict>> {
    let record = Record::read(text)?;
    Ok(RULES.iter().map(|(name, rule)| Verdict { rule: name, faults: rule(&record, publishable_key) }).collect())
}

fn whole(record: &Record, _: &str) -> Vec<String> {
    let hostile = |asked: &Asked| {
        asked.status / 100 == 2 && ["cookie", "x-forwarded-for"].iter().all(|name| asked.header(name).is_some())
    };
    [
        (record.entries.contains(&Entry::Incomplete), "the record is full or broke off: not everything was looked at"),
        (!record.sent().any(Sent::is_call), "no function has sent anything by the recorder's door"),
        (!record.asked().any(hostile), "no client has sent a Cookie and an X-Forwarded-For and succeeded"),
    ]
    .into_iter()
    .filter(|(fault, _)| *fault)
    .map(|(_, text)| text.to_owned())
    .collect()
}

fn places(record: &Record, _: &str) -> Vec<String> {
    let allowed = |sent: &Sent| sent.is_call() || (sent.method == "GET" && sent.target == KEY_SET);
    record.sent().filter(|sent| !allowed(sent)).map(Sent::line).collect()
}

fn names(record: &Record, _: &str) -> Vec<String> {
    let on_list = |sent: &Sent, name: &str| {
        let own: &[&str] = if sent.is_call() { &WITH_A_CALL } else { &WITH_A_KEY_SET };
        own.contains(&name) || OF_THE_RUNTIME.iter().any(|(known, _)| *known == name)
    };
    let found = record.sent().flat_map(|sent| {
        sent.headers
            .iter()
            .filter(|(name, _)| !on_list(sent, name))
            .map(|(name, value)| format!("{name}: {value}, with {}", sent.line()))
    });
    found.collect()
}

fn identity(record: &Record, publishable_key: &str) -> Vec<String> {
    let asked = by_id(record);
    let mut faults = Vec::new();
    for sent in record.sent() {
        if sent.all("apikey") != [publishable_key] {
            faults.push(format!("apikey {:?}, with {}", sent.all("apikey"), sent.line()));
        }
        let callers = sent.request_id().and_then(|id| asked.get(id)).map(Vec::as_slice).unwrap_or_default();
        // A caller with no token, neither in the header nor in the body, has none forwarded.
        let is_callers = match sent.all("authorization").as_slice() {
            [] => !sent.is_call() || callers.iter().any(|asked| asked.token().is_none()),
            [one] if sent.is_call() => one
                .strip_prefix("Bearer ")
                .is_some_and(|token| callers.iter().any(|asked| asked.token() == Some(token))),
            _ => false,
        };
        if !is_callers {
            faults.push(format!("the authorization is not the caller's own, with {}", sent.line()));
        }
    }
    faults
}

fn secrets(record: &Record, _: &str) -> Vec<String> {
    let leaks = |sent: &&Sent| DECOYS.iter().any(|decoy| sent.raw.contains(decoy));
    record.sent().filter(leaks).map(Sent::line).collect()
}

fn traces(record: &Record, _: &str) -> Vec<String> {
    let asked = by_id(record);
    let mut faults = Vec::new();
    for sent in record.sent().filter(|sent| sent.is_call()) {
        let callers = sent.request_id().and_then(|id| asked.get(id)).map(Vec::as_slice).unwrap_or_default();
        for name in ["traceparent", "tracestate"] {
            if !callers.iter().any(|asked| asked.header(name) == sent.header(name)) {
                faults.push(format!("{name} {:?}, with {}", sent.all(name), sent.line()));
            }
        }
    }
    faults
}

/// How many upstream requests an answer stands for: at least, and at most.
fn cost(asked: &Asked) -> (usize, usize) {
    let is_token_refused = asked.status == 401 || asked.code.as_deref() == Some("role_not_allowed");
    match asked.code.as_deref() {
        // A deep look asks the database, unless somebody has just done so.
        _ if asked.path().ends_with("/health") => (0, usize::from(asked.target.contains("deep="))),
        _ if asked.method == "OPTIONS" => (0, 0),
        // A machine is no secret: without a session nobody is asked.
        _ if asked.path().contains("/machines/") && !asked.target.contains("session_id=") => (0, 0),
        // The one refusal of a token that is the database's.
        Some("token_rejected") => (1, 1),
        _ if is_token_refused => (0, 0),
        _ if asked.status / 100 == 2 => (1, 1),
        _ => (0, 1),
    }
}

fn once(record: &Record, _: &str) -> Vec<String> {
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    for id in record.sent().filter(|sent| sent.is_call()).filter_map(Sent::request_id) {
        *sent.entry(id).or_default() += 1;
    }
    let asked = by_id(record);
    let mut faults = Vec::new();
    for (id, answers) in &asked {
        let (least, most) =
            answers.iter().map(|asked| cost(asked)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let count = sent.get(id).copied().unwrap_or_default();
        if !(least..=most).contains(&count) {
            let lines: Vec<String> = answers.iter().map(|asked| asked.line()).collect();
            faults.push(format!("{count} upstream, {least} to {most} expected: {}", lines.join(", ")));
        }
    }
    let unasked = sent.keys().filter(|id| !asked.contains_key(*id));
    faults.extend(unasked.map(|id| format!("request id {id} went upstream, and no client was answered with it")));
    faults
}

/// What clients asked, by the request id they were answered with.
fn by_id(record: &Record) -> BTreeMap<&str, Vec<&Asked>> {
    let mut all: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
    for asked in record.asked() {
        if let Some(id) = &asked.request_id {
            all.entry(id).or_default().push(asked);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::judge;

    const TOKEN: &str = "a.b.c";

    fn asked() -> Value {
        json!({
            "from": "client", "method": "POST", "target": "/functions/v1/f", "status": 201, "code": null,
            "request_id": "r", "headers": [
                ["authorization", format!("bearer  {TOKEN}")], ["cookie", "a=b"], ["x-forwarded-for", "10.0.0.1"],
                ["traceparent", "00-1"]
            ]
        })
    }

    fn sent() -> Value {
        json!({
            "from": "function", "method": "POST", "target": "/rest/v1/rpc/f", "body": "{}", "headers": [
                ["authorization", format!("Bearer {TOKEN}")], ["apikey", "k"], ["content-type", "application/json"],
                ["x-request-id", "r"], ["traceparent", "00-1"], ["host", "127.0.0.1:1"]
            ]
        })
    }

    fn key_set() -> Value {
        let target = super::KEY_SET;
        json!({ "from": "function", "method": "GET", "target": target, "body": "", "headers": [["apikey", "k"]] })
    }

    /// The faults found in these entries.
    fn faults(entries: &[Value]) -> Vec<String> {
        let text: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        let broken = judge(&text, "k").unwrap().into_iter().filter(|verdict| !verdict.faults.is_empty());
        broken.map(|verdict| verdict.rule.to_owned()).collect()
    }

    fn with_header(mut entry: Value, name: &str, value: &str) -> Value {
        let headers = entry["headers"].as_array_mut().unwrap();
        headers.retain(|header| header[0] != name);
        headers.push(json!([name, value]));
        entry
    }

    fn with(mut entry: Value, member: &str, value: Value) -> Value {
        entry[member] = value;
        entry
    }

    #[test]
    fn what_the_contract_describes_is_faultless() {
        let health = with(with(asked(), "target", json!("/functions/v1/f/health?x=1")), "request_id", json!("h"));
        let refused = with(with(with(asked(), "status", json!(401)), "code", json!("bad")), "request_id", json!("s"));
        assert_eq!(faults(&[asked(), health, refused, key_set(), sent()]), [""; 0]);
    }

    #[test]
    fn a_caller_may_have_no_token_or_have_it_in_the_body() {
        let without = |mut entry: Value| {
            entry["headers"].as_array_mut().unwrap().retain(|header| header[0] != "authorization");
            entry
        };
        let [_, _, _, identity, ..] = super::RULES.map(|(name, _)| name);
        let in_body = with(without(asked()), "body_token", json!(TOKEN));
        for (entries, broken) in [
            ([without(asked()), without(sent())], vec![]),
            ([in_body.clone(), sent()], vec![]),
            ([in_body.clone(), without(sent())], vec![identity]),
            ([in_body, with_header(sent(), "authorization", "Bearer a.b.d")], vec![identity]),
            ([without(asked()), sent()], vec![identity]),
            ([asked(), without(sent())], vec![identity]),
            // The header decides where there is one.
            (
                [with(asked(), "body_token", json!("a.b.d")), with_header(sent(), "authorization", "Bearer a.b.d")],
                vec![identity],
            ),
        ] {
            assert_eq!(faults(&entries), broken, "{entries:#?}");
        }
    }

    #[test]
    fn each_fault_breaks_its_own_rule() {
        let [whole, places, names, identity, secrets, traces, once] = super::RULES.map(|(name, _)| name);
        let full = json!({ "from": "recorder", "incomplete": true });
        let plain = with(asked(), "headers", json!([["authorization", "Bearer a.b.c"], ["traceparent", "00-1"]]));
        let refused = with(with(asked(), "status", json!(401)), "code", json!("token_expired"));
        let other_id = with_header(sent(), "x-request-id", "other");
        for (entries, broken) in [
            (vec![asked(), sent(), full], vec![whole]),
            (vec![plain, sent()], vec![whole]),
            (vec![asked(), sent(), with(key_set(), "target", json!("/auth/v1/user"))], vec![places]),
            (
                vec![asked(), with(sent(), "target", json!("/rest/v1/rpc/f?apikey=k"))],
                vec![whole, places, names, identity, once],
            ),
            (vec![asked(), with_header(sent(), "cookie", "a=b")], vec![names]),
            (vec![asked(), sent(), with_header(key_set(), "x-request-id", "r")], vec![names]),
            (vec![asked(), with_header(sent(), "apikey", "other")], vec![identity]),
            (vec![asked(), with_header(sent(), "authorization", "Bearer a.b.d")], vec![identity]),
            (vec![asked(), sent(), with_header(key_set(), "authorization", "Bearer a.b.c")], vec![names, identity]),
            (vec![asked(), with(sent(), "body", json!(super::DECOYS[0]))], vec![secrets]),
            (vec![asked(), with_header(sent(), "traceparent", "00-2")], vec![traces]),
            (vec![asked(), sent(), sent()], vec![once]),
            (vec![asked()], vec![whole, once]),
            (vec![asked(), refused, sent(), sent()], vec![once]),
            (vec![asked(), sent(), other_id], vec![identity, traces, once]),
        ] {
            assert_eq!(faults(&entries), broken, "{entries:#?}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        for text in ["x", "{}", r#"{"from":"client"}"#] {
            assert!(judge(text, "k").is_err(), "{text}");
        }
    }
}
