//! `fast_buyout_segments`, and what counts of a dealer.

use chrono::{DateTime, Utc};
use domain::dealers::fast_buyout::{Segment, Standing};
use domain::dealers::kopecks;
use domain::ids::DealerId;
use sqlx::PgConnection;

use crate::Error;

/// The dealer's deposit, and whether a bill for an earlier car is overdue at a time.
pub(crate) async fn standing(
    connection: &mut PgConnection,
    dealer: DealerId,
    now: DateTime<Utc>,
) -> Result<Standing, Error> {
    let row = sqlx::query!(
        r#"SELECT (SELECT current_balance FROM dealer_accounts WHERE dealer_id = $1 AND account_type = 'DEPOSIT') AS deposit,
                  EXISTS (SELECT FROM bills WHERE dealer_id = $1 AND account_type = 'SETTLEMENT' AND due_at <= $2
                          AND status IN ('created', 'issued', 'partially_paid')) AS "has_overdue!""#,
        dealer as _,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(Standing {
        deposit: row.deposit.map(kopecks),
        has_overdue: row.has_overdue,
    })
}

/// All segments.
pub(crate) async fn segments(connection: &mut PgConnection) -> Result<Vec<Segment>, Error> {
    let rows = sqlx::query!("SELECT min_deposit, max_price FROM fast_buyout_segments ORDER BY max_price")
        .fetch_all(connection)
        .await?;
    let segments = rows.into_iter().map(|row| Segment {
        min_deposit: kopecks(row.min_deposit),
        max_price: kopecks(row.max_price),
    });
    Ok(segments.collect())
}
