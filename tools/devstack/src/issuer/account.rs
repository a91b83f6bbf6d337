//! Users: made, found, shown.

use serde_json::{Value, json};
use tokio_postgres::{Client, error::SqlState};
use uuid::Uuid;

use super::{DEVELOPER_PASSWORD, refusal::Refusal};

/// A user, as clients see one.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The `sub` of their tokens.
    pub id: Uuid,
    /// All of it.
    pub json: Value,
}

/// The shape Supabase's clients expect; every address counts as confirmed.
const SHOWN: &str = "id, jsonb_build_object(
    'id', id, 'aud', aud, 'role', role, 'email', coalesce(email, ''), 'phone', '',
    'email_confirmed_at', case when email is not null then created_at end,
    'confirmed_at', case when email is not null then created_at end,
    'last_sign_in_at', last_sign_in_at, 'created_at', created_at, 'updated_at', updated_at,
    'app_metadata', raw_app_meta_data, 'user_metadata', raw_user_meta_data,
    'is_anonymous', is_anonymous, 'identities', '[]'::jsonb)";

impl Account {
    /// Signs up somebody without a name.
    pub async fn anonymous(client: &Client, metadata: &Value) -> Result<Self, Refusal> {
        let sql = format!(
            "insert into auth.users (is_anonymous, raw_app_meta_data, raw_user_meta_data, last_sign_in_at)
             values (true, '{{}}', $1, now()) returning {SHOWN}"
        );
        Self::only(client.query(&sql, &[metadata]).await?).ok_or_else(Refusal::unavailable)
    }

    /// Signs up somebody with an e-mail address and a password.
    pub async fn with_email(client: &Client, email: &str, password: &str, metadata: &Value) -> Result<Self, Refusal> {
        let email = address(email)?;
        if password.chars().count() < 6 {
            return Err(Refusal::unprocessable("weak_password", "Password should be at least 6 characters."));
        }
        let provider = json!({ "provider": "email", "providers": ["email"] });
        let sql = format!(
            "insert into auth.users
               (email, encrypted_password, raw_app_meta_data, raw_user_meta_data, last_sign_in_at)
             values ($1, extensions.crypt($2, extensions.gen_salt('bf', 6)), $3, $4, now()) returning {SHOWN}"
        );
        let rows = client.query(&sql, &[&email, &password, &provider, metadata]).await.map_err(|error| match error
            .code()
        {
            Some(&SqlState::UNIQUE_VIOLATION) => {
                Refusal::unprocessable("user_already_exists", "User already registered")
            }
            _ => error.into(),
        })?;
        Self::only(rows).ok_or_else(Refusal::unavailable)
    }

    /// The one whose password this is. Who is not there and whose password is wrong get the same answer.
    pub async fn by_password(client: &Client, email: &str, password: &str) -> Result<Self, Refusal> {
        let sql = format!(
            "update auth.users set last_sign_in_at = now()
             where email = $1 and encrypted_password = extensions.crypt($2, encrypted_password) returning {SHOWN}"
        );
        let rows = client.query(&sql, &[&email.trim().to_lowercase(), &password]).await?;
        Self::only(rows).ok_or_else(|| Refusal::bad_request("invalid_credentials", "Invalid login credentials"))
    }

    /// The one with this email address, who is signed up with [`DEVELOPER_PASSWORD`] where there is none.
    pub async fn found_or_made(client: &Client, email: &str) -> Result<Self, Refusal> {
        let sql = format!("select {SHOWN} from auth.users where email = $1");
        match Self::only(client.query(&sql, &[&address(email)?]).await?) {
            Some(account) => Ok(account),
            None => Self::with_email(client, email, DEVELOPER_PASSWORD, &json!({})).await,
        }
    }

    /// By id.
    pub async fn by_id(client: &Client, id: Uuid) -> Result<Option<Self>, Refusal> {
        let sql = format!("select {SHOWN} from auth.users where id = $1");
        Ok(Self::only(client.query(&sql, &[&id]).await?))
    }

    fn only(rows: Vec<tokio_postgres::Row>) -> Option<Self> {
        let row = rows.first()?;
        Some(Self { id: row.get(0), json: row.get(1) })
    }
}

/// An address as it is stored.
fn address(email: &str) -> Result<String, Refusal> {
    let email = email.trim().to_lowercase();
    let plausible = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    if plausible && !email.contains(char::is_whitespace) {
        return Ok(email);
    }
    Err(Refusal::bad_request("validation_failed", "Unable to validate email address: invalid format"))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_trimmed_and_lower_case() {
        assert_eq!(address(" Ada@Example.com ").as_deref(), Ok("ada@example.com"));
        for wrong in ["", "ada", "@example.com", "ada@host", "a b@example.com"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
