//! What callers send: requests of every kind, good ones and bad ones, and what each may lead to.

use std::rc::Rc;

use fastrand::Rng;
use serde_json::json;
use shared::host::BodyError;

use crate::isolate::Which;
use crate::issuer::{Defect, Issuer, Token, Wanted};

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) isolate: usize,
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Result<Vec<u8>, BodyError>,
    /// How long its body takes to arrive, in milliseconds.
    pub(crate) upload_ms: u64,
    pub(crate) token: Option<Rc<Token>>,
    pub(crate) request_id: Option<String>,
    /// The database function it calls if all is well with it; `None` if it may call none.
    pub(crate) calls: Option<&'static str>,
    /// The id the caller made.
    pub(crate) id: Option<String>,
    /// What it stores: a text that occurs in no other request for each row.
    pub(crate) marks: Vec<String>,
    /// Whether storing it again replaces it.
    pub(crate) replaces: bool,
    pub(crate) session: String,
    pub(crate) has_risk: bool,
    /// How often the caller sends it again if it is not acknowledged, with the same ids.
    pub(crate) again: u8,
}

impl Plan {
    /// As whom it calls the database.
    pub(crate) fn identity(&self) -> Option<&Token> {
        self.token.as_deref().filter(|_| self.calls != Some("database_is_there"))
    }

    /// Whether the database function may be called without a token.
    pub(crate) fn takes_visitors(&self) -> bool {
        matches!(self.calls, Some("record_events" | "record_log" | "database_is_there"))
    }

    /// Its first line, for the trace.
    pub(crate) fn line(&self) -> String {
        let token = match self.token.as_deref() {
            None => "no token".to_owned(),
            Some(Token { defect: Some(defect), .. }) => format!("a token that is {defect:?}"),
            Some(Token { user, .. }) => format!("user {}", user.get(..4).unwrap_or_default()),
        };
        format!("{} {}, {token}, id {:?}", self.method, self.target, self.id)
    }
}

/// Somebody who sends requests.
#[derive(Debug)]
struct Person {
    user: String,
    sessions: Vec<String>,
    token: Option<Rc<Token>>,
}

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Planner {
    people: Vec<Person>,
    /// Sessions of which nobody knows whose they are.
    shared: Vec<String>,
    /// Ids that were used, with their sessions: some are used for another content.
    used: Vec<(String, String)>,
    /// Of a thousand requests so many have a bad token.
    pub(crate) bad_permille: u32,
    /// Whether every request has a token of its own.
    pub(crate) makes_tokens: bool,
    made: u64,
}

/// A UUID of the seed's.
pub(crate) fn uuid(random: &mut Rng) -> String {
    let hex = format!("{:032x}", random.u128(..));
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

impl Planner {
    pub(crate) fn new(random: &mut Rng) -> Self {
        let person = |random: &mut Rng| Person {
            user: uuid(random),
            sessions: (0..random.usize(1..5)).map(|_| uuid(random)).collect(),
            token: None,
        };
        let people = (0..random.usize(1..8)).map(|_| person(random)).collect();
        let shared = (0..3).map(|_| uuid(random)).collect();
        let bad_permille = random.choice([0, 20, 300]).unwrap_or(0);
        let makes_tokens = random.u8(0..4) == 0;
        Self { people, shared, used: Vec::new(), bad_permille, makes_tokens, made: 0 }
    }

    /// The next request to one of these functions.
    pub(crate) fn plan(&mut self, random: &mut Rng, isolates: &[Which], issuer: &Issuer, now_ms: u64) -> Plan {
        self.made += 1;
        let isolate = random.usize(0..isolates.len().max(1));
        let which = isolates.get(isolate).copied().unwrap_or(Which::ChatMessage);
        let person = random.usize(0..self.people.len().max(1));
        let token = self.token(random, person, issuer, now_ms);
        let session = self.session(random, person);
        let mark = format!("mark-{}-{:08x}", self.made, random.u32(..));
        let mut plan = Plan {
            isolate,
            method: "GET",
            target: "/".to_owned(),
            headers: Vec::new(),
            body: Ok(Vec::new()),
            upload_ms: if random.u8(0..10) == 0 { random.u64(0..4000) } else { 0 },
            token,
            request_id: (random.u8(0..5) != 0).then(|| format!("r-{}", self.made)),
            calls: None,
            id: None,
            marks: Vec::new(),
            replaces: false,
            session,
            has_risk: false,
            again: random.u8(0..4),
        };
        if random.u8(0..12) == 0 {
            (plan.target, plan.calls) = match random.u8(0..4) {
                0 => ("/health".to_owned(), None),
                1 => ("/nothing/here".to_owned(), None),
                _ => ("/health?deep=1".to_owned(), Some("database_is_there")),
            };
        } else {
            match which {
                Which::ChatMessage => self.chat_message(random, &mut plan, mark),
                Which::FsmTransition => self.fsm_transition(random, &mut plan, mark),
                Which::Analytics => analytics(random, &mut plan, &mark),
            }
        }
        if plan.method != "GET" && plan.method != "DELETE" {
            if plan.headers.is_empty() {
                plan.headers.push(("content-type", "application/json".to_owned()));
            }
            spoil(random, &mut plan);
        }
        plan
    }

    fn session(&self, random: &mut Rng, person: usize) -> String {
        let own = self.people.get(person).map(|person| person.sessions.as_slice()).unwrap_or_default();
        let all = if random.u8(0..10) == 0 { &self.shared } else { own };
        random.choice(all).cloned().unwrap_or_default()
    }

    /// A token of a person's: the one they have, or a new one.
    fn token(&mut self, random: &mut Rng, person: usize, issuer: &Issuer, now_ms: u64) -> Option<Rc<Token>> {
        let is_bad = random.u32(0..1000) < self.bad_permille;
        if is_bad && random.u8(0..6) == 0 {
            return None;
        }
        let person = self.people.get_mut(person)?;
        let is_known = person.token.as_ref().is_some_and(|token| token.expires * 1000 > now_ms);
        if is_known && !is_bad && !self.makes_tokens && random.u8(0..10) != 0 {
            return person.token.clone();
        }
        let defect = if is_bad { random.choice(Defect::ALL) } else { None };
        let token = Rc::new(issuer.token(&Wanted {
            user: &person.user,
            now_ms,
            seconds: if random.u8(0..8) == 0 { random.u64(0..5) } else { random.u64(60..4000) },
            defect,
            by_secret: !is_bad && random.u8(0..16) == 0,
            nonce: self.made,
        }));
        if !is_bad {
            person.token = Some(Rc::clone(&token));
        }
        Some(token)
    }

    /// An id in the body, in the header, or nowhere; sometimes one that stands for something else.
    fn identify(&mut self, random: &mut Rng, plan: &mut Plan) -> Option<String> {
        if random.u8(0..8) == 0 {
            plan.again = 0;
            return None;
        }
        let id = match random.choice(&self.used) {
            Some((id, session)) if random.u8(0..20) == 0 => {
                plan.session.clone_from(session);
                id.clone()
            }
            _ => uuid(random),
        };
        if self.used.len() < 64 {
            self.used.push((id.clone(), plan.session.clone()));
        }
        plan.id = Some(id.clone());
        if random.u8(0..4) == 0 {
            plan.headers.push(("content-type", "application/json".to_owned()));
            plan.headers.push(("idempotency-key", id));
            return None;
        }
        Some(id)
    }

    fn chat_message(&mut self, random: &mut Rng, plan: &mut Plan, mark: String) {
        let session = plan.session.clone();
        match random.u8(0..16) {
            0..8 => {
                let id = self.identify(random, plan);
                let mut body = json!({ "session_id": plan.session, "role": "user", "message": mark });
                if let (Some(id), Some(body)) = (id, body.as_object_mut()) {
                    body.insert("id".to_owned(), id.into());
                }
                plan.has_risk = random.u8(0..6) == 0;
                if let (true, Some(body)) = (plan.has_risk, body.as_object_mut()) {
                    body.insert("risk".to_owned(), json!({ "label": "self_harm" }));
                }
                (plan.method, plan.calls, plan.marks) = ("POST", Some("save_message"), vec![mark]);
                plan.body = Ok(body.to_string().into_bytes());
            }
            8..11 => (plan.target, plan.calls) = (format!("/?session_id={session}"), Some("get_history")),
            11 => (plan.target, plan.calls) = ("/sessions?limit=7".to_owned(), Some("list_sessions")),
            12 => (plan.target, plan.calls) = (format!("/sessions/{session}"), Some("get_session")),
            13 => {
                let body = json!({ "summary_data": { "mark": mark } }).to_string();
                (plan.method, plan.target) = ("PUT", format!("/sessions/{session}/summaries/partial"));
                (plan.calls, plan.marks, plan.replaces) = (Some("put_session_summary"), vec![mark], true);
                plan.body = Ok(body.into_bytes());
            }
            14 => {
                (plan.method, plan.target) = ("DELETE", format!("/sessions/{session}"));
                plan.calls = Some("delete_session");
            }
            _ => (plan.target, plan.calls) = ("/risk-detections".to_owned(), Some("list_risk_detections")),
        }
    }

    fn fsm_transition(&mut self, random: &mut Rng, plan: &mut Plan, mark: String) {
        if random.u8(0..8) == 0 {
            plan.target = format!("/machines/supportive-yarn?session_id={}&format=svg", plan.session);
            plan.calls = Some("get_session_state");
            return;
        }
        if random.u8(0..4) == 0 {
            (plan.target, plan.calls) = (format!("/?session_id={}", plan.session), Some("get_session_state"));
            if random.bool() {
                plan.headers.push(("if-none-match", format!("\"{}\"", random.u8(0..4))));
            }
            return;
        }
        let id = self.identify(random, plan);
        let mut body = json!({ "session_id": plan.session, "event": "next_step", "response": mark });
        if let Some(body) = body.as_object_mut() {
            body.extend(id.map(|id| ("id".to_owned(), id.into())));
            if random.u8(0..3) == 0 {
                body.insert("expected_version".to_owned(), random.u8(0..6).into());
            }
        }
        (plan.method, plan.calls, plan.marks) = ("POST", Some("transition_session"), vec![mark]);
        plan.body = Ok(body.to_string().into_bytes());
    }
}

fn analytics(random: &mut Rng, plan: &mut Plan, mark: &str) {
    if random.u8(0..4) == 0 {
        // A visitor. Where they read, they are refused.
        plan.token = None;
    }
    match random.u8(0..8) {
        0 => {
            (plan.target, plan.calls) = ("/summary?days=7".to_owned(), Some("get_analytics_summary"));
        }
        1 => {
            let id = uuid(random);
            let body = json!({ "id": id, "log_level": "INFO", "component": "page", "message": mark });
            (plan.method, plan.target, plan.calls) = ("POST", "/logs".to_owned(), Some("record_log"));
            (plan.id, plan.marks, plan.body) = (Some(id), vec![mark.to_owned()], Ok(body.to_string().into_bytes()));
        }
        kind => {
            plan.marks = (0..random.usize(1..5)).map(|place| format!("{mark}-{place}")).collect();
            let mut body = json!({ "events": plan.marks.iter().map(|mark| {
                json!({ "id": uuid(random), "event_type": "clicked", "event_data": { "mark": mark } })
            }).collect::<Vec<_>>() });
            (plan.method, plan.calls) = ("POST", Some("record_events"));
            if kind == 2 {
                plan.target = "/?beacon=1".to_owned();
                plan.headers.push(("content-type", "text/plain".to_owned()));
                if let (Some(token), Some(body)) = (&plan.token, body.as_object_mut()) {
                    body.insert("access_token".to_owned(), token.text.clone().into());
                }
            }
            plan.body = Ok(body.to_string().into_bytes());
        }
    }
}

/// Makes some requests faulty in themselves: those may call nothing.
fn spoil(random: &mut Rng, plan: &mut Plan) {
    let spoilt = match random.u16(0..200) {
        0 => Err(BodyError::TooLarge),
        1 => Err(BodyError::Interrupted),
        // Of a beacon, the good events are stored: here, none.
        2..5 if !plan.target.contains("beacon") => Ok(b"{\"mesage\":1}".to_vec()),
        5..8 => Ok(plan.body.iter().flat_map(|body| body.get(..body.len() / 2)).flatten().copied().collect()),
        _ => return,
    };
    plan.body = spoilt;
    plan.calls = None;
    plan.has_risk = false;
    plan.marks.clear();
}
