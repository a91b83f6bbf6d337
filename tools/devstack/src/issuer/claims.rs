//! What an access token says.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{TOKEN_SECONDS, account::Account};

/// The claims of a user's token, in the shape of hosted Supabase's.
pub fn of(issuer: &str, account: &Account, session_id: Uuid, now: i64) -> Value {
    let member = |name: &str| account.json.get(name).cloned().unwrap_or_default();
    let anonymous = member("is_anonymous") == true;
    let method = if anonymous { "anonymous" } else { "password" };
    json!({
        "iss": issuer,
        "sub": account.id,
        "aud": member("aud"),
        "role": member("role"),
        "exp": now + TOKEN_SECONDS,
        "iat": now,
        "email": member("email"),
        "phone": "",
        "is_anonymous": anonymous,
        "session_id": session_id,
        "app_metadata": member("app_metadata"),
        "user_metadata": member("user_metadata"),
        "aal": "aal1",
        "amr": [{ "method": method, "timestamp": now }],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::of;
    use crate::issuer::account::Account;

    #[test]
    fn a_token_says_who_and_until_when() {
        let json = json!({ "aud": "authenticated", "role": "authenticated", "is_anonymous": true });
        let claims = of("http://api/auth/v1", &Account { id: Uuid::nil(), json }, Uuid::nil(), 1000);
        assert_eq!(claims.get("exp"), Some(&json!(4600)));
        assert_eq!(claims.get("sub"), Some(&json!(Uuid::nil())));
        assert_eq!(claims.get("amr"), Some(&json!([{ "method": "anonymous", "timestamp": 1000 }])));
    }
}
