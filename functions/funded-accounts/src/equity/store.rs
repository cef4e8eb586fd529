//! `funded_equity_history`.

use chrono::{DateTime, Utc};
use domain::ids::FundedAccountId;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::request::Chart;
use crate::Error;

/// An account's figures of a minute.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) at: DateTime<Utc>,
    pub(super) balance_cents: i64,
    pub(super) equity_cents: i64,
    pub(super) peak_cents: i64,
    pub(super) drawdown: Decimal,
}

/// The points of a period: of each of its parts the lowest and the highest.
pub(super) async fn points(
    connection: &mut PgConnection,
    id: FundedAccountId,
    chart: &Chart,
) -> Result<Vec<Point>, Error> {
    let points = sqlx::query_as!(
        Point,
        r#"WITH parted AS (
               SELECT at, balance_cents, equity_cents, peak_cents, drawdown,
                   floor(EXTRACT(EPOCH FROM at - $2::TIMESTAMPTZ) * $4::BIGINT / NULLIF(EXTRACT(EPOCH FROM $3::TIMESTAMPTZ - $2), 0)) AS part
               FROM funded_equity_history WHERE funded_account_id = $1 AND at >= $2 AND at < $3
           ), ranked AS (
               SELECT *, row_number() OVER (PARTITION BY part ORDER BY equity_cents, at) AS low,
                   row_number() OVER (PARTITION BY part ORDER BY equity_cents DESC, at) AS high FROM parted
           )
           SELECT at, balance_cents, equity_cents, peak_cents, drawdown FROM ranked WHERE low = 1 OR high = 1 ORDER BY at"#,
        id as _,
        chart.from,
        chart.to,
        i64::from(chart.parts),
    );
    Ok(points.fetch_all(connection).await?)
}
