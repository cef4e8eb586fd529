//! `Idempotency-Key`: the same request twice is done once and answered the same.
//!
//! There are two ways through, one for each kind of operation:
//!
//! - Everything happens in one transaction of ours ([`once`]): begin the request, repeat what it made before, or do the
//!   work and save it under the key, commit, wake the relay.
//! - Somebody outside is called in between ([`intend`], the call, [`store_response`]): the key is claimed in the transaction
//!   that writes the intent, and the response is stored in the one that records the outcome. A claimed key without a
//!   response belongs to a request that is being worked on, or whose process died; the use case goes on from its own record
//!   (the resource) and finds out.

use domain::ids::{ProfileId, UserId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::database::Database;
use crate::error::PlatformError;
use crate::http::Problem;
pub use crate::http::{Replayable, StoredResponse};
use crate::messaging::relay_waker::RelayWaker;

/// Longest key, in characters.
const MAX_LENGTH: usize = 128;

/// A key as the caller sent it: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key.
    ///
    /// # Errors
    /// 400 naming the header when the key is missing, too long or not visible ASCII.
    pub fn parse(header: Option<&str>) -> Result<Self, Problem> {
        Self::parse_field("Idempotency-Key", once_of_lines(header.unwrap_or_default()))
    }

    /// Reads the key of a part of a request, which stands in a field of its own.
    ///
    /// # Errors
    /// 400 naming the field when the key is missing, too long or not visible ASCII.
    pub fn parse_field(field: &str, key: &str) -> Result<Self, Problem> {
        let refused = |message: &str| Err(Problem::malformed(field, message));
        match key.trim() {
            "" => refused("is missing; send a new unique key (a UUID) with every new request"),
            key if key.len() > MAX_LENGTH => refused("is longer than 128 characters"),
            key if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                refused("may hold visible ASCII characters only")
            }
            key => Ok(Self(key.to_owned())),
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// API Gateway joins the lines of a header with commas: the same key in several lines is that key. A key may hold commas
/// itself, so that of different parts nothing is taken away.
fn once_of_lines(header: &str) -> &str {
    let mut parts = header.split(',').map(str::trim);
    let first = parts.next().unwrap_or_default();
    match !first.is_empty() && parts.all(|part| part == first) {
        true => first,
        false => header,
    }
}

/// The hash that distinguishes requests under the same key. `request` is the validated input: what means the same
/// hashes the same.
///
/// # Errors
/// When the request can't be written as JSON.
pub fn request_hash<T: Serialize>(request: &T) -> Result<Vec<u8>, PlatformError> {
    Ok(Sha256::digest(serde_json::to_vec(request)?).to_vec())
}

/// A request under a key: who sent what to which operation.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    owner: String,
    operation: &'static str,
    key: IdempotencyKey,
    request_hash: Vec<u8>,
}

impl KeyedRequest {
    /// The request of a profile; see [`request_hash`].
    ///
    /// # Errors
    /// When the request can't be written as JSON.
    pub fn of_profile<T: Serialize>(
        profile: ProfileId,
        operation: &'static str,
        key: IdempotencyKey,
        request: &T,
    ) -> Result<Self, PlatformError> {
        Self::of(format!("profile:{profile}"), operation, key, request)
    }

    /// The request of a trader; see [`request_hash`].
    ///
    /// # Errors
    /// When the request can't be written as JSON.
    pub fn of_user<T: Serialize>(
        user: UserId,
        operation: &'static str,
        key: IdempotencyKey,
        request: &T,
    ) -> Result<Self, PlatformError> {
        Self::of(format!("user:{user}"), operation, key, request)
    }

    fn of<T: Serialize>(
        owner: String,
        operation: &'static str,
        key: IdempotencyKey,
        request: &T,
    ) -> Result<Self, PlatformError> {
        Ok(Self {
            owner,
            operation,
            key,
            request_hash: request_hash(request)?,
        })
    }
}

/// Where requests are stored with what they made. An area whose tables are partitioned stores them beside those.
pub trait RequestStore {
    /// What a request makes.
    type Made;
    /// Why the store fails.
    type Error: From<PlatformError>;

    /// Begins the request; gives what it made before.
    ///
    /// # Errors
    /// [`PlatformError::InFlight`] while another copy of the request is worked on; [`PlatformError::KeyReused`] when the key
    /// belongs to another request.
    fn begin(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Option<Self::Made>, Self::Error>>;

    /// Saves the request with what it made.
    ///
    /// # Errors
    /// When the database fails.
    fn save(
        &self,
        connection: &mut PgConnection,
        made: &Self::Made,
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Does the work of a request once, in one transaction with the request's record, and wakes the relay after the commit.
///
/// # Errors
/// The work's and the store's; nothing is written then.
pub async fn once<S: RequestStore>(
    database: &Database,
    relay: &RelayWaker,
    store: &S,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<S::Made, S::Error>,
) -> Result<Replayable<S::Made>, S::Error> {
    let made = database
        .transaction(async move |connection| {
            if let Some(before) = store.begin(connection).await? {
                return Ok(Replayable::replayed(before));
            }
            let made = work(connection).await?;
            store.save(connection, &made).await?;
            Ok::<_, S::Error>(Replayable::new(made))
        })
        .await?;
    if !made.replayed {
        relay.wake().await;
    }
    Ok(made)
}

/// How far a request under a key has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress<R> {
    /// Its intent is written, as this resource; what came of it isn't stored yet.
    Intended(R),
    /// It was answered.
    Answered(StoredResponse),
}

/// What is known of the request, before it is checked and somebody outside is called for it; `None` for a new one.
///
/// # Errors
/// [`PlatformError::KeyReused`] when the key was used for another request.
pub async fn find<R: TryFrom<i64>>(
    database: &Database,
    request: &KeyedRequest,
) -> Result<Option<Progress<R>>, PlatformError> {
    database
        .with(async |connection| progress(connection, request).await)
        .await
}

/// Claims the key and writes the request's intent in one transaction, unless an earlier copy of the request has. Waits for
/// a concurrent claim to commit or roll back.
///
/// # Errors
/// Those of `write`; [`PlatformError::KeyReused`] when the key was used for another request.
pub async fn intend<R, E>(
    database: &Database,
    request: &KeyedRequest,
    write: impl AsyncFnOnce(&mut PgConnection) -> Result<R, E>,
) -> Result<Progress<R>, E>
where
    R: TryFrom<i64> + Into<i64> + Copy,
    E: From<PlatformError>,
{
    database
        .transaction(async move |connection| {
            if !claim(connection, request).await? {
                let before = progress(connection, request).await?;
                return before.ok_or_else(|| PlatformError::InFlight.into());
            }
            let resource = write(connection).await?;
            attach(connection, request, resource.into()).await?;
            Ok(Progress::Intended(resource))
        })
        .await
}

/// Claims the key; `false` when it was claimed before.
async fn claim(connection: &mut PgConnection, request: &KeyedRequest) -> Result<bool, PlatformError> {
    let inserted = sqlx::query!(
        "INSERT INTO idempotency_keys (owner, operation, key, request_hash) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        request.owner,
        request.operation,
        request.key.0,
        request.request_hash,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn progress<R: TryFrom<i64>>(
    connection: &mut PgConnection,
    request: &KeyedRequest,
) -> Result<Option<Progress<R>>, PlatformError> {
    let row = sqlx::query!(
        "SELECT request_hash, resource_id, response_status, response_body FROM idempotency_keys \
         WHERE owner = $1 AND operation = $2 AND key = $3",
        request.owner,
        request.operation,
        request.key.0,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.request_hash != request.request_hash {
        return Err(PlatformError::KeyReused);
    }
    if let (Some(status), Some(body)) = (row.response_status, row.response_body) {
        let status = u16::try_from(status).map_err(|_| PlatformError::Stored("response_status"))?;
        return Ok(Some(Progress::Answered(StoredResponse { status, body })));
    }
    let resource = row.resource_id.ok_or(PlatformError::InFlight)?;
    let resource = R::try_from(resource).map_err(|_| PlatformError::Stored("resource_id"))?;
    Ok(Some(Progress::Intended(resource)))
}

/// Ties the claimed key to the resource that the request has written.
async fn attach(
    connection: &mut PgConnection,
    request: &KeyedRequest,
    resource_id: i64,
) -> Result<(), PlatformError> {
    sqlx::query!(
        "UPDATE idempotency_keys SET resource_id = $4 WHERE owner = $1 AND operation = $2 AND key = $3",
        request.owner,
        request.operation,
        request.key.0,
        resource_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the response, in the transaction that records the outcome, unless one is stored already; gives the one that
/// counts.
///
/// # Errors
/// When the view can't be written as JSON, or the database fails.
pub async fn store_response<T: Serialize>(
    connection: &mut PgConnection,
    request: &KeyedRequest,
    status: u16,
    view: &T,
) -> Result<StoredResponse, PlatformError> {
    let row = sqlx::query!(
        "UPDATE idempotency_keys SET response_status = COALESCE(response_status, $4), \
         response_body = COALESCE(response_body, $5) \
         WHERE owner = $1 AND operation = $2 AND key = $3 RETURNING response_status, response_body",
        request.owner,
        request.operation,
        request.key.0,
        i16::try_from(status).map_err(|_| PlatformError::Stored("response_status"))?,
        serde_json::to_value(view)?,
    )
    .fetch_one(connection)
    .await?;
    match (row.response_status.map(u16::try_from), row.response_body) {
        (Some(Ok(status)), Some(body)) => Ok(StoredResponse { status, body }),
        _ => Err(PlatformError::Stored("idempotency_keys.response")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_key_in_several_header_lines_is_one_key() {
        for header in ["K", " K ", "K,K", "K, K", "K , K,K"] {
            assert_eq!(
                IdempotencyKey::parse(Some(header)).unwrap().as_str(),
                "K",
                "{header}"
            );
        }
        for header in ["K,L", "K,,K", ",", ",K"] {
            assert_eq!(IdempotencyKey::parse(Some(header)).unwrap().as_str(), header);
        }
        assert!(IdempotencyKey::parse(Some("K, L")).is_err(), "two keys are none");
    }
}
