//! `Authorization` headers: who is let in is whom a second reading of RFC 7515 and RFC 7519 lets in, and nobody else.

use std::rc::Rc;

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;
use shared::auth::{Authenticator, bearer};
use shared::config::{Config, Variables};
use shared::host::fake::{FakeHost, run as finish};
use shared::host::{Host as _, Request};
use shared::http::header::AUTHORIZATION;
use shared::upstream::Identity as _;

use super::Verdict;
use super::reference::{Members, base64url, base64url_text, is_uuid};
use super::request::{Answered, known_code};
use crate::input::{expand_text, good_token};

const SECRET: &str = "a secret of a legacy project, long";

/// Feeds one header. Its first line may be `secret`: then the project has a shared secret as well.
pub(crate) fn run(input: &str) -> Verdict {
    let (secret, header) = match input.strip_prefix("secret\n") {
        Some(header) => (Some(SECRET), header),
        None => (None, input),
    };
    let header = expand_text(header);
    let host = Rc::new(FakeHost::default());
    let lookup = |name: &str| match name {
        "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
        "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
        "SUPABASE_JWKS" => Some(FakeHost::key_set(&["k1"])),
        "SUPABASE_JWT_SECRET" => secret.map(str::to_owned),
        _ => None,
    };
    let mut variables = Variables::new(&lookup);
    let config = Rc::new(Config::read(&mut variables));
    let authenticator = Authenticator::new(Rc::<FakeHost>::clone(&host), config, &mut variables);
    let ask = |token: &str| finish(authenticator.authenticate(token)).ok_or("it waits for ever");
    // Somebody else has been verified before: that must let nobody in.
    let somebody = ask(&good_token())?;
    ensure!(somebody.is_ok(), "a good token is refused: {somebody:?}");

    let mut request = Request::new("GET", "/");
    request.add_header(AUTHORIZATION, &header);
    let token = match bearer(&request) {
        // No host lets such a header through; but a token may also come in a body, as any text.
        _ if request.headers.is_empty() => bearers(&header).unwrap_or(&header),
        Ok(Some(token)) => {
            ensure!(bearers(&header) == Some(token), "another token than the header's: {token:?}");
            token
        }
        Ok(None) => {
            ensure!(header.trim_ascii().is_empty(), "a header is overlooked: {header:?}");
            return Ok(());
        }
        Err(_) => {
            ensure!(bearers(&header).is_none(), "a bearer token is overlooked: {header:?}");
            return Ok(());
        }
    };
    let is_good = is_good(token, secret, host.now_ms() / 1000).is_some();
    let verified = host.verified.get();
    for _ in 0..2 {
        match ask(token)? {
            Ok(caller) => {
                ensure!(is_good, "somebody is let in who should not be: {token:?}");
                ensure!(caller.token() == Some(token), "the token changed: {:?}", caller.token());
            }
            Err(problem) => {
                ensure!(!is_good, "a good token is refused: {} {token:?}", problem.code.name);
                known_code(problem.code.name, problem.code.status, &[])?;
                ensure!(
                    matches!(problem.code.status, 401 | 403),
                    "a token is no reason for this status: {}",
                    problem.code.status
                );
                let answer = Answered::from(problem.into_response("r", "/"));
                ensure!(answer.body.as_ref().is_some_and(|body| body.len() < 2048), "a long answer: {answer:?}");
            }
        }
    }
    ensure!(!is_good || host.verified.get() <= verified + 1, "a token that is remembered is verified again");
    Ok(())
}

/// The token of a header, by RFC 6750.
fn bearers(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim_ascii().split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim_ascii_start()).filter(|token| !token.is_empty())
}

/// Whether a token is to be let in, as someone reads it who has other parsers.
fn is_good(token: &str, secret: Option<&str>, now: u64) -> Option<()> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return None };
    let (header, payload) = (base64url_text(header)?, base64url_text(payload)?);
    let signature = base64url(signature)?;
    let header = Members::of(&header)?;
    let (algorithm, key_id) = (header.string("alg")?, header.string("kid"));
    let is_signed = match (secret, algorithm.as_str()) {
        (Some(secret), "HS256") => signature == URL_SAFE_NO_PAD.encode(secret).as_bytes(),
        (_, "ES256") => signature == b"k1" && key_id.as_deref().unwrap_or("k1") == "k1",
        _ => false,
    };
    let is_known =
        !header.repeats() && header.get("crit").is_none() && (key_id.is_some() == header.get("kid").is_some());

    let claims = Members::of(&payload)?;
    let date = |name| claims.get(name).map(date);
    let is_due = |name| date(name).is_none_or(|date| date.is_some_and(|date| date <= now + 30));
    let audience = claims.get("aud")?;
    // One by one: half a surrogate pair in another audience is that audience's mistake.
    let is_for_us = match serde_json::from_str::<Vec<&RawValue>>(audience) {
        Ok(all) => {
            all.iter().any(|one| serde_json::from_str(one.get()).is_ok_and(|one: String| one == "authenticated"))
        }
        Err(_) => claims.string("aud")? == "authenticated",
    };
    let is_claimed = !claims.repeats()
        && date("exp")??.gt(&now)
        && is_due("nbf")
        && is_due("iat")
        && claims.string("iss")? == "https://abc.supabase.co/auth/v1"
        && is_for_us
        && claims.string("role")? == "authenticated"
        && is_uuid(&claims.string("sub")?);
    (token.len() <= 8192 && is_signed && is_known && is_claimed).then_some(())
}

/// A date of a token: whole seconds, perhaps with a fraction, up to the year 9999.
fn date(json: &str) -> Option<u64> {
    let (whole, fraction) = json.split_once('.').unwrap_or((json, "0"));
    let is_plain = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    whole.parse().ok().filter(|date| is_plain && *date <= 253_402_300_799)
}
