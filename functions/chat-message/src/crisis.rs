//! Where to turn in a crisis. It goes with every answer to a message that showed a risk, above all with the answers
//! that say something went wrong.

use shared::http::Response;
use shared::json::ObjectWriter;
use shared::problem::Problem;

/// The member of an answer that has the resources.
const MEMBER: &str = "crisis";
/// Its value, from `resources/`: the build makes one line of JSON of the file.
pub const CRISIS: &str = include_str!(concat!(env!("OUT_DIR"), "/crisis.json"));

/// Adds the resources to an answer that is a JSON object.
pub(crate) fn add_to(response: &mut Response) {
    let mut member = ObjectWriter::new();
    member.raw(MEMBER, CRISIS);
    response.add_members(&member.finish());
}

/// Adds the resources to a problem.
pub(crate) fn add_to_problem(problem: &mut Problem) {
    problem.add_member(MEMBER, CRISIS);
}
