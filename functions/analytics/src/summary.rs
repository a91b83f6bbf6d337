//! `GET /summary`: what a person's events come to.

use shared::answer::{Fault, Problem};
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{Field, Request, Value, Within};
use shared::serde::{Serialize, Serializer};
use shared::upstream::Database;

/// Longest time a summary looks back, in days. Without `days` the database looks back 7.
const MAX_DAYS: u32 = 365;

/// How far a summary looks back.
#[derive(Debug, Request)]
pub(crate) struct Summary {
    /// So many days; 7 if not given.
    pub(crate) days: Option<Within<MAX_DAYS>>,
    /// Whose days the counts are of: an IANA name such as `Australia/Darwin`; UTC if not given.
    pub(crate) tz: Option<TimeZone>,
}

/// The name of a time zone, such as `Australia/Darwin`. Which there are, the database knows.
#[derive(Debug)]
pub(crate) struct TimeZone(String);

const NOT_A_TIME_ZONE: Fault = Fault::new("invalid_time_zone", "must be an IANA name such as Australia/Darwin");

/// Longest part of a name, and most parts, as the IANA's own rules for names have them.
const TIME_ZONE_PART_MAX: usize = 14;
const TIME_ZONE_PARTS_MAX: usize = 3;
/// The zones of ships. Apart from them PostgreSQL takes digits for an offset that it makes a zone of.
const AT_SEA: [&str; 2] = ["Etc/GMT+", "Etc/GMT-"];

impl Field for TimeZone {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let name = value.string()?;
        let is_part = |part: &str| {
            let is_character = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
            (1..=TIME_ZONE_PART_MAX).contains(&part.len()) && part.bytes().all(is_character)
        };
        let mut parts = name.split('/');
        let is_place = !parts.next().unwrap_or_default().contains('-')
            && name.split('/').count() <= TIME_ZONE_PARTS_MAX
            && name.split('/').all(is_part);
        let hours = AT_SEA.iter().find_map(|sea| name.strip_prefix(sea)).unwrap_or_default();
        let is_at_sea = (1..=2).contains(&hours.len()) && hours.bytes().all(|byte| byte.is_ascii_digit());
        if is_place || is_at_sea { Ok(Self(name)) } else { Err(NOT_A_TIME_ZONE) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> shared::serde_json::Value {
        let pattern = "^([A-Za-z_]{1,14}(/[A-Za-z_-]{1,14}){0,2}|Etc/GMT[+-][0-9]{1,2})$";
        shared::serde_json::json!({ "type": "string", "pattern": pattern })
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads the caller's own statistics.
pub(crate) async fn summary(
    caller: Caller,
    Query(summary): Query<Summary>,
    database: Database,
) -> Result<Response, Problem> {
    database.call("get_analytics_summary", &caller, &summary).await
}
