//! Exchange rates: rows that are added and never changed. Of a pair's rows the newest counts, and of those as of the same
//! time the latest revision.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::wallets::rates::ExchangeRate;
use platform::error::PlatformError;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::Error;
use crate::currency_number::CurrencyNumber;

/// The lock of whoever adds rates.
const ADDING: i64 = 0x7261_7465;

/// Who gave a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// An administrator.
    Admin,
    /// The European Central Bank's reference rates.
    Ecb,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Ecb => "ecb",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, PlatformError> {
        [Self::Admin, Self::Ecb]
            .into_iter()
            .find(|source| source.name() == name)
            .ok_or(PlatformError::Stored("source"))
    }
}

/// Two currencies in their order.
pub(crate) type Pair = (Currency, Currency);

/// A rate of a pair that is stored, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredRate {
    pub(crate) base: Currency,
    pub(crate) quote: Currency,
    pub(crate) rate: ExchangeRate,
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) source: Source,
}

impl StoredRate {
    pub(crate) const fn pair(&self) -> Pair {
        (self.base, self.quote)
    }
}

struct Row {
    base: CurrencyNumber,
    quote: CurrencyNumber,
    rate: Decimal,
    as_of: DateTime<Utc>,
    source: String,
}

impl TryFrom<Row> for StoredRate {
    type Error = PlatformError;

    fn try_from(row: Row) -> Result<Self, PlatformError> {
        Ok(Self {
            base: row.base.0,
            quote: row.quote.0,
            rate: ExchangeRate::try_from(row.rate).map_err(|_| PlatformError::Stored("rate"))?,
            as_of: row.as_of,
            source: Source::parse(&row.source)?,
        })
    }
}

/// Lets one transaction at a time add rates: what a rate is held against may not change meanwhile. Nobody who reads rates
/// waits.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADDING)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds rates, each as a correction where the pair has another one as of its time; gives the number of new ones.
pub(crate) async fn add(
    connection: &mut PgConnection,
    rates: &[StoredRate],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let bases: Vec<i16> = rates.iter().map(|pair| pair.base.numeric()).collect();
    let quotes: Vec<i16> = rates.iter().map(|pair| pair.quote.numeric()).collect();
    let numbers: Vec<Decimal> = rates.iter().map(|pair| pair.rate.rate().as_decimal()).collect();
    let as_of: Vec<DateTime<Utc>> = rates.iter().map(|pair| pair.as_of).collect();
    let sources: Vec<String> = rates.iter().map(|pair| pair.source.name().to_owned()).collect();
    let added = sqlx::query!(
        "INSERT INTO exchange_rates (base, quote, rate, as_of, revision, source, created_at) \
         SELECT new.base, new.quote, new.rate, new.as_of, COALESCE(stored.revision + 1, 0), new.source, $6 \
           FROM unnest($1::SMALLINT[], $2::SMALLINT[], $3::NUMERIC[], $4::TIMESTAMPTZ[], $5::TEXT[]) \
                AS new (base, quote, rate, as_of, source) \
           LEFT JOIN LATERAL (SELECT rate, revision FROM exchange_rates AS old \
                               WHERE old.base = new.base AND old.quote = new.quote AND old.as_of = new.as_of \
                               ORDER BY revision DESC LIMIT 1) AS stored ON true \
          WHERE stored.rate IS DISTINCT FROM new.rate \
         ON CONFLICT DO NOTHING",
        &bases,
        &quotes,
        &numbers,
        &as_of,
        &sources,
        now,
    )
    .execute(connection)
    .await?;
    Ok(added.rows_affected())
}

/// The newest rate of each of these pairs that has one.
pub(crate) async fn newest(connection: &mut PgConnection, pairs: &[Pair]) -> Result<Vec<StoredRate>, Error> {
    let bases: Vec<i16> = pairs.iter().map(|(base, _)| base.numeric()).collect();
    let quotes: Vec<i16> = pairs.iter().map(|(_, quote)| quote.numeric()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT newest.base AS "base: _", newest.quote AS "quote: _", newest.rate, newest.as_of, newest.source
             FROM unnest($1::SMALLINT[], $2::SMALLINT[]) AS pair (base, quote)
            CROSS JOIN LATERAL (SELECT base, quote, rate, as_of, source FROM exchange_rates AS stored
                                 WHERE stored.base = pair.base AND stored.quote = pair.quote
                                 ORDER BY as_of DESC, revision DESC LIMIT 1) AS newest"#,
        &bases,
        &quotes,
    );
    read(rows.fetch_all(connection).await?)
}

/// The newest rate of a pair.
pub(crate) async fn newest_of(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
) -> Result<Option<StoredRate>, Error> {
    Ok(newest(connection, &[(base, quote)]).await?.pop())
}

/// What counted of a pair at a time, or what has come since by the bank's file or an administrator's acceptance; the pair's first rate,
/// if it has neither. Times are those at which rates were added, which nobody chooses.
pub(super) async fn counted_at(
    connection: &mut PgConnection,
    (base, quote): Pair,
    time: DateTime<Utc>,
) -> Result<Option<ExchangeRate>, Error> {
    let rate = sqlx::query_scalar!(
        "SELECT COALESCE((SELECT rate FROM exchange_rates AS stored
                           WHERE base = $1 AND quote = $2
                             AND (created_at <= $3 OR source = $4
                                  OR EXISTS (SELECT FROM held_exchange_rates AS held
                                              WHERE held.base = $1 AND held.quote = $2 AND held.as_of = stored.as_of
                                                AND held.rate = stored.rate AND held.status = 'accepted'))
                           ORDER BY as_of DESC, revision DESC LIMIT 1),
                         (SELECT rate FROM exchange_rates WHERE base = $1 AND quote = $2 ORDER BY created_at, as_of LIMIT 1))",
        base.numeric(),
        quote.numeric(),
        time,
        Source::Ecb.name(),
    );
    let read = |rate| ExchangeRate::try_from(rate).map_err(|_| PlatformError::Stored("rate"));
    Ok(rate.fetch_one(connection).await?.map(read).transpose()?)
}

/// The rate of a pair as of exactly a time.
pub(crate) async fn as_of(
    connection: &mut PgConnection,
    base: Currency,
    quote: Currency,
    as_of: DateTime<Utc>,
) -> Result<Option<ExchangeRate>, Error> {
    let rate = sqlx::query_scalar!(
        "SELECT rate FROM exchange_rates WHERE base = $1 AND quote = $2 AND as_of = $3 ORDER BY revision DESC LIMIT 1",
        base.numeric(),
        quote.numeric(),
        as_of,
    )
    .fetch_optional(connection)
    .await?;
    let read = |rate| ExchangeRate::try_from(rate).map_err(|_| PlatformError::Stored("rate"));
    Ok(rate.map(read).transpose()?)
}

/// What the bank's newest file gave for one euro, with the time as of which it is; each as it was read last.
pub(crate) async fn newest_file(connection: &mut PgConnection) -> Result<Vec<StoredRate>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT DISTINCT ON (quote) base AS "base: _", quote AS "quote: _", rate, as_of, source
             FROM exchange_rates
            WHERE base = $1 AND source = $2
              AND as_of = (SELECT max(as_of) FROM exchange_rates WHERE base = $1 AND source = $2)
            ORDER BY quote, revision DESC"#,
        Currency::EUR.numeric(),
        Source::Ecb.name(),
    );
    read(rows.fetch_all(connection).await?)
}

/// What the bank's files gave for one euro: of each currency the newest that counts, as of a time at the earliest.
pub(super) async fn newest_of_files(
    connection: &mut PgConnection,
    oldest: DateTime<Utc>,
) -> Result<Vec<StoredRate>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT newest.base AS "base: _", newest.quote AS "quote: _", newest.rate, newest.as_of, newest.source
             FROM currencies
            CROSS JOIN LATERAL (SELECT base, quote, rate, as_of, source FROM exchange_rates AS stored
                                 WHERE stored.base = $1 AND stored.quote = currencies.numeric_code
                                   AND stored.source = $2 AND stored.as_of >= $3
                                 ORDER BY as_of DESC, revision DESC LIMIT 1) AS newest"#,
        Currency::EUR.numeric(),
        Source::Ecb.name(),
        oldest,
    );
    read(rows.fetch_all(connection).await?)
}

/// A rate as it is copied to another node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    base: i16,
    quote: i16,
    rate: Decimal,
    as_of: DateTime<Utc>,
    revision: i16,
    source: String,
    created_at: DateTime<Utc>,
}

/// The newest rate of every pair that has one: from each pair to the next in the order of the key.
pub(super) async fn newest_of_all(connection: &mut PgConnection) -> Result<Vec<Copied>, Error> {
    let rates = sqlx::query_as!(
        Copied,
        r#"WITH RECURSIVE pair AS (
               (SELECT base, quote FROM exchange_rates ORDER BY base, quote LIMIT 1)
               UNION ALL
               SELECT next.base, next.quote FROM pair CROSS JOIN LATERAL (
                      SELECT base, quote FROM exchange_rates AS stored
                       WHERE (stored.base, stored.quote) > (pair.base, pair.quote) ORDER BY base, quote LIMIT 1) AS next
           )
           SELECT newest.base, newest.quote, newest.rate, newest.as_of, newest.revision, newest.source,
                  newest.created_at
             FROM pair CROSS JOIN LATERAL (
                  SELECT * FROM exchange_rates AS stored WHERE stored.base = pair.base AND stored.quote = pair.quote
                   ORDER BY as_of DESC, revision DESC LIMIT 1) AS newest"#,
    );
    Ok(rates.fetch_all(connection).await?)
}

/// Adds copies of rates, where they aren't there.
pub(super) async fn copy(connection: &mut PgConnection, rates: &[&Copied]) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO exchange_rates (base, quote, rate, as_of, revision, source, created_at)
         SELECT * FROM unnest($1::SMALLINT[], $2::SMALLINT[], $3::NUMERIC[], $4::TIMESTAMPTZ[], $5::SMALLINT[], $6::TEXT[],
                              $7::TIMESTAMPTZ[])
             ON CONFLICT DO NOTHING",
        &copied(rates, |rate| rate.base),
        &copied(rates, |rate| rate.quote),
        &copied(rates, |rate| rate.rate),
        &copied(rates, |rate| rate.as_of),
        &copied(rates, |rate| rate.revision),
        &copied(rates, |rate| rate.source.clone()),
        &copied(rates, |rate| rate.created_at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn copied<T>(rates: &[&Copied], value: impl Fn(&Copied) -> T) -> Vec<T> {
    rates.iter().map(|rate| value(rate)).collect()
}

fn read(rows: Vec<Row>) -> Result<Vec<StoredRate>, Error> {
    let rates: Result<_, PlatformError> = rows.into_iter().map(StoredRate::try_from).collect();
    Ok(rates?)
}
