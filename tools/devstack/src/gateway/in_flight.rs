//! Requests to functions that are under way, so that stopping can wait for them.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use hyper::{
    StatusCode,
    header::{CONNECTION, RETRY_AFTER},
};
use serde_json::json;
use tokio::sync::watch;

use super::{cors, reply};

/// How many there are; clones count together.
#[derive(Debug, Clone)]
pub struct InFlight(watch::Sender<Count>);

#[derive(Debug, Default)]
struct Count {
    requests: usize,
    closed: bool,
}

/// One of them. Dropped, it is over.
#[derive(Debug)]
struct One(InFlight);

impl InFlight {
    /// Nothing yet.
    pub fn none() -> Self {
        Self(watch::Sender::new(Count::default()))
    }

    /// Lets no more in, and resolves once those that are in have been answered.
    pub async fn finish(&self) {
        self.0.send_modify(|count| count.closed = true);
        // Errs when nobody counts any more, and then there are none.
        let _ = self.0.subscribe().wait_for(|count| count.requests == 0).await;
    }

    fn enter(&self) -> Option<One> {
        let entered = self.0.send_if_modified(|count| {
            count.requests += usize::from(!count.closed);
            !count.closed
        });
        entered.then(|| One(self.clone()))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.requests -= 1);
    }
}

/// Counts a request to a function until its answer has been read to the end.
///
/// Requests for PostgREST are not counted and not refused: a function that is still at work sends them too.
pub async fn count(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/functions/") {
        return next.run(request).await;
    }
    let Some(one) = in_flight.enter() else {
        let mut refusal = reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "message": "The stack is stopping" }));
        cors::open(refusal.headers_mut());
        return ([(RETRY_AFTER, "1"), (CONNECTION, "close")], refusal).into_response();
    };
    // The body holds its place until it is dropped.
    let hold = move |_: &_| _ = &one;
    next.run(request).await.map(|body| Body::new(body.inspect_frame(hold)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, body::Body, extract::Request, middleware, routing::any};
    use hyper::StatusCode;
    use tower_service::Service as _;

    use super::{InFlight, count};

    async fn status(mut app: Router, path: &str) -> StatusCode {
        app.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn stopping_waits_for_what_is_under_way_and_lets_nothing_new_in() {
        let in_flight = InFlight::none();
        let (answer, wait) = tokio::sync::watch::channel(false);
        let function = any(move || {
            let mut wait = wait.clone();
            async move {
                let _ = wait.wait_for(|go| *go).await;
            }
        });
        let app = Router::new().route("/functions/v1/f", function).route("/rest/v1/t", any(async || ()));
        let app = app.layer(middleware::from_fn_with_state(in_flight.clone(), count));

        let first = tokio::spawn(status(app.clone(), "/functions/v1/f"));
        while in_flight.0.borrow().requests == 0 {
            tokio::task::yield_now().await;
        }
        let mut finished = Box::pin(in_flight.finish());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut finished).await.is_err());
        assert_eq!(status(app.clone(), "/functions/v1/f").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(app.clone(), "/rest/v1/t").await, StatusCode::OK);
        answer.send(true).unwrap();
        finished.await;
        assert_eq!(first.await.unwrap(), StatusCode::OK);
    }
}
