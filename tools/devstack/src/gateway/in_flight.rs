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
use tokio_util::task::TaskTracker;

use super::{cors, reply};

/// Counts a request to a function until its answer has been read to the end. None is let in once the tracker is closed.
///
/// Requests for PostgREST are not counted and not refused: a function that is still at work sends them too.
pub async fn count(State(in_flight): State<TaskTracker>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/functions/") {
        return next.run(request).await;
    }
    // Counted first: whoever closes the tracker and then waits for it waits for this one, too.
    let one = in_flight.token();
    if in_flight.is_closed() {
        let mut refusal = reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "message": "The stack is stopping" }));
        cors::open(refusal.headers_mut());
        return ([(RETRY_AFTER, "1"), (CONNECTION, "close")], refusal).into_response();
    }
    // The body holds its place until it is dropped.
    let hold = move |_: &_| _ = &one;
    next.run(request).await.map(|body| Body::new(body.inspect_frame(hold)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, body::Body, extract::Request, middleware, routing::any};
    use hyper::StatusCode;
    use tower::Service as _;

    use super::{TaskTracker, count};

    async fn status(mut app: Router, path: &str) -> StatusCode {
        app.call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn stopping_waits_for_what_is_under_way_and_lets_nothing_new_in() {
        let in_flight = TaskTracker::new();
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
        while in_flight.is_empty() {
            tokio::task::yield_now().await;
        }
        in_flight.close();
        let mut finished = Box::pin(in_flight.wait());
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut finished).await.is_err());
        assert_eq!(status(app.clone(), "/functions/v1/f").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(app.clone(), "/rest/v1/t").await, StatusCode::OK);
        answer.send(true).unwrap();
        finished.await;
        assert_eq!(first.await.unwrap(), StatusCode::OK);
    }
}
