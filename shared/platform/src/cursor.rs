//! Opaque cursors of lists.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Longest cursor that is read, in characters.
const MAX_LENGTH: usize = 512;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Writes a position as a cursor.
///
/// # Errors
/// Where the position can't be written as JSON.
pub fn encode<T: Serialize>(position: &T) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(position)?))
}

/// Reads the position back.
///
/// # Errors
/// 400 naming `cursor` for anything that [`encode`] didn't write.
pub fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let refused = || Problem::malformed("cursor", "is not a cursor of this list; leave it out to start anew");
    if cursor.len() > MAX_LENGTH {
        return Err(refused());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    serde_json::from_slice(&bytes).map_err(|_| refused())
}
