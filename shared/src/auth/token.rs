//! The outside of a token: JWS compact serialization (RFC 7515 section 7.1), read and not yet believed.

use crate::json::{Object, Raw};
use crate::problem::Problem;
use crate::text::parts;
use crate::{base64url, code};

/// A token taken apart. Nothing in it is true until the signature has been verified.
#[derive(Debug)]
pub(crate) struct SignedToken<'a> {
    /// What the signature is over: the first two parts as they came.
    pub(crate) signed: &'a str,
    /// `alg` of the header.
    pub(crate) algorithm: String,
    /// `kid` of the header. Its `jwk`, `jku`, `x5u` and `x5c` are never looked at: a token does not bring its key.
    pub(crate) key_id: Option<String>,
    /// The second part, decoded.
    pub(crate) payload: String,
    /// The third part, decoded.
    pub(crate) signature: Vec<u8>,
}

impl<'a> SignedToken<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Problem> {
        let malformed = |detail| Problem::new(&code::MALFORMED_TOKEN, detail);
        let mut parts = parts(token, b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("A JSON Web Token has three parts with a dot between them."));
        };
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or(token);
        let not_base64url = || malformed("A part of the token is not base64url without padding, or not UTF-8.");
        let header = base64url::decode_text(header).ok_or_else(not_base64url)?;
        let payload = base64url::decode_text(payload).ok_or_else(not_base64url)?;
        let signature = base64url::decode(signature).ok_or_else(not_base64url)?;

        let header = Object::parse(&header).ok_or_else(|| malformed("The token's header is not a JSON object."))?;
        if header.duplicate().is_some() {
            return Err(malformed("A name stands twice in the token's header."));
        }
        // RFC 7515 section 4.1.11: what is critical and not understood must be refused. Nothing is understood.
        if header.get("crit").is_some() {
            return Err(malformed("The token has critical header parameters this function does not know."));
        }
        let algorithm = header
            .get("alg")
            .and_then(Raw::string)
            .ok_or_else(|| malformed("The token's header names no algorithm (alg)."))?;
        let key_id = header
            .get("kid")
            .map(|kid| kid.string().ok_or_else(|| malformed("The token's key id (kid) is not a string.")))
            .transpose()?;
        Ok(Self { signed, algorithm, key_id, payload, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::SignedToken;
    use crate::base64url::encode;
    use proptest::prelude::{any, proptest};

    fn token(header: &str) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), encode(b"{}"), encode(b"signature"))
    }

    #[test]
    fn a_token_comes_apart() {
        let text = token(r#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#);
        let parsed = SignedToken::parse(&text).unwrap();
        assert_eq!(parsed.algorithm, "ES256");
        assert_eq!(parsed.key_id.as_deref(), Some("k1"));
        assert_eq!(parsed.signature, b"signature");
        assert!(text.starts_with(parsed.signed));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let good = token(r#"{"alg":"ES256"}"#);
        for text in [
            "",
            ".",
            "..",
            "abc",
            "a.b.c.d",
            &format!("{good}="),
            &format!("{good}."),
            &good.replace('.', " ."),
            &token("[]"),
            &token(r#"{"kid":"k1"}"#),
            &token(r#"{"alg":256}"#),
            &token(r#"{"alg":"ES256","kid":1}"#),
            &token(r#"{"alg":"ES256","alg":"none"}"#),
            &token(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#),
            &format!("{}.{}.", encode(br#"{"alg":"ES256"}"#), encode(&[0xff, 0xfe])),
        ] {
            assert_eq!(SignedToken::parse(text).unwrap_err().code.name, "malformed_token", "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = SignedToken::parse(&text);
        }

        #[test]
        fn no_header_makes_the_parser_panic(header in any::<String>()) {
            let _ = SignedToken::parse(&token(&header));
        }
    }
}
