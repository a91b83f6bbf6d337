//! The outside of a token: JWS compact serialization (RFC 7515 section 7.1), read and not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::answer::{Problem, code};
use crate::members::{Members, string};

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
        let malformed = |detail: &'static str| Problem::new(&code::MALFORMED_TOKEN, detail);
        let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
        let Some((header, payload)) = signed.split_once('.').filter(|(_, payload)| !payload.contains('.')) else {
            return Err(malformed("A JSON Web Token has three parts with a dot between them."));
        };
        let decode = |part| URL_SAFE_NO_PAD.decode(part).ok();
        let decode_text = |part| decode(part).and_then(|bytes| String::from_utf8(bytes).ok());
        let (Some(header), Some(payload), Some(signature)) =
            (decode_text(header), decode_text(payload), decode(signature))
        else {
            return Err(malformed("A part of the token is not base64url without padding, or not UTF-8."));
        };

        let header = Members::parse(&header).map_err(|_| malformed("The token's header is not a JSON object."))?;
        if header.has_duplicates() {
            return Err(malformed("A name stands twice in the token's header."));
        }
        // RFC 7515 section 4.1.11: what is critical and not understood must be refused. Nothing is understood.
        if header.get("crit").is_some() {
            return Err(malformed("The token has critical header parameters this function does not know."));
        }
        let algorithm =
            header.string("alg").ok_or_else(|| malformed("The token's header names no algorithm (alg)."))?;
        let key_id = header
            .get("kid")
            .map(|kid| string(kid).ok_or_else(|| malformed("The token's key id (kid) is not a string.")))
            .transpose()?;
        Ok(Self { signed, algorithm, key_id, payload, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::SignedToken;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::{any, proptest};

    fn encode(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

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
