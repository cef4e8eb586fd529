//! `instruments`.

use chrono::{DateTime, Utc};
use domain::ids::DriveWealthInstrumentId;
use domain::trading::collection::symbol::Symbol;
use sqlx::PgConnection;

use crate::Error;

/// An instrument whose symbol is one of ours.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) id: DriveWealthInstrumentId,
    pub(crate) symbol: Symbol,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) is_active: bool,
    pub(crate) is_fractional: bool,
}

/// Saves instruments, each unless something newer is known of it. In one statement, however many they are.
pub(crate) async fn save_all(
    connection: &mut PgConnection,
    instruments: &[Known],
    as_of: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<String> = instruments.iter().map(|one| one.id.to_string()).collect();
    let symbols: Vec<String> = instruments.iter().map(|one| one.symbol.to_string()).collect();
    let names: Vec<String> = instruments.iter().map(|one| one.name.clone()).collect();
    let statuses: Vec<String> = instruments.iter().map(|one| one.status.clone()).collect();
    let are_active: Vec<bool> = instruments.iter().map(|one| one.is_active).collect();
    let are_fractional: Vec<bool> = instruments.iter().map(|one| one.is_fractional).collect();
    sqlx::query!(
        "INSERT INTO instruments AS known (ref_id, symbol, name, status, is_active, is_fractional, as_of, created_at) \
         SELECT DISTINCT ON (ref_id) ref_id, symbol, name, status, is_active, is_fractional, $7::TIMESTAMPTZ, $7 \
         FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BOOLEAN[], $6::BOOLEAN[]) \
              AS listed (ref_id, symbol, name, status, is_active, is_fractional) \
         ORDER BY ref_id \
         ON CONFLICT (ref_id) DO UPDATE SET symbol = EXCLUDED.symbol, name = EXCLUDED.name, status = EXCLUDED.status, \
         is_active = EXCLUDED.is_active, is_fractional = EXCLUDED.is_fractional, as_of = EXCLUDED.as_of \
         WHERE known.as_of <= EXCLUDED.as_of",
        &ids,
        &symbols,
        &names,
        &statuses,
        &are_active,
        &are_fractional,
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An instrument that can be traded.
#[derive(Debug, Clone)]
pub(crate) struct Tradable {
    pub(crate) symbol: Symbol,
    pub(crate) id: DriveWealthInstrumentId,
}

/// Those of the symbols that can be traded, each with its newest instrument.
pub(crate) async fn tradable(
    connection: &mut PgConnection,
    symbols: &[String],
) -> Result<Vec<Tradable>, Error> {
    let tradable = sqlx::query_as!(
        Tradable,
        r#"SELECT DISTINCT ON (symbol) symbol AS "symbol: _", ref_id AS "id: _"
           FROM instruments WHERE is_tradable AND symbol = ANY ($1) ORDER BY symbol, as_of DESC, ref_id"#,
        symbols,
    )
    .fetch_all(connection)
    .await?;
    Ok(tradable)
}
