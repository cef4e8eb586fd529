//! Keeps web pages away from what listens here. Everything is on the loopback interface, which a browser on this machine
//! reaches too: a page of somebody else's could send requests by itself, or under a name of its own that it lets point
//! to 127.0.0.1 (DNS rebinding). Both give themselves away, the first by its `Origin`, the second by its `Host`.

use std::net::IpAddr;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is meant for another host.
    Host,
    /// A page of another origin sent it.
    Origin,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Host => "The header Host names another machine; use localhost, 127.0.0.1 or [::1].",
            Self::Origin => {
                "The header Origin names another site; only the local cloud's own pages may do this."
            }
        }
    }
}

/// Lets a request through whose `Host` is this machine and whose `Origin`, if it has one, is the same.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    // HTTP/1.0 has no Host, and no browser speaks it.
    let host = match headers.get(header::HOST) {
        Some(host) => Some(host.to_str().map_err(|_| Refusal::Host)?),
        None => None,
    };
    if !host.is_none_or(is_here) {
        return Err(Refusal::Host);
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().map_err(|_| Refusal::Origin)?;
    match (origin.strip_prefix("http://"), host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Refusal::Origin),
    }
}

/// Whether the host, with or without a port, is this machine. A private address is as well: that of a container's
/// bridge, and no name that somebody could let point elsewhere.
fn is_here(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return false;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    match name.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

/// [`check`] as a layer of a router.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => problem(refusal),
    }
}

/// The refusal as a problem of RFC 9457.
pub(crate) fn problem(refusal: Refusal) -> Response {
    let status = refusal.status();
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": refusal.detail(),
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&headers)
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:9400",
            "127.0.0.1:9400",
            "[::1]:9400",
            "[::1]",
            "172.17.0.1:9401",
        ] {
            assert_eq!(of(host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9400",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9400",
            "127.0.0.1:x",
            "93.184.216.34",
            "",
        ] {
            assert_eq!(of(host, None), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn only_the_same_origin_may_send_requests() {
        assert_eq!(of("127.0.0.1:9400", Some("http://127.0.0.1:9400")), Ok(()));
        assert_eq!(of("localhost:9400", Some("http://localhost:9400")), Ok(()));
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:3000",
            "http://localhost:9400",
            "https://127.0.0.1:9400",
            "http://127.0.0.1:9400.evil.example",
            "null",
        ] {
            assert_eq!(
                of("127.0.0.1:9400", Some(origin)),
                Err(Refusal::Origin),
                "{origin}"
            );
        }
    }
}
