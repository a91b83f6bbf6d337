//! Where to turn in a crisis. It goes with every answer to a message that showed a risk, above all with the answers
//! that say something went wrong.

use shared::http::Response;
use shared::problem::Problem;

/// The member of an answer that has the resources.
const MEMBER: &str = "crisis";
/// Its value, from `resources/`: the build makes one line of JSON of the file.
pub const CRISIS: &str = include_str!(concat!(env!("OUT_DIR"), "/crisis.json"));

/// Adds the resources to an answer that is a JSON object.
pub(crate) fn add_to(response: &mut Response) {
    if let Some(body) = &mut response.body
        && body.last() == Some(&b'}')
    {
        body.pop();
        body.extend_from_slice(b",\"");
        body.extend_from_slice(MEMBER.as_bytes());
        body.extend_from_slice(b"\":");
        body.extend_from_slice(CRISIS.as_bytes());
        body.push(b'}');
    }
}

/// Adds the resources to a problem.
pub(crate) fn add_to_problem(problem: &mut Problem) {
    problem.add_member(MEMBER, CRISIS);
}
