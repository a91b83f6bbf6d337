//! `GET /machines/{id}`: a machine, as its definition, as a Mermaid diagram, or as a picture.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step, unexpected};
use shared::http::Response;
use shared::json::{Object, Raw, digits, quoted};
use shared::problem::{Problem, Rule};
use shared::text::{cut, parts};

use crate::machines::{self, Machine};
use crate::{MACHINE_CONFLICT, MACHINE_NOT_FOUND};

static NOT_A_FORMAT: Rule = Rule { code: "not_allowed", detail: "must be json, mermaid or svg" };

static PARAMETERS: &[Field] = &[
    Field::optional("session_id", Kind::Id),
    Field::optional("version", Kind::Within(u32::MAX as u64)),
    Field::optional("format", Kind::Word(&["json", "mermaid", "svg"], &NOT_A_FORMAT)),
];

/// How a machine is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Mermaid,
    Svg,
}

/// Shows a machine. Without a `session_id` anyone may look: a machine is no secret.
pub(crate) fn machine(exchange: &Exchange<()>) -> Result<Step, Problem> {
    let mut form = exchange.query(PARAMETERS);
    let format = match form.take_text("format") {
        Some(name) => Format::named(&name),
        None => Format::accepted(exchange.request.header("accept").unwrap_or_default()),
    };
    let version = form.number("version");
    form.take("version");
    let id = exchange.path.last().copied().unwrap_or_default().to_owned();
    form.finish()?;
    if form.json("session_id").is_none() {
        return Ok(Step::Answer(format.show(find(&id, version)?, None)));
    }
    Ok(Step::call("get_session_state", form.arguments()?, move |found| {
        let found = found?;
        let session = Object::of_bytes(&found).ok_or_else(unexpected)?;
        let machine = session.get("machine").and_then(Object::read).ok_or_else(unexpected)?;
        let name = machine.get("id").and_then(Raw::string).ok_or_else(unexpected)?;
        if name != id {
            let mut problem = Problem::new(&MACHINE_CONFLICT, "The session is on another machine.");
            problem.add_member("machine", quoted(&name));
            return Err(problem);
        }
        let version = machine.get("version").and_then(|version| digits(version.text()));
        let here = session.get("state").and_then(Raw::string);
        Ok(format.show(find(&id, version)?, here.as_deref()))
    }))
}

fn find(id: &str, version: Option<u64>) -> Result<&'static Machine, Problem> {
    machines::find(id, version)
        .ok_or_else(|| Problem::new(&MACHINE_NOT_FOUND, "There is no machine of this name and version."))
}

impl Format {
    fn named(name: &str) -> Self {
        match name {
            "mermaid" => Self::Mermaid,
            "svg" => Self::Svg,
            _ => Self::Json,
        }
    }

    /// What an `Accept` header names first of ours; JSON where it names nothing of ours.
    fn accepted(accept: &str) -> Self {
        let first = parts(accept, b',').find_map(|range| {
            let media_type = cut(range, b';').0.trim_ascii();
            match media_type {
                "text/vnd.mermaid" => Some(Self::Mermaid),
                "image/svg+xml" => Some(Self::Svg),
                "application/json" => Some(Self::Json),
                _ => None,
            }
        });
        first.unwrap_or(Self::Json)
    }

    fn show(self, machine: &Machine, here: Option<&str>) -> Response {
        let (media_type, body) = match self {
            Self::Json => return Response::json(200, machine.definition),
            Self::Mermaid => ("text/vnd.mermaid; charset=utf-8", machine.mermaid(here)),
            Self::Svg => ("image/svg+xml", machine.svg(here)),
        };
        let mut response = Response::empty(200);
        response.body = Some(body.into_bytes());
        // A picture opened by itself is a document; this one has nothing to run or load.
        response
            .with("content-type", media_type)
            .with("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
            .with("x-content-type-options", "nosniff")
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
