//! Which part of the stack a path belongs to, and what that part gets to see of it.

use std::collections::BTreeMap;

use super::style::Style;
use crate::host::Host;

/// Who is where.
#[derive(Debug, Clone)]
pub struct Routes {
    /// Whose gateway this one behaves as.
    pub style: Style,
    /// Where the functions run, which decides what of the path they see.
    pub host: Host,
    /// The gateway's own URL.
    pub api_url: String,
    /// What `apikey` must be.
    pub publishable_key: String,
    /// PostgREST's port.
    pub postgrest: u16,
    /// Each function's port.
    pub functions: BTreeMap<String, u16>,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// PostgREST, with this path.
    Rest {
        /// Below `/rest/v1`.
        path: &'a str,
    },
    /// A function, with this path.
    Function {
        /// Its port.
        port: u16,
        /// As its host hands it over.
        path: &'a str,
        /// What was in front.
        prefix: &'a str,
    },
    /// `/functions/v1/` of a function there is not.
    NoFunction,
    /// None of these.
    Unknown,
}

/// Reads a path.
pub fn target<'a>(routes: &Routes, path: &'a str) -> Target<'a> {
    if let Some(below) = below(path, "/rest/v1") {
        return Target::Rest { path: below };
    }
    // Supabase's edge runtime leaves the function's name in the path; a Worker has the root to itself.
    let Some(named) = below(path, "/functions/v1") else { return Target::Unknown };
    let name_ends = named.strip_prefix('/').map_or(0, |rest| 1 + rest.find('/').unwrap_or(rest.len()));
    let (slash_name, within) = named.split_at(name_ends);
    let Some(port) = routes.functions.get(slash_name.trim_start_matches('/')) else { return Target::NoFunction };
    let seen = match routes.host {
        Host::Workers => within,
        Host::Supabase => named,
    };
    let prefix = path.strip_suffix(seen).unwrap_or(path);
    Target::Function { port: *port, path: if seen.is_empty() { "/" } else { seen }, prefix }
}

/// What follows a prefix that ends where a segment ends.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Routes, Style};
    use super::{Target, target};
    use crate::host::Host;

    fn routes(host: Host) -> Routes {
        Routes {
            style: Style::Supabase,
            host,
            api_url: String::new(),
            publishable_key: String::new(),
            postgrest: 1,
            functions: [("chat-message".to_owned(), 2)].into(),
        }
    }

    #[test]
    fn a_worker_sees_its_own_root() {
        let prefix = "/functions/v1/chat-message";
        let function = |path| Target::Function { port: 2, path, prefix };
        let routes = routes(Host::Workers);
        assert_eq!(target(&routes, "/functions/v1/chat-message"), function("/"));
        assert_eq!(target(&routes, "/functions/v1/chat-message/"), function("/"));
        assert_eq!(target(&routes, "/functions/v1/chat-message/sessions/%2F"), function("/sessions/%2F"));
    }

    #[test]
    fn an_edge_function_sees_its_name() {
        let function = |path| Target::Function { port: 2, path, prefix: "/functions/v1" };
        let routes = routes(Host::Supabase);
        assert_eq!(target(&routes, "/functions/v1/chat-message"), function("/chat-message"));
        assert_eq!(target(&routes, "/functions/v1/chat-message/health"), function("/chat-message/health"));
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        let routes = routes(Host::Workers);
        assert_eq!(target(&routes, "/rest/v1/sessions"), Target::Rest { path: "/sessions" });
        assert_eq!(target(&routes, "/rest/v10"), Target::Unknown);
        assert_eq!(target(&routes, "/functions/v1/chat-messages"), Target::NoFunction);
        assert_eq!(target(&routes, "/functions/v1"), Target::NoFunction);
        assert_eq!(target(&routes, "/"), Target::Unknown);
    }
}
