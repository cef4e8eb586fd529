//! `collections` and `collection_weights`.

use chrono::{DateTime, Utc};
use domain::ids::CollectionId;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::request::PutCollectionRequest;
use crate::Error;

/// A collection with the weights of its present model, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) id: CollectionId,
    pub(crate) uniq_id: String,
    pub(crate) name: String,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) weights: Vec<Decimal>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Collection {
    /// The weights by symbol.
    pub(crate) fn model(&self) -> Vec<(Symbol, Decimal)> {
        self.symbols
            .iter()
            .cloned()
            .zip(self.weights.iter().copied())
            .collect()
    }
}

/// Whether another collection has the name.
pub(crate) async fn is_taken(
    connection: &mut PgConnection,
    id: CollectionId,
    uniq_id: &str,
) -> Result<bool, Error> {
    let taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM collections WHERE uniq_id = $2 AND id <> $1) AS "taken!""#,
        id as _,
        uniq_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(taken)
}

/// Writes a collection with its first model, unless it is there; says whether it wasn't.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    id: CollectionId,
    request: &PutCollectionRequest,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "INSERT INTO collections (id, uniq_id, name, model, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4) \
         ON CONFLICT (id) DO NOTHING",
        id as _,
        request.uniq_id,
        request.name,
        now,
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Locks a collection and gives the number of its model.
pub(crate) async fn lock(connection: &mut PgConnection, id: CollectionId) -> Result<i32, Error> {
    let model = sqlx::query_scalar!("SELECT model FROM collections WHERE id = $1 FOR UPDATE", id as _)
        .fetch_one(connection)
        .await?;
    Ok(model)
}

/// The weights of a model.
pub(crate) async fn weights(
    connection: &mut PgConnection,
    id: CollectionId,
    model: i32,
) -> Result<Vec<(Symbol, Decimal)>, Error> {
    let rows = sqlx::query!(
        r#"SELECT symbol AS "symbol: Symbol", weight FROM collection_weights
           WHERE collection_id = $1 AND model = $2 ORDER BY position"#,
        id as _,
        model,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.symbol, row.weight.normalize()))
        .collect())
}

/// Writes the weights of a model.
pub(crate) async fn insert_weights(
    connection: &mut PgConnection,
    id: CollectionId,
    model: i32,
    weights: &TargetWeights,
) -> Result<(), Error> {
    let symbols: Vec<String> = weights.iter().map(|(symbol, _)| symbol.to_string()).collect();
    let weights: Vec<Decimal> = weights.iter().map(|(_, weight)| weight.as_decimal()).collect();
    sqlx::query!(
        "INSERT INTO collection_weights (collection_id, model, position, symbol, weight) \
         SELECT $1, $2, position, symbol, weight \
         FROM unnest($3::TEXT[], $4::NUMERIC[]) WITH ORDINALITY AS given (symbol, weight, position)",
        id as _,
        model,
        &symbols,
        &weights,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes another model the present one.
pub(crate) async fn set_model(
    connection: &mut PgConnection,
    id: CollectionId,
    model: i32,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE collections SET model = $2, updated_at = $3 WHERE id = $1",
        id as _,
        model,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Brings the names up to date.
pub(crate) async fn update(
    connection: &mut PgConnection,
    id: CollectionId,
    request: &PutCollectionRequest,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE collections SET uniq_id = $2, name = $3, updated_at = $4 \
         WHERE id = $1 AND (uniq_id, name) <> ($2, $3)",
        id as _,
        request.uniq_id,
        request.name,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A collection.
pub(crate) async fn load(
    connection: &mut PgConnection,
    id: CollectionId,
) -> Result<Option<Collection>, Error> {
    let collection = sqlx::query_as!(
        Collection,
        r#"SELECT collections.id AS "id: _", collections.uniq_id, collections.name, collections.updated_at,
                  array_agg(weight.symbol ORDER BY weight.position) AS "symbols!: _",
                  array_agg(weight.weight ORDER BY weight.position) AS "weights!: _"
           FROM collections
           JOIN collection_weights AS weight
             ON weight.collection_id = collections.id AND weight.model = collections.model
           WHERE collections.id = $1 GROUP BY collections.id"#,
        id as _,
    )
    .fetch_optional(connection)
    .await?;
    Ok(collection)
}

/// The collections after the one at which a page ended, by id.
pub(crate) async fn list(
    connection: &mut PgConnection,
    after: Option<CollectionId>,
    limit: i64,
) -> Result<Vec<Collection>, Error> {
    let collections = sqlx::query_as!(
        Collection,
        r#"SELECT collections.id AS "id: _", collections.uniq_id, collections.name, collections.updated_at,
                  array_agg(weight.symbol ORDER BY weight.position) AS "symbols!: _",
                  array_agg(weight.weight ORDER BY weight.position) AS "weights!: _"
           FROM (SELECT id, uniq_id, name, model, updated_at FROM collections
                 WHERE id > $1 ORDER BY id LIMIT $2) AS collections
           JOIN collection_weights AS weight
             ON weight.collection_id = collections.id AND weight.model = collections.model
           GROUP BY collections.id, collections.uniq_id, collections.name, collections.updated_at
           ORDER BY collections.id"#,
        after.map_or(0, |id| id.get()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(collections)
}
