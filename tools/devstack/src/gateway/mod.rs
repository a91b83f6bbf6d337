//! One address in front of everything, laid out as a Supabase project's API.
//!
//! | path | goes to |
//! |---|---|
//! | `/rest/v1/*` | PostgREST |
//! | `/functions/v1/<function>/*` | the function, which checks its callers itself |
//! | `/auth/v1/*` | the development-only [issuer](crate::issuer) |

pub mod api_key;
pub mod connector;
pub mod cors;
pub mod drain;
pub mod headers;
pub mod in_flight;
pub mod lenient;
pub mod proxy;
pub mod reply;
pub mod route;
pub mod state;
pub mod style;

use std::{fmt, net::TcpListener, sync::Arc, time::Duration};

use axum::{Router, middleware};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;

use crate::{
    error::{Context as _, Result},
    issuer::{self, Issuer},
};
use lenient::Connections;
pub use route::Routes;
use state::Shared;
pub use style::Style;

/// How long requests that are under way may take when the gateway stops: above the longest a function waits for the
/// database (`SUPABASE_TIMEOUT`), if nobody has changed it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection to what is behind is kept while nothing is under way: less than workerd's five seconds and
/// PostgREST's thirty. Whoever reuses one at the moment the other side closes it loses a request that cannot be repeated.
const IDLE: Duration = Duration::from_secs(3);
/// How long the last answers may take to reach their callers then.
const CLOSING: Duration = Duration::from_secs(2);

/// Puts middleware around everything the gateway serves at one of its addresses.
pub type Wrap = Box<dyn FnOnce(Router) -> Router + Send>;

/// Middleware for those who watch what goes through the gateway.
pub struct Watch {
    /// Around the requests of clients.
    pub clients: Wrap,
    /// Around the requests of the functions, which get an address of their own.
    pub functions: Wrap,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Where the gateway is reached.
#[derive(Debug)]
pub struct Listeners {
    /// By everybody.
    pub clients: TcpListener,
    /// By the functions alone, where somebody watches.
    pub functions: Option<(TcpListener, Watch)>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    serving: Vec<JoinHandle<std::io::Result<()>>>,
    in_flight: TaskTracker,
    close: watch::Sender<bool>,
}

impl Gateway {
    /// Serves on ports that have been taken.
    pub fn start(listeners: Listeners, routes: Routes, issuer: Issuer) -> Result<Self> {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector::connector());
        let shared = Shared { routes: Arc::new(routes), issuer: issuer.clone(), client };
        let auth = issuer::routes::router(issuer)
            .layer(middleware::from_fn_with_state(shared.clone(), api_key::require))
            .layer(middleware::from_fn(cors::allow_any_origin));
        let in_flight = TaskTracker::new();
        let app = Router::new().nest("/auth/v1", auth).fallback(proxy::forward).with_state(shared);
        let app = app.layer(middleware::from_fn_with_state(in_flight.clone(), in_flight::count));
        let (close, closing) = watch::channel(false);
        let serve = |listener, app| serve(listener, app, closing.clone());
        let Listeners { clients, functions } = listeners;
        let serving = match functions {
            None => vec![serve(clients, app)?],
            Some((functions, watch)) => {
                vec![serve(clients, (watch.clients)(app.clone()))?, serve(functions, (watch.functions)(app))?]
            }
        };
        Ok(Self { serving, in_flight, close })
    }

    /// Takes no more requests for functions, waits until those it has are answered, and stops serving.
    pub async fn stop(mut self) {
        self.in_flight.close();
        let _ = timeout(PATIENCE, self.in_flight.wait()).await;
        // Only now: a function that is still at work reaches the database through here.
        let _ = self.close.send(true);
        for listener in &mut self.serving {
            let _ = timeout(CLOSING, listener).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for listener in &self.serving {
            listener.abort();
        }
    }
}

fn serve(
    listener: TcpListener,
    app: Router,
    mut closing: watch::Receiver<bool>,
) -> Result<JoinHandle<std::io::Result<()>>> {
    let unusable = || "The gateway's port cannot be used".into();
    listener.set_nonblocking(true).context(unusable)?;
    let listener = Connections(tokio::net::TcpListener::from_std(listener).context(unusable)?);
    let closed = async move {
        let _ = closing.wait_for(|close| *close).await;
    };
    Ok(tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(closed).await }))
}
