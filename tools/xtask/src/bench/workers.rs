//! Workers without a stack: Selvedge's functions and their JavaScript peers, each in a workerd of its own, and behind
//! them a stub upstream that answers at once. So only a function's own cost counts.

use std::time::Duration;

use serde_json::json;
use strum::IntoStaticStr;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::{
    call::{Door, People, Person, Wanted},
    events,
    load::Side,
};
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    keys::{StackKey, now},
    stack::{function_env::Ground, home::Home, ports, service::Service, workerd},
    tools::toolbox::Toolbox,
    wait,
};

/// How many people call. Each has a token of their own, which a function has soon seen.
const PEOPLE: usize = 8;
/// The name of the stub upstream.
const UPSTREAM: &str = "upstream";
/// The time of the events.
const THEN: &str = "2026-11-21T10:00:00.123456+00:00";
/// What browsers send besides.
const BROWSER: [(&str, &str); 9] = [
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9"),
    ("origin", "https://app.example.com"),
    ("referer", "https://app.example.com/"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "cross-site"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
];

/// One of the workers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
pub enum Kind {
    /// The function itself.
    Selvedge,
    /// JavaScript that forwards, and nothing else.
    #[strum(serialize = "floor")]
    Floor,
    /// Hono and jose, with the same checks.
    #[strum(serialize = "Hono + jose")]
    Hono,
    /// `@supabase/server`, whose handler calls the database function.
    #[strum(serialize = "`@supabase/server`")]
    Server,
}

impl Kind {
    /// What it is called in the tables.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its file in `tests/peers`.
    fn file(self) -> Option<&'static str> {
        match self {
            Self::Selvedge => None,
            Self::Floor => Some("floor"),
            Self::Hono => Some("hono"),
            Self::Server => Some("server"),
        }
    }
}

/// A request that every worker is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
pub enum Operation {
    /// A message of about 1 KB is saved.
    #[strum(serialize = "save a message")]
    Message,
    /// A page of 50 messages is read.
    #[strum(serialize = "read a page of 50 messages")]
    Page,
    /// A page of 1 MiB is read.
    #[strum(serialize = "read a page of 1 MiB")]
    LargePage,
    /// 500 events are recorded.
    #[strum(serialize = "record 500 events (130 KB)")]
    Batch,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Message, Self::Page, Self::LargePage, Self::Batch];

    /// What it is called in the tables.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The function it is for.
    pub fn function(self) -> &'static str {
        if self == Self::Batch { "analytics" } else { "chat-message" }
    }

    /// The request.
    pub fn wanted(self, door: &Door) -> Wanted {
        let wanted = match self {
            Self::Message => door.post("", message()),
            Self::Page => door.get("?session_id={session}&limit=50"),
            // The stub's page of this limit has as many of the longest messages as fit.
            Self::LargePage => door.get("?session_id={session}&limit=200"),
            Self::Batch => door.post("", batch()),
        };
        BROWSER.into_iter().fold(wanted, |wanted, (name, value)| wanted.header(name, value))
    }
}

/// What the workers run with.
#[derive(Debug)]
pub struct Workers {
    checkout: Checkout,
    toolbox: Toolbox,
    home: Home,
    variables: Vec<(String, String)>,
    key: String,
    people: People,
    upstream: Service,
}

/// A running worker.
#[derive(Debug)]
pub struct Running {
    /// What it is.
    pub kind: Kind,
    /// The number of its process.
    pub pid: u32,
    /// The way in.
    pub door: Door,
    service: Service,
    people: People,
}

impl Workers {
    /// Bundles the peers and starts the stub upstream.
    pub async fn open(checkout: &Checkout) -> Result<Self> {
        let toolbox = Toolbox::new(checkout)?;
        let home = Home::open(checkout.state().join(format!("test-workers-{}", Uuid::new_v4().simple()))).await?;
        let peers = [Kind::Floor, Kind::Hono, Kind::Server].into_iter().filter_map(Kind::file);
        for name in peers.chain([UPSTREAM]) {
            let output = home.folder().join(name).join(name).join("index.js");
            toolbox
                .esbuild()?
                .arg(checkout.path("tests/peers").join(name).with_extension("js"))
                .args(["--bundle", "--minify", "--format=esm", "--conditions=workerd,worker,browser"])
                .arg(format!("--outfile={}", output.display()))
                .succeed(&format!("Bundling tests/peers/{name}.js"))
                .await?;
        }
        let port = free_port()?;
        let upstream = workerd::Worker { name: UPSTREAM.into(), port, modules: vec!["index.js".into()] };
        let ground = Ground { home: &home, checkout, toolbox: &toolbox, variables: &[] };
        let service = workerd::serve(ground, UPSTREAM, &[upstream])?;
        service.until_ready(Duration::from_secs(20), until_open(port)).await?;

        let (url, signing, key) = (format!("http://127.0.0.1:{port}"), StackKey::generate(), home.publishable_key()?);
        let people = (0..PEOPLE).map(|_| person(&signing, &url)).collect();
        let variables = [
            ("SUPABASE_URL", url),
            ("SUPABASE_PUBLISHABLE_KEY", key.clone()),
            ("SUPABASE_JWKS", signing.jwks().to_string()),
            ("ALLOWED_ORIGINS", "*".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(Self { checkout: checkout.clone(), toolbox, home, variables, key, people, upstream: service })
    }

    /// Starts a fresh process with a worker for an operation, and waits until it accepts connections.
    pub async fn start(&self, kind: Kind, operation: Operation) -> Result<Running> {
        self.start_with(kind, operation, &[]).await
    }

    /// The same, with further variables.
    pub async fn start_with(&self, kind: Kind, operation: Operation, more: &[(&str, &str)]) -> Result<Running> {
        let (port, function) = (free_port()?, operation.function());
        let service = kind.file().unwrap_or(function);
        let worker = match kind {
            Kind::Selvedge => workerd::place(&self.checkout, &self.home.folder().join(service), function, port)?,
            _ => workerd::Worker { name: service.to_owned(), port, modules: vec!["index.js".into()] },
        };
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: Vec<_> = self.variables.iter().cloned().chain(more).collect();
        let Self { home, checkout, toolbox, .. } = self;
        let service = workerd::serve(Ground { home, checkout, toolbox, variables: &variables }, service, &[worker])?;
        service.until_ready(Duration::from_secs(20), until_open(port)).await?;
        let prefix = if kind == Kind::Selvedge { "/".to_owned() } else { format!("/{function}") };
        let door = Door { port, prefix, key: self.key.clone() };
        Ok(Running { kind, pid: service.pid()?, door, service, people: self.people.clone() })
    }

    /// Stops all of it.
    pub fn close(self) {
        drop(self.upstream);
        self.home.remove();
    }
}

impl Running {
    /// The side that sends an operation to it, from everybody by turns.
    pub fn side(&self, operation: Operation) -> Side {
        Side::new(self.kind.name(), vec![operation.wanted(&self.door)], &self.people).by_process(self.pid)
    }

    /// One of those who call.
    pub fn person(&self) -> Result<&Person> {
        self.people.first().ok_or_else(|| Error::new("nobody calls"))
    }

    /// Ends its process.
    pub async fn stop(self) {
        self.service.kill().await;
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(ports::free(1)?.into_iter().next().unwrap_or_default())
}

/// Resolves once a port accepts connections. workerd listens when its Workers have been loaded.
async fn until_open(port: u16) {
    let is_open = || async { TcpStream::connect(ports::address(port)).await.is_ok() };
    wait::until(Duration::from_millis(2), is_open).await;
}

fn person(key: &StackKey, url: &str) -> Person {
    let now = now();
    let token = key.sign(&json!({
        "iss": format!("{url}/auth/v1"), "sub": Uuid::new_v4(), "aud": "authenticated", "role": "authenticated",
        "exp": now + 3600, "iat": now, "email": "person@example.com", "phone": "", "is_anonymous": false,
        "session_id": Uuid::new_v4(), "aal": "aal1", "amr": [{ "method": "password", "timestamp": now }],
        "app_metadata": { "provider": "email", "providers": ["email"] }, "user_metadata": {},
    }));
    Person { token, session: Uuid::new_v4() }
}

/// A message of about 1 KB, as a page writes it.
fn message() -> String {
    const SENTENCE: &str = "I have been thinking about who I could call when it gets late, and there is my sister. ";
    json!({
        "id": "{uuid}", "session_id": "{session}", "role": "user", "message": SENTENCE.repeat(8).trim(),
        "meta": {
            "client": "web", "client_version": "2.4.1", "locale": "en-GB", "time_zone": "Australia/Darwin",
            "input": { "kind": "typed", "seconds": 41.5, "edits": 3 }, "tags": ["evening", "family"],
        },
    })
    .to_string()
}

/// 500 events. With a model's full name they are 130 KB.
fn batch() -> String {
    events::body(500, THEN).replace("local-7b", "llama-3.2-3b-instruct-q4_k_m")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Door, Person, batch, message};

    #[test]
    fn bodies_are_as_large_as_the_page_says() {
        let door = Door { port: 1, prefix: String::new(), key: String::new() };
        let person = Person { token: String::new(), session: Uuid::nil() };
        let length = |body: String| door.post("", body).by(&person).body.len();
        assert!((900..1100).contains(&length(message())));
        assert!((125_000..135_000).contains(&length(batch())));
    }
}
