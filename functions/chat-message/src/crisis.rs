//! Where to turn in a crisis. It goes with every response to a message that showed a risk, above all with those that
//! say that something went wrong.

use shared::answer;
use shared::host::{Request, Response};
use shared::http::Method;
use shared::request::RequestBody;

/// The helplines, from `resources/`: the build makes one line of JSON of the files.
pub const CRISIS: &str = include_str!(concat!(env!("OUT_DIR"), "/crisis.json"));

/// The field that makes the response bring help along.
const RISK: &str = "risk";

/// Adds the helplines to every response to a body with `risk`, whatever the path and whatever came of it: nobody in a
/// crisis should hear of a typing error alone. A body that cannot be read may have said so.
pub(crate) fn always(request: &Request, body: &RequestBody, response: &mut Response) {
    if matches!(request.method, Method::POST | Method::PUT) && body.has(RISK).unwrap_or(true) {
        answer::add_member(response, "crisis", CRISIS);
    }
}
