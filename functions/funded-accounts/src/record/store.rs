//! `funded_virtual_accounts` and `funded_equity_history`, as live states change them. Withdrawals aren't theirs:
//! `total_withdrawals_cents` is never written here.

use chrono::{DateTime, Utc};
use domain::funded::rules::{Rule, RuleEvaluation};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::live::store::LiveSummary;

/// Records the states of many accounts, each of which is there once, and a point of each one's equity; gives how many were
/// newer than what was recorded.
pub(crate) async fn record(connection: &mut PgConnection, states: &[LiveSummary]) -> Result<u64, Error> {
    let all = || states.iter();
    let ids: Vec<i64> = all().map(|live| live.funded_account_id.get()).collect();
    let versions: Vec<i64> = all().map(|live| live.version).collect();
    let balances: Vec<i64> = all().map(|live| live.state.current_balance_cents).collect();
    let peaks: Vec<i64> = all().map(|live| live.state.peak_balance_cents).collect();
    let realized: Vec<i64> = all().map(|live| live.state.realized_pnl_cents).collect();
    let unrealized: Vec<i64> = all().map(|live| live.state.unrealized_pnl_cents).collect();
    let places = || all().map(|live| live.state.place);
    let epochs: Vec<Option<i64>> = places().map(|place| place.map(|place| place.epoch)).collect();
    let sequences: Vec<Option<i64>> = places().map(|place| place.map(|place| place.sequence)).collect();
    let times: Vec<DateTime<Utc>> = all().map(|live| live.state.at).collect();
    let evaluations: Vec<Json<&Vec<RuleEvaluation>>> = all().map(|live| Json(&live.rules)).collect();
    let drawdowns: Vec<Decimal> = all().map(drawdown).collect();
    let recorded = sqlx::query_scalar!(
        r#"WITH newest AS (
               SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[],
                                    $7::BIGINT[], $8::BIGINT[], $9::TIMESTAMPTZ[], $10::JSONB[], $11::NUMERIC[])
                   AS live (id, version, balance, peak, realized, unrealized, epoch, sequence, at, evaluations, drawdown)
           ), recorded AS (
               UPDATE funded_virtual_accounts AS record
               SET live_version = version, current_balance_cents = balance, peak_balance_cents = peak,
                   realized_pnl_cents = realized, unrealized_pnl_cents = unrealized, epoch = newest.epoch,
                   sequence = newest.sequence, evaluations = newest.evaluations, updated_at = at
               FROM newest WHERE funded_account_id = newest.id AND live_version < version
               RETURNING newest.*
           ), points AS (
               INSERT INTO funded_equity_history AS history (funded_account_id, at, balance_cents, equity_cents, peak_cents, drawdown)
               SELECT id, date_trunc('minute', at, 'UTC'), balance, balance + unrealized, peak, drawdown
               FROM recorded WHERE sequence IS NOT NULL
               ON CONFLICT (funded_account_id, at) DO UPDATE
               SET balance_cents = EXCLUDED.balance_cents, equity_cents = EXCLUDED.equity_cents,
                   peak_cents = EXCLUDED.peak_cents, drawdown = GREATEST(history.drawdown, EXCLUDED.drawdown)
           )
           SELECT count(*) AS "recorded!" FROM recorded"#,
        &ids,
        &versions,
        &balances,
        &peaks,
        &realized,
        &unrealized,
        &epochs as _,
        &sequences as _,
        &times,
        &evaluations as _,
        &drawdowns,
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(recorded).unwrap_or_default())
}

fn drawdown(live: &LiveSummary) -> Decimal {
    let evaluation = live
        .rules
        .iter()
        .find(|evaluation| evaluation.rule == Rule::Drawdown);
    evaluation.map(|evaluation| evaluation.value).unwrap_or_default()
}
