//! Waiting for a state instead of for a time.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::Result;

/// How long something may take to come true, on a machine that is busy with other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The first pause between two looks; each is half as long again as the one before it.
const FIRST_GLANCE: Duration = Duration::from_millis(40);
const LAST_GLANCE: Duration = Duration::from_millis(250);

/// Looks again and again until the look succeeds; after [`PATIENCE`] fails with what the last look saw.
///
/// # Errors
/// The last look's.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    let mut glance = FIRST_GLANCE;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(seen) if Instant::now() >= end => {
                return Err(seen).with_context(|| format!("waited {} s: {what}", PATIENCE.as_secs()));
            }
            Err(_) => tokio::time::sleep(glance).await,
        }
        glance = LAST_GLANCE.min(glance * 3 / 2);
    }
}
