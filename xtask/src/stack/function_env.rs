//! What a function is told about the world, on either host.

/// The variables a function may read, besides the twin of each `SUPABASE_X`.
const NAMES: [&str; 12] = [
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
    "MESSAGE_MAX_CHARS",
    "LOG_LEVEL",
];

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

#[cfg(test)]
mod tests {
    use super::variables;

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
