//! Waiting for a state instead of for a time.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::Result;

/// How long something may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(40);

/// Looks again and again until the look succeeds; after [`PATIENCE`] fails with what the last look saw.
///
/// # Errors
/// The last look's.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(seen) if Instant::now() >= end => {
                return Err(seen).with_context(|| format!("waited {} s: {what}", PATIENCE.as_secs()));
            }
            Err(_) => tokio::time::sleep(GLANCE).await,
        }
    }
}
