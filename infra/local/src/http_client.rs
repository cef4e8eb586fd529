//! The HTTP client of everything here that speaks to a running local cloud.

use std::time::Duration;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// A client for addresses on this machine.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    // A provider of TLS that is set already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_LIMIT)
        .build()
}
