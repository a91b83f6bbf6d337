//! Headers on their way through.

use hyper::{
    HeaderMap,
    header::{
        CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// Takes out what is about one connection only (RFC 9110, section 7.6.1).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// Says whom the request came from and what it asked for, and leaves the new host to the client.
pub fn note_forwarding(headers: &mut HeaderMap, prefix: &str) {
    if let Some(host) = headers.remove(HOST) {
        if let Some(port) = host.to_str().ok().and_then(|host| host.rsplit_once(':')).map(|(_, port)| port)
            && let Ok(port) = HeaderValue::from_str(port)
        {
            headers.insert("x-forwarded-port", port);
        }
        headers.insert("x-forwarded-host", host);
    }
    // Loopback only: there is no other caller.
    headers.append("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    if let Ok(prefix) = HeaderValue::from_str(prefix) {
        headers.insert("x-forwarded-prefix", prefix);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{
        HeaderMap,
        header::{HeaderName, HeaderValue},
    };

    use super::{note_forwarding, strip_hop_by_hop};

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_is_about_the_connection_stays_behind() {
        let mut headers = of(&[
            ("connection", "keep-alive, x-private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, of(&[("content-length", "3")]));
    }

    #[test]
    fn the_first_address_is_kept() {
        let mut headers = of(&[("host", "127.0.0.1:54321"), ("x-forwarded-for", "10.0.0.1")]);
        note_forwarding(&mut headers, "/rest/v1");
        let all: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        assert_eq!(all, ["10.0.0.1", "127.0.0.1"]);
        assert_eq!(headers.get("x-forwarded-port"), Some(&HeaderValue::from_static("54321")));
        assert!(!headers.contains_key("host"));
    }
}
