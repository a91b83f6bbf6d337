//! `GET /machines/{id}`: a machine, as its definition, as a Mermaid diagram, or as a picture.

use shared::answer::{self, Problem};
use shared::edge::{Credentials, Head, Query};
use shared::host::Response;
use shared::http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use shared::http::{HeaderValue, StatusCode};
use shared::request::{Id, Request, Within, Word};
use shared::serde::Deserialize;
use shared::serde_json::value::to_raw_value;
use shared::upstream::Database;

use crate::machines::{self, Machine};
use crate::{MACHINE_CONFLICT, MACHINE_NOT_FOUND};

/// Which machine, and how it is shown.
#[derive(Debug, Request)]
pub(crate) struct Picture {
    /// The machine.
    #[request(path, skip)]
    pub(crate) id: String,
    /// A session of the caller's on this machine, whose state is marked. Needs a token.
    pub(crate) session_id: Option<Id>,
    /// The machine's version; the latest if not given.
    #[request(skip)]
    pub(crate) version: Option<Within<{ u32::MAX }>>,
    /// How; if not given, as `Accept` says.
    #[request(skip)]
    pub(crate) format: Option<Format>,
}

/// How a machine is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub(crate) enum Format {
    /// Its definition.
    Json,
    /// A Mermaid diagram.
    Mermaid,
    /// A picture.
    Svg,
}

/// What is read of a session's state.
#[derive(Debug, Deserialize)]
#[serde(crate = "shared::serde")]
struct SessionState {
    state: String,
    machine: SessionMachine,
}

#[derive(Debug, Deserialize)]
#[serde(crate = "shared::serde")]
struct SessionMachine {
    id: String,
    version: u32,
}

/// Shows a machine. Without a `session_id` anyone may look: a machine is no secret.
pub(crate) async fn machine(
    Query(picture): Query<Picture>,
    Head(head): Head,
    credentials: Credentials<()>,
    database: Database,
) -> Result<Response, Problem> {
    let format = picture.format.unwrap_or_else(|| Format::accepted(head.header(ACCEPT).unwrap_or_default()));
    if picture.session_id.is_none() {
        let version = picture.version.map(|Within(version)| version);
        return Ok(format.show(find(&picture.id, version)?, None));
    }
    let caller = credentials.verify().await?;
    let session: SessionState = database.read("get_session_state", &caller, &picture).await?;
    let SessionMachine { id, version } = session.machine;
    if id != picture.id {
        let mut problem = Problem::new(&MACHINE_CONFLICT, "The session is on another machine.");
        if let Ok(id) = to_raw_value(&id) {
            problem.add_member("machine", id);
        }
        return Err(problem);
    }
    Ok(format.show(find(&id, Some(version))?, Some(&session.state)))
}

fn find(id: &str, version: Option<u32>) -> Result<&'static Machine, Problem> {
    machines::find(id, version)
        .ok_or_else(|| Problem::new(&MACHINE_NOT_FOUND, "There is no machine of this name and version."))
}

impl Format {
    /// What an `Accept` header names first of ours; JSON where it names nothing of ours.
    fn accepted(accept: &str) -> Self {
        let media_types = accept.split(',').filter_map(|range| range.split(';').next());
        let first = media_types.map(str::trim_ascii).find_map(|media_type| match media_type {
            "text/vnd.mermaid" => Some(Self::Mermaid),
            "image/svg+xml" => Some(Self::Svg),
            "application/json" => Some(Self::Json),
            _ => None,
        });
        first.unwrap_or(Self::Json)
    }

    fn show(self, machine: &Machine, here: Option<&str>) -> Response {
        let (media_type, body) = match self {
            Self::Json => return answer::json(StatusCode::OK, machine.definition),
            Self::Mermaid => ("text/vnd.mermaid; charset=utf-8", machine.mermaid(here)),
            Self::Svg => ("image/svg+xml", machine.svg(here)),
        };
        let mut response = answer::of_type(StatusCode::OK, media_type, body);
        // A picture opened by itself is a document; this one has nothing to run or load.
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::Format;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn the_first_type_of_ours_decides() {
        for (accept, format) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/vnd.mermaid", Format::Mermaid),
            ("text/html, image/svg+xml;q=0.9, application/json", Format::Svg),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn what_is_not_ours_decides_nothing(others in proptest::collection::vec("[a-z]{1,4}/[a-z*]{1,4}(;q=0.[0-9])?", 0..4)) {
            prop_assert_eq!(Format::accepted(&others.join(", ")), Format::Json);
            let with = [others, vec!["image/svg+xml;q=0.1".to_owned(), "text/vnd.mermaid".to_owned()]].concat();
            prop_assert_eq!(Format::accepted(&with.join(" , ")), Format::Svg);
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            let _ = Format::accepted(&text);
        }
    }
}
