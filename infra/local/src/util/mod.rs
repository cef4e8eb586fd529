//! Small things that several parts use.

pub(crate) mod database_url;
pub(crate) mod held_file;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client for addresses on this machine.
///
/// # Errors
/// When TLS can't be set up.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    // A provider of TLS that is set already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
}

/// Locks for a moment, never across a wait, whatever happened to the last holder: none of the values behind such a lock
/// can be half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets a property of a JSON object.
pub(crate) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(properties) = object {
        properties.insert(name.to_owned(), value);
    }
}
