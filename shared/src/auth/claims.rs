//! The inside of a token: its claims (RFC 7519 section 4), judged after the signature.

use uuid::Uuid;

use crate::answer::{Problem, code};
use crate::members::{Members, items, string};

/// How far another machine's clock may be ahead, in seconds: PostgREST's own allowance.
const LEEWAY_SECONDS: u64 = 30;
/// 9999-12-31T23:59:59Z: a date beyond RFC 3339's last is a mistake or an attack.
const LAST_DATE: u64 = 253_402_300_799;
/// The audience of Supabase's user tokens, and the one role that may call.
const AUTHENTICATED: &str = "authenticated";

/// The claims of a token, read and not yet judged.
#[derive(Debug)]
pub(crate) struct Claims<'a>(Members<'a>);

impl<'a> Claims<'a> {
    /// Reads a token's payload.
    pub(crate) fn parse(payload: &'a str) -> Result<Self, Problem> {
        let members = Members::parse(payload).map_err(|_| invalid("The token's payload is not a JSON object."))?;
        if members.has_duplicates() {
            return Err(invalid("A claim stands twice in the token."));
        }
        Ok(Self(members))
    }

    /// Judges the claims at `now`, in seconds since 1970, and returns when they expire (in seconds since 1970) and the subject.
    pub(crate) fn check(&self, issuer: &str, now: u64) -> Result<(u64, Uuid), Problem> {
        let expires = self.date("exp")?.ok_or_else(|| invalid("The token has no expiry (exp)."))?;
        if expires <= now {
            return Err(Problem::new(
                &code::TOKEN_EXPIRED,
                "The token's exp has passed: refresh the session and try again.",
            ));
        }
        for name in ["nbf", "iat"] {
            if self.date(name)?.is_some_and(|date| date > now + LEEWAY_SECONDS) {
                return Err(Problem::new(
                    &code::TOKEN_NOT_YET_VALID,
                    "The token's nbf or iat lies in the future: check the clock of whoever issued it.",
                ));
            }
        }
        if self.text("iss").as_deref() != Some(issuer) {
            return Err(Problem::new(
                &code::WRONG_ISSUER,
                "The token's iss is not this project's issuer: another project's token, or SUPABASE_JWT_ISSUER is wrong.",
            ));
        }
        if !self.has_audience(AUTHENTICATED) {
            return Err(Problem::new(&code::WRONG_AUDIENCE, "The token's aud does not contain \"authenticated\"."));
        }
        if self.text("role").as_deref() != Some(AUTHENTICATED) {
            return Err(Problem::new(
                &code::ROLE_NOT_ALLOWED,
                "Only tokens of signed-in users (role \"authenticated\") may call.",
            ));
        }
        let subject = self.text("sub").filter(|sub| sub.len() == uuid::fmt::Hyphenated::LENGTH);
        match subject.and_then(|sub| Uuid::try_parse(&sub).ok()) {
            Some(subject) => Ok((expires, subject)),
            None => Err(invalid("The token's subject (sub) is not a UUID.")),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.string(name)
    }

    /// A NumericDate (RFC 7519 section 2): seconds since 1970. A fraction is dropped; no issuer writes exponents.
    fn date(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let (whole, fraction) = value.get().split_once('.').unwrap_or((value.get(), ""));
        let is_digits = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        match whole.parse() {
            Ok(date) if date <= LAST_DATE && is_digits => Ok(Some(date)),
            _ => Err(invalid("A date of the token (exp, nbf or iat) is not a number of seconds since 1970.")),
        }
    }

    /// `aud` is one string or an array of them (RFC 7519 section 4.1.3).
    fn has_audience(&self, wanted: &str) -> bool {
        let is_wanted = |value| string(value).as_deref() == Some(wanted);
        self.0
            .get("aud")
            .is_some_and(|aud| is_wanted(aud) || items(aud).is_some_and(|all| all.into_iter().any(is_wanted)))
    }
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(&code::INVALID_CLAIMS, detail)
}

#[cfg(test)]
mod tests {
    use super::Claims;
    use proptest::prelude::{any, proptest};

    const ISSUER: &str = "https://abc.supabase.co/auth/v1";
    const NOW: u64 = 1_800_000_000;
    const GOOD: &str = r#"{"iss":"https://abc.supabase.co/auth/v1","sub":"018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
        "aud":"authenticated","role":"authenticated","iat":1800000000,"nbf":1800000000,"exp":1800003600}"#;

    fn judge(payload: &str) -> &'static str {
        match Claims::parse(payload).and_then(|claims| claims.check(ISSUER, NOW)) {
            Ok(_) => "ok",
            Err(problem) => problem.code.name,
        }
    }

    #[test]
    fn a_users_token_is_accepted() {
        assert_eq!(judge(GOOD), "ok");
        assert_eq!(judge(&GOOD.replace(r#""aud":"authenticated""#, r#""aud":["x","authenticated"]"#)), "ok");
        assert_eq!(judge(&GOOD.replace("1800003600", "1800000001.5")), "ok");
        assert_eq!(judge(&GOOD.replace(r#""nbf":1800000000"#, r#""nbf":1800000030"#)), "ok");
    }

    #[test]
    fn each_claim_has_its_rule_and_its_code() {
        for (from, to, code) in [
            (r#""exp":1800003600"#, r#""exp":1800000000"#, "token_expired"),
            (r#""exp":1800003600"#, r#""exp":"1800003600""#, "invalid_claims"),
            (r#""exp":1800003600"#, r#""exp":1e308"#, "invalid_claims"),
            (r#""exp":1800003600"#, r#""exp":1e999"#, "invalid_claims"),
            (r#""exp":1800003600"#, r#""exp":-1"#, "invalid_claims"),
            (r#""exp":1800003600"#, r#""exp":null"#, "invalid_claims"),
            (r#""exp":1800003600"#, r#""x":1"#, "invalid_claims"),
            (r#""nbf":1800000000"#, r#""nbf":1800000031"#, "token_not_yet_valid"),
            (r#""iat":1800000000"#, r#""iat":1800000031"#, "token_not_yet_valid"),
            ("abc.supabase.co", "abd.supabase.co", "wrong_issuer"),
            (r#""iss":"#, r#""isz":"#, "wrong_issuer"),
            (r#""aud":"authenticated""#, r#""aud":"anon""#, "wrong_audience"),
            (r#""aud":"authenticated""#, r#""aud":[["authenticated"]]"#, "wrong_audience"),
            (r#""aud":"authenticated""#, r#""aud":{"authenticated":1}"#, "wrong_audience"),
            (r#""role":"authenticated""#, r#""role":"service_role""#, "role_not_allowed"),
            (r#""role":"authenticated""#, r#""role":"anon""#, "role_not_allowed"),
            (r#""role":"authenticated""#, r#""role":["authenticated"]"#, "role_not_allowed"),
            (r#""role":"authenticated""#, r#""x":1"#, "role_not_allowed"),
            ("018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e", "1", "invalid_claims"),
            (r#""sub":"#, r#""sup":"#, "invalid_claims"),
            (r#""iss":"#, r#""role":"anon","iss":"#, "invalid_claims"),
        ] {
            let payload = GOOD.replacen(from, to, 1);
            assert_ne!(payload, GOOD, "{from}");
            assert_eq!(judge(&payload), code, "{to}");
        }
        assert_eq!(judge("[]"), "invalid_claims");
        assert_eq!(judge("not json"), "invalid_claims");
    }

    proptest! {
        #[test]
        fn no_payload_makes_the_judge_panic(payload in any::<String>()) {
            let _ = Claims::parse(&payload).map(|claims| claims.check(ISSUER, NOW));
        }
    }
}
