//! `Idempotency-Key`: the same request twice is done once and answered the same.
//!
//! The key is claimed in the transaction that writes the intent, and the answer is kept in the transaction that
//! records the outcome. A claimed key without an answer belongs to a request that is being worked on, or whose
//! process died; the use case goes on from its own record (`resource_id`) and finds out.

use domain::ids::ProfileId;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::error::PlatformError;
use crate::http::Problem;

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
        Self::parse_field("Idempotency-Key", header.unwrap_or_default())
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

/// What tells one request from another under the same key. `request` is the validated input: what means the same
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
        Ok(Self {
            owner: format!("profile:{profile}"),
            operation,
            key,
            request_hash: request_hash(request)?,
        })
    }
}

/// An answer that is kept under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

/// What claiming a key found.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// The key is new and now belongs to this request.
    New,
    /// The request came before; it has written this resource and has no answer yet.
    Unanswered {
        /// Id of the resource which the first request wrote.
        resource_id: i64,
    },
    /// The request came before and was answered.
    Answered(KeptAnswer),
}

/// Claims the key within the caller's transaction. Waits for a concurrent claim to commit or roll back.
///
/// # Errors
/// [`PlatformError::KeyReused`] when the key was used for another request.
pub async fn claim(connection: &mut PgConnection, request: &KeyedRequest) -> Result<Claim, PlatformError> {
    let inserted = sqlx::query!(
        "INSERT INTO idempotency_keys (owner, operation, key, request_hash) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
        request.owner,
        request.operation,
        request.key.0,
        request.request_hash,
    )
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Claim::New);
    }
    found(connection, request).await
}

/// What is known under the key without claiming it.
///
/// # Errors
/// As [`claim`]; a key nobody has claimed is `None`.
pub async fn look_up(
    connection: &mut PgConnection,
    request: &KeyedRequest,
) -> Result<Option<Claim>, PlatformError> {
    match found(connection, request).await {
        Ok(claim) => Ok(Some(claim)),
        Err(PlatformError::Database(sqlx::Error::RowNotFound)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn found(connection: &mut PgConnection, request: &KeyedRequest) -> Result<Claim, PlatformError> {
    let row = sqlx::query!(
        "SELECT request_hash, resource_id, response_status, response_body FROM idempotency_keys \
         WHERE owner = $1 AND operation = $2 AND key = $3",
        request.owner,
        request.operation,
        request.key.0,
    )
    .fetch_one(connection)
    .await?;
    if row.request_hash != request.request_hash {
        return Err(PlatformError::KeyReused);
    }
    if let (Some(status), Some(body)) = (row.response_status, row.response_body) {
        let status = u16::try_from(status).map_err(|_| PlatformError::Stored("response_status"))?;
        return Ok(Claim::Answered(KeptAnswer { status, body }));
    }
    row.resource_id
        .map(|resource_id| Claim::Unanswered { resource_id })
        .ok_or(PlatformError::InFlight)
}

/// Ties the claimed key to the resource that the request has written.
///
/// # Errors
/// When the database fails.
pub async fn attach(
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

/// Keeps the answer, unless one is kept already; gives the one that counts.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    connection: &mut PgConnection,
    request: &KeyedRequest,
    answer: KeptAnswer,
) -> Result<KeptAnswer, PlatformError> {
    let row = sqlx::query!(
        "UPDATE idempotency_keys SET response_status = COALESCE(response_status, $4), \
         response_body = COALESCE(response_body, $5) \
         WHERE owner = $1 AND operation = $2 AND key = $3 RETURNING response_status, response_body",
        request.owner,
        request.operation,
        request.key.0,
        i16::try_from(answer.status).map_err(|_| PlatformError::Stored("response_status"))?,
        answer.body,
    )
    .fetch_one(connection)
    .await?;
    match (row.response_status.map(u16::try_from), row.response_body) {
        (Some(Ok(status)), Some(body)) => Ok(KeptAnswer { status, body }),
        _ => Err(PlatformError::Stored("idempotency_keys.response")),
    }
}
