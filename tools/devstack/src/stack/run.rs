//! Starting and stopping it all, in order.

use std::{collections::BTreeMap, net::TcpListener, path::PathBuf};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{
    database::{self, Given},
    deno,
    description::Description,
    function_env::{self, Ground},
    home::{self, Home},
    migrations, ports,
    postgres::{self, Postgres, PostgresOptions},
    postgrest::{self, PostgrestOptions},
    service::Service,
    workerd,
};
use crate::{
    checkout::Checkout,
    error::{Error, Result},
    gateway::{Gateway, Listeners, Routes, Style, Watch},
    host::Host,
    issuer::Issuer,
    keys::StackKey,
    progress::Progress,
    tools::{platform::PostgresLine, toolbox::Toolbox},
};

/// How a stack is to be.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where the functions run.
    pub host: Host,
    /// Whose gateway the stack's behaves as.
    pub gateway: Style,
    /// The gateway's port; 0 for any.
    pub api_port: u16,
    /// PostgreSQL's port; 0 for any.
    pub db_port: u16,
    /// Whether the data goes with it.
    pub ephemeral: bool,
    /// Whether what PostgreSQL has committed outlives its being killed. Only data that goes with the stack may do without.
    pub durable: bool,
    /// The folder for keys, logs and stack.json.
    pub folder: PathBuf,
    /// An existing PostgreSQL, instead of one of our own.
    pub db_url: Option<String>,
    /// Whether that may be a database that the stack would refuse to change.
    pub change_any_database: bool,
}

impl StackOptions {
    /// A stack of its own for a test: on free ports, with an empty database, in a new folder below `.selvedge`.
    pub fn ephemeral(checkout: &Checkout, host: Host) -> Self {
        let name = format!("test-{host}-{}", uuid::Uuid::new_v4().simple());
        let folder = checkout.state().join(name);
        Self {
            host,
            gateway: Style::default(),
            api_port: 0,
            db_port: 0,
            ephemeral: true,
            durable: false,
            folder,
            db_url: None,
            change_any_database: false,
        }
    }
}

/// A stack, as far as it has been started. Stop it with [`Stack::stop`]; dropped, it is killed.
#[derive(Debug)]
pub struct Stack {
    checkout: Checkout,
    options: StackOptions,
    home: Home,
    key: StackKey,
    listener: Option<TcpListener>,
    db_port: u16,
    function_ports: BTreeMap<String, u16>,
    description: Description,
    rest: PostgrestOptions,
    postgres: Option<Postgres>,
    postgrest: Option<Service>,
    functions: Vec<Service>,
    gateway: Option<Gateway>,
    watch: Option<(TcpListener, Watch)>,
    /// Where the functions reach the stack, if not at the gateway's own URL.
    door: Option<String>,
    /// Variables of the functions that a test has chosen.
    chosen: BTreeMap<String, String>,
}

impl Stack {
    /// Takes the folder and the ports, before anything slow is done.
    pub async fn reserve(checkout: &Checkout, options: StackOptions) -> Result<Self> {
        let home = Home::open(options.folder.clone()).await?;
        let key = StackKey::load_or_create(&home::signing_key(home.folder()))?;
        let listener = ports::take(options.api_port, "the gateway", "--api-port (or SELVEDGE_API_PORT)")?;
        let api_url = format!("http://127.0.0.1:{}", ports::of(&listener)?);
        let (db_port, db_url) = match &options.db_url {
            Some(url) => {
                if !options.change_any_database {
                    database::check_may_change(url).await?;
                }
                (0, url.clone())
            }
            None => {
                let taken = ports::take(options.db_port, "PostgreSQL", "--db-port (or SELVEDGE_DB_PORT)")?;
                let port = ports::of(&taken)?;
                (port, postgres::url(&home, port)?)
            }
        };
        let functions = checkout.functions()?;
        let mut free = ports::free(functions.len() + 2)?.into_iter();
        let mut next = || free.next().unwrap_or_default();
        let rest = PostgrestOptions::new(next(), next());
        let function_ports: BTreeMap<_, _> = functions.into_iter().map(|function| (function.name, next())).collect();
        let description = Description {
            publishable_key: home.publishable_key()?,
            db_url,
            host: options.host.to_string(),
            functions: function_ports
                .keys()
                .map(|name| (name.clone(), format!("{api_url}/functions/v1/{name}")))
                .collect(),
            api_url,
        };
        Ok(Self {
            checkout: checkout.clone(),
            options,
            home,
            key,
            listener: Some(listener),
            db_port,
            function_ports,
            description,
            rest,
            postgres: None,
            postgrest: None,
            functions: Vec::new(),
            gateway: None,
            watch: None,
            door: None,
            chosen: BTreeMap::new(),
        })
    }

    /// Watches what goes through the gateway. The functions get an address of their own, so that nothing a client sends
    /// past them can be taken for theirs. To be called before the start.
    pub fn watch(&mut self, watch: Watch) -> Result<()> {
        let listener = ports::take(0, "the gateway, for the functions", "try again")?;
        self.put_functions_behind(format!("http://127.0.0.1:{}", ports::of(&listener)?));
        self.watch = Some((listener, watch));
        Ok(())
    }

    /// Has the functions reach the stack at another URL than the gateway's: that of a proxy, which stands between. To
    /// be asked for before they start. Tokens are still issued at the gateway's.
    pub fn put_functions_behind(&mut self, url: String) {
        self.door = Some(url);
    }

    /// Gives the functions a variable, whatever the environment says. Takes effect when they next start.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.chosen.insert(name.to_owned(), value.to_owned());
    }

    /// Starts a whole stack of functions that have been built.
    pub async fn start(checkout: &Checkout, options: StackOptions, progress: Progress) -> Result<Self> {
        Self::reserve(checkout, options).await?.started(progress).await
    }

    /// Starts all of it; what has been started stops again should something fail.
    pub async fn started(self, progress: Progress) -> Result<Self> {
        let mut stack = self;
        let started = async {
            stack.start_data(progress).await?;
            stack.start_functions(progress).await
        };
        match started.await {
            Ok(()) => Ok(stack),
            Err(error) => {
                stack.stop().await;
                Err(error)
            }
        }
    }

    /// Starts everything that does not wait for the build: the database, the data API, the gateway.
    pub async fn start_data(&mut self, progress: Progress) -> Result<()> {
        let toolbox = Toolbox::new(&self.checkout)?;
        if self.options.db_url.is_none() {
            let StackOptions { ephemeral, durable, .. } = self.options;
            let options = PostgresOptions { line: PostgresLine::V17, port: self.db_port, ephemeral, durable };
            let postgres = Postgres::start(&self.home, &toolbox, options).await?;
            let postgres = self.postgres.insert(postgres);
            postgres.until_ready().await?;
            let place = postgres.place();
            let why = if place.elsewhere { " (this checkout is closed to the user PostgreSQL runs as)" } else { "" };
            progress.say(format!("PostgreSQL runs, data in {}{why}", place.data.display()));
        }
        let url = self.description.db_url.clone();
        let client = database::connect(&url).await?;
        let given = database::give_what_hosting_has(&self.checkout, &client).await?;
        if given == Given::Changes {
            progress.say("supabase/local/*.sql has changed since this database was made, and was applied again");
        }
        let applied = migrations::apply(&self.checkout, &toolbox, &client, &url).await?;
        progress.say(match applied {
            0 => "migrations are up to date".to_owned(),
            count => format!("{count} migrations applied"),
        });
        self.rest.db_url = database::authenticator_url(&client, &url).await?;
        self.postgrest = Some(postgrest::start(&self.home, &toolbox, &self.key, &self.rest).await?);
        progress.say("PostgREST is ready");
        let Some(listener) = self.listener.take() else {
            return Err(Error::new("this stack has been started already"));
        };
        let routes = Routes {
            style: self.options.gateway,
            host: self.options.host,
            api_url: self.description.api_url.clone(),
            publishable_key: self.description.publishable_key.clone(),
            postgrest: self.rest.port,
            functions: self.function_ports.clone(),
        };
        let issuer = Issuer::new(&self.description.api_url, &url, &self.key).await?;
        let listeners = Listeners { clients: listener, functions: self.watch.take() };
        self.gateway = Some(Gateway::start(listeners, routes, issuer)?);
        Ok(())
    }

    /// Starts the functions, and says where everything is.
    pub async fn start_functions(&mut self, progress: Progress) -> Result<()> {
        self.run_functions().await?;
        progress.say(format!("the functions answer on {}", self.options.host));
        self.description.write(&self.home.description())
    }

    async fn run_functions(&mut self) -> Result<()> {
        let toolbox = Toolbox::new(&self.checkout)?;
        let Description { api_url, publishable_key, .. } = &self.description;
        let env = |name: &str| self.chosen.get(name).cloned().or_else(|| std::env::var(name).ok());
        let variables = match &self.door {
            None => function_env::variables(api_url, publishable_key, &env),
            Some(door) => function_env::variables_behind(door, api_url, publishable_key, &env),
        };
        let ground = Ground { home: &self.home, checkout: &self.checkout, toolbox: &toolbox, variables: &variables };
        self.functions = match self.options.host {
            Host::Workers => vec![workerd::start(ground, &self.function_ports).await?],
            Host::Supabase => deno::start(ground, &self.function_ports).await?,
        };
        Ok(())
    }

    /// Where everything is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The folder with stack.json and the logs.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The key its tokens are signed with.
    pub fn key(&self) -> &StackKey {
        &self.key
    }

    /// The issuer behind `/auth/v1`.
    pub async fn issuer(&self) -> Result<Issuer> {
        Issuer::new(&self.description.api_url, &self.description.db_url, &self.key).await
    }

    /// The processes of the functions (the first, where each has its own), of PostgREST and of PostgreSQL.
    pub fn processes(&self) -> Result<[u32; 3]> {
        let pid = |service: Option<&Service>| match service {
            Some(service) => service.pid(),
            None => Err(Error::new("a part of this stack does not run")),
        };
        let postgres = self.postgres.as_ref().map(Postgres::service);
        Ok([pid(self.functions.first())?, pid(self.postgrest.as_ref())?, pid(postgres)?])
    }

    /// Takes PostgREST away; the gateway answers 503 for it.
    pub async fn stop_postgrest(&mut self) {
        if let Some(service) = self.postgrest.take() {
            service.stop().await;
        }
    }

    /// Brings PostgREST back, on the same port.
    pub async fn start_postgrest(&mut self) -> Result<()> {
        self.stop_postgrest().await;
        let toolbox = Toolbox::new(&self.checkout)?;
        self.postgrest = Some(postgrest::start(&self.home, &toolbox, &self.key, &self.rest).await?);
        Ok(())
    }

    /// Changes how PostgREST is to run, from its next start on.
    pub fn postgrest_options(&mut self) -> &mut PostgrestOptions {
        &mut self.rest
    }

    /// Kills PostgREST, which gets no chance to finish anything.
    pub async fn kill_postgrest(&mut self) {
        if let Some(service) = self.postgrest.take() {
            service.kill().await;
        }
    }

    /// Kills PostgreSQL with all its processes, as a machine that loses power does. Its data stay as they lie.
    pub async fn kill_postgres(&mut self) {
        if let Some(postgres) = &self.postgres {
            postgres.kill().await;
        }
    }

    /// Brings PostgreSQL back on its data, after a kill.
    pub async fn restart_postgres(&mut self) -> Result<()> {
        match &mut self.postgres {
            Some(postgres) => postgres.restart(&self.home).await,
            None => Err(Error::new("this stack has no PostgreSQL of its own")),
        }
    }

    /// Kills what the functions run in, with whatever they are doing.
    pub async fn kill_functions(&mut self) {
        for service in self.functions.drain(..) {
            service.kill().await;
        }
    }

    /// Brings the functions back, on the same ports: fresh isolates, which remember nothing.
    pub async fn restart_functions(&mut self) -> Result<()> {
        self.kill_functions().await;
        self.run_functions().await
    }

    /// Resolves when a part that should run does not, and says which.
    pub async fn broken(&self) -> Error {
        let services = self.functions.iter().chain(&self.postgrest).chain(self.postgres.iter().map(Postgres::service));
        let mut endings: FuturesUnordered<_> = services.map(Service::ended).collect();
        match endings.next().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Stops what has been started, front to back, once the requests that are under way have been answered.
    pub async fn stop(mut self) {
        let _ = std::fs::remove_file(self.home.description());
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        for service in self.functions.drain(..) {
            service.stop().await;
        }
        self.stop_postgrest().await;
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await;
        }
        let _ = std::fs::remove_file(self.home.pids());
        // A test's folder goes when all is well; `dev --ephemeral` shares .selvedge with its keys, which stay.
        if self.options.ephemeral && self.options.folder != self.checkout.state() {
            self.home.remove();
        }
    }
}
