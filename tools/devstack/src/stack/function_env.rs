//! What a function is told about the world, on either host.

use super::home::Home;
use crate::{checkout::Checkout, tools::toolbox::Toolbox};

/// Where functions run, and with what: for whoever starts them on a host.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// For logs, process ids and what the host keeps.
    pub home: &'a Home,
    /// Where the functions were built.
    pub checkout: &'a Checkout,
    /// The hosts' programs.
    pub toolbox: &'a Toolbox,
    /// The functions' variables.
    pub variables: &'a [(String, String)],
}

/// The variables a function may read, besides the twin of each `SUPABASE_X`.
const NAMES: [&str; 15] = [
    "SUPABASE_URL",
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_PUBLISHABLE_KEYS",
    "SUPABASE_ANON_KEY",
    "SUPABASE_JWKS",
    "SUPABASE_JWT_SECRET",
    "SUPABASE_JWT_ISSUER",
    "SUPABASE_TIMEOUT",
    "SUPABASE_MAX_RETRIES",
    "ALLOWED_ORIGINS",
    "ANONYMOUS",
    "CRISIS_RESOURCES",
    "MESSAGE_MAX_CHARS",
    "PROBLEM_TYPE_BASE",
    "LOG_LEVEL",
];

/// What hosted Supabase puts into a function's environment besides, and no function may touch. The values are made up
/// and unlike any other, so that a test can look for them in everything that leaves.
pub const NOT_FOR_FUNCTIONS: [(&str, &str); 2] = [
    ("SUPABASE_SERVICE_ROLE_KEY", "decoy-service-role-key-5b0f6a1c"),
    ("SUPABASE_SECRET_KEYS", r#"{"default":"decoy-secret-key-e27d94f3"}"#),
];

/// The secrets in them, as they would look on their way out.
pub const DECOYS: [&str; 2] = ["decoy-service-role-key-5b0f6a1c", "decoy-secret-key-e27d94f3"];

/// Every variable a function may read. On Deno this is the permission list; reading any other fails.
///
/// `SELVEDGE_X` stands for `SUPABASE_X` on hosted Supabase, where nobody may set names that begin so.
pub fn names() -> impl Iterator<Item = String> {
    NAMES.into_iter().flat_map(|name| {
        let twin = name.strip_prefix("SUPABASE_").map(|rest| format!("SELVEDGE_{rest}"));
        std::iter::once(name.to_owned()).chain(twin)
    })
}

/// The variables of a stack's functions: the stack's own, then whatever of the list `env` has, which wins.
pub fn variables(api_url: &str, publishable_key: &str, env: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let ours = |name: &str| match name {
        "SUPABASE_URL" => Some(api_url.to_owned()),
        "SUPABASE_PUBLISHABLE_KEY" => Some(publishable_key.to_owned()),
        "ALLOWED_ORIGINS" => Some("*".to_owned()),
        _ => None,
    };
    names().filter_map(|name| env(&name).or_else(|| ours(&name)).map(|value| (name, value))).collect()
}

/// The same for functions that reach the stack by a door of their own. Tokens are still issued at `api_url`.
pub fn variables_behind(
    door: &str,
    api_url: &str,
    publishable_key: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let issuer = || format!("{api_url}/auth/v1");
    variables(door, publishable_key, &|name| env(name).or_else(|| (name == "SUPABASE_JWT_ISSUER").then(issuer)))
}

#[cfg(test)]
mod tests {
    use super::{DECOYS, NOT_FOR_FUNCTIONS, names, variables, variables_behind};

    #[test]
    fn a_door_of_their_own_changes_where_requests_go_and_not_who_issues_tokens() {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = variables_behind("http://door", "http://api", "k", &|_| None);
        assert!(all.contains(&text("SUPABASE_URL", "http://door")), "{all:?}");
        assert!(all.contains(&text("SUPABASE_JWT_ISSUER", "http://api/auth/v1")), "{all:?}");
    }

    #[test]
    fn what_is_not_for_functions_is_not_on_the_list_of_what_they_may_read() {
        for ((name, value), decoy) in NOT_FOR_FUNCTIONS.into_iter().zip(DECOYS) {
            assert!(value.contains(decoy));
            assert!(names().all(|known| known != name), "{name}");
        }
    }

    #[test]
    fn the_environment_adds_and_replaces_but_only_what_is_on_the_list() {
        let env = |name: &str| match name {
            "ALLOWED_ORIGINS" => Some("https://app.example".to_owned()),
            "SUPABASE_TIMEOUT" => Some("2".to_owned()),
            "SUPABASE_SERVICE_ROLE_KEY" => Some("secret".to_owned()),
            "SELVEDGE_MAX_RETRIES" => Some("0".to_owned()),
            _ => None,
        };
        assert_eq!(
            variables("http://api", "sb_publishable_x", &env),
            [
                ("SUPABASE_URL", "http://api"),
                ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x"),
                ("SUPABASE_TIMEOUT", "2"),
                ("SELVEDGE_MAX_RETRIES", "0"),
                ("ALLOWED_ORIGINS", "https://app.example"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
