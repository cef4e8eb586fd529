//! Held rates. Whoever changes one has the lock of those who add rates.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::HeldRateId;
use domain::wallets::held_rate::HeldRateStatus;
use domain::wallets::rates::ExchangeRate;
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::currency_number::CurrencyNumber;
use crate::rate::store::{Source, StoredRate};

/// A rate to hold.
#[derive(Debug, Clone)]
pub(crate) struct NewHeldRate {
    pub(crate) rate: StoredRate,
    /// The administrator who sets it.
    pub(crate) set_by: Option<String>,
    /// What counts now.
    pub(crate) before: ExchangeRate,
}

/// A rate that is or was held.
#[derive(Debug, Clone)]
pub(crate) struct HeldRate {
    pub(crate) id: HeldRateId,
    pub(crate) rate: StoredRate,
    /// The administrator who set it.
    pub(crate) set_by: Option<String>,
    /// What counted when it was held.
    pub(crate) before: ExchangeRate,
    pub(crate) status: HeldRateStatus,
}

struct Row {
    id: HeldRateId,
    base: CurrencyNumber,
    quote: CurrencyNumber,
    rate: Decimal,
    as_of: DateTime<Utc>,
    source: String,
    set_by: Option<String>,
    before: Decimal,
    status: HeldRateStatus,
}

impl TryFrom<Row> for HeldRate {
    type Error = PlatformError;

    fn try_from(row: Row) -> Result<Self, PlatformError> {
        let read = |number| ExchangeRate::try_from(number).map_err(|_| PlatformError::Stored("rate"));
        Ok(Self {
            id: row.id,
            rate: StoredRate {
                base: row.base.0,
                quote: row.quote.0,
                rate: read(row.rate)?,
                as_of: row.as_of,
                source: Source::parse(&row.source)?,
            },
            set_by: row.set_by,
            before: read(row.before)?,
            status: row.status,
        })
    }
}

/// Writes held rates; gives them as they are stored. One that is held, or was refused, is given as it is.
pub(super) async fn insert(
    connection: &mut PgConnection,
    held: &[NewHeldRate],
    now: DateTime<Utc>,
) -> Result<Vec<HeldRate>, Error> {
    let numbers = |number: fn(&NewHeldRate) -> i16| -> Vec<i16> { held.iter().map(number).collect() };
    let rates: Vec<Decimal> = held
        .iter()
        .map(|held| held.rate.rate.rate().as_decimal())
        .collect();
    let before: Vec<Decimal> = held.iter().map(|held| held.before.rate().as_decimal()).collect();
    let as_of: Vec<DateTime<Utc>> = held.iter().map(|held| held.rate.as_of).collect();
    let sources: Vec<String> = held
        .iter()
        .map(|held| held.rate.source.name().to_owned())
        .collect();
    let set_by: Vec<Option<String>> = held.iter().map(|held| held.set_by.clone()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"INSERT INTO held_exchange_rates (base, quote, rate, before, as_of, source, set_by, held_at)
           SELECT base, quote, rate, before, as_of, source, set_by, $8
             FROM unnest($1::SMALLINT[], $2::SMALLINT[], $3::NUMERIC[], $4::NUMERIC[], $5::TIMESTAMPTZ[], $6::TEXT[], $7::TEXT[])
                  AS new (base, quote, rate, before, as_of, source, set_by)
           ON CONFLICT (base, quote, as_of, rate) WHERE status IN ('held', 'refused') DO UPDATE SET rate = excluded.rate
           RETURNING id AS "id: _", base AS "base: _", quote AS "quote: _", rate, as_of, source, set_by, before,
                     status AS "status: _""#,
        &numbers(|held| held.rate.base.numeric()),
        &numbers(|held| held.rate.quote.numeric()),
        &rates,
        &before,
        &as_of,
        &sources,
        &set_by as _,
        now,
    );
    read(rows.fetch_all(connection).await?)
}

/// Those that wait.
pub(crate) async fn waiting(connection: &mut PgConnection) -> Result<Vec<HeldRate>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: _", base AS "base: _", quote AS "quote: _", rate, as_of, source, set_by, before,
                  status AS "status: _"
             FROM held_exchange_rates WHERE status = 'held' ORDER BY id"#,
    );
    read(rows.fetch_all(connection).await?)
}

/// What this rate of a pair as of a time is held as, or was refused as.
pub(crate) async fn find(
    connection: &mut PgConnection,
    (base, quote): (Currency, Currency),
    rate: ExchangeRate,
    as_of: DateTime<Utc>,
) -> Result<Option<HeldRateStatus>, Error> {
    let status = sqlx::query_scalar!(
        r#"SELECT status AS "status: _" FROM held_exchange_rates
            WHERE base = $1 AND quote = $2 AND rate = $3 AND as_of = $4 AND status IN ('held', 'refused')"#,
        base.numeric(),
        quote.numeric(),
        rate.rate().as_decimal(),
        as_of,
    );
    Ok(status.fetch_optional(connection).await?)
}

/// A held rate.
pub(crate) async fn load(connection: &mut PgConnection, id: HeldRateId) -> Result<Option<HeldRate>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: _", base AS "base: _", quote AS "quote: _", rate, as_of, source, set_by, before,
                  status AS "status: _"
             FROM held_exchange_rates WHERE id = $1"#,
        id as _,
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(HeldRate::try_from).transpose()?)
}

/// Ends held rates, each in its way.
pub(super) async fn end(
    connection: &mut PgConnection,
    ended: &[(HeldRateId, HeldRateStatus)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ids: Vec<i64> = ended.iter().map(|(id, _)| id.get()).collect();
    let statuses: Vec<String> = ended.iter().map(|(_, status)| status.name().to_owned()).collect();
    sqlx::query!(
        "UPDATE held_exchange_rates AS held SET status = ended.status, ended_at = $3 \
           FROM unnest($1::BIGINT[], $2::TEXT[]) AS ended (id, status) \
          WHERE held.id = ended.id AND held.status = 'held'",
        &ids,
        &statuses,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn read(rows: Vec<Row>) -> Result<Vec<HeldRate>, Error> {
    let held: Result<_, PlatformError> = rows.into_iter().map(HeldRate::try_from).collect();
    Ok(held?)
}
