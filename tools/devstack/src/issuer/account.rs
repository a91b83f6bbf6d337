//! Users: made, found, shown.

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, GenericClient, Row, error::SqlState, types::Type};
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
        Ok(client.query_one(&sql, &[metadata]).await?.into())
    }

    /// Signs up somebody with an e-mail address and a password.
    pub async fn with_email(client: &Client, email: &str, password: &str, metadata: &Value) -> Result<Self, Refusal> {
        let email = address(email)?;
        check_strength(password)?;
        let provider = json!({ "provider": "email", "providers": ["email"] });
        let sql = format!(
            "insert into auth.users
               (email, encrypted_password, raw_app_meta_data, raw_user_meta_data, last_sign_in_at)
             values ($1, extensions.crypt($2, extensions.gen_salt('bf', 6)), $3, $4, now()) returning {SHOWN}"
        );
        let row = client.query_one(&sql, &[&email, &password, &provider, metadata]).await;
        row.map(Self::from).map_err(|error| taken(error, "user_already_exists", "User already registered"))
    }

    /// The one whose password this is. Who is not there and whose password is wrong get the same answer.
    pub async fn by_password(client: &Client, email: &str, password: &str) -> Result<Self, Refusal> {
        let sql = format!(
            "update auth.users set last_sign_in_at = now()
             where email = $1 and encrypted_password = extensions.crypt($2, encrypted_password) returning {SHOWN}"
        );
        let row = client.query_opt(&sql, &[&email.trim().to_lowercase(), &password]).await?;
        row.map(Self::from)
            .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "invalid_credentials", "Invalid login credentials"))
    }

    /// The one with this email address, who is signed up with [`DEVELOPER_PASSWORD`] where there is none.
    pub async fn found_or_made(client: &Client, email: &str) -> Result<Self, Refusal> {
        let sql = format!("select {SHOWN} from auth.users where email = $1");
        match client.query_opt(&sql, &[&address(email)?]).await? {
            Some(row) => Ok(row.into()),
            None => Self::with_email(client, email, DEVELOPER_PASSWORD, &json!({})).await,
        }
    }

    /// By id.
    pub async fn by_id(client: &impl GenericClient, id: Uuid) -> Result<Option<Self>, Refusal> {
        let sql = format!("select {SHOWN} from auth.users where id = $1");
        Ok(client.query_opt(&sql, &[&id]).await?.map(Self::from))
    }

    /// Changes what a user asks to have changed. An anonymous user who gives an address becomes a permanent one.
    ///
    /// Nobody confirms an address here, so a new one counts at once. On Supabase it counts when the user has followed the
    /// link in an e-mail.
    pub async fn change(&self, client: &Client, changes: &Changes<'_>) -> Result<Self, Refusal> {
        let Changes { email, password, data } = changes;
        let email = email.map(address).transpose()?;
        if let Some(password) = password {
            check_strength(password)?;
            if self.json.get("is_anonymous") == Some(&json!(true)) && email.is_none() {
                let message = "Updating password of an anonymous user without an email or phone is not allowed";
                return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message));
            }
            let sql = "select coalesce(encrypted_password = extensions.crypt($2, encrypted_password), false)
                from auth.users where id = $1";
            if client.query_one(sql, &[&self.id, password]).await?.get(0) {
                let message = "New password should be different from the old password.";
                return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "same_password", message));
            }
        }
        // A member that is null goes.
        let removed: Vec<&str> =
            data.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.as_str()).collect();
        let sql = format!(
            "update auth.users set
               email = coalesce($2, email),
               is_anonymous = is_anonymous and $2 is null,
               raw_app_meta_data = case when $2 is null then raw_app_meta_data
                 else raw_app_meta_data || '{{\"provider\": \"email\", \"providers\": [\"email\"]}}' end,
               encrypted_password = case when $3 is null then encrypted_password
                 else extensions.crypt($3, extensions.gen_salt('bf', 6)) end,
               raw_user_meta_data = (raw_user_meta_data || $4) - $5,
               updated_at = now()
             where id = $1 returning {SHOWN}"
        );
        let data = Value::Object((*data).clone());
        let types = [Type::UUID, Type::TEXT, Type::TEXT, Type::JSONB, Type::TEXT_ARRAY];
        let statement = client.prepare_typed(&sql, &types).await?;
        let row = client.query_one(&statement, &[&self.id, &email, password, &data, &removed]).await;
        let message = "A user with this email address has already been registered";
        row.map(Self::from).map_err(|error| taken(error, "email_exists", message))
    }
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        Self { id: row.get(0), json: row.get(1) }
    }
}

/// What a user wants to have changed about themselves.
#[derive(Debug)]
pub struct Changes<'a> {
    /// A new address.
    pub email: Option<&'a str>,
    /// A new password.
    pub password: Option<&'a str>,
    /// Members of their metadata; null takes one away.
    pub data: &'a Map<String, Value>,
}

fn check_strength(password: &str) -> Result<(), Refusal> {
    if password.chars().count() >= 6 {
        return Ok(());
    }
    let message = "Password should be at least 6 characters.";
    Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", message))
}

/// What to answer when the database refuses a write, most often because somebody else has the address.
fn taken(error: tokio_postgres::Error, code: &'static str, message: &str) -> Refusal {
    match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message),
        _ => error.into(),
    }
}

/// An address as it is stored.
fn address(email: &str) -> Result<String, Refusal> {
    let email = email.trim().to_lowercase();
    let plausible = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    if plausible && !email.contains(char::is_whitespace) {
        return Ok(email);
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, "validation_failed", "Unable to validate email address: invalid format"))
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
