//! Many accounts at once, whose snapshots come interleaved, late and twice: each ends in its own state, and is closed by its
//! own violation alone. 10,000 of them in `make soak`, a sample in `make test`.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::funded::{flat, open};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, is_soak, scenarios};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::Value;

const ALL: usize = 10_000;
const SAMPLE: usize = 40;
const SEED: u64 = 20_261_129;
/// One in so many is closed by its third snapshot, another one hears its second snapshot twice.
const ONE_IN: i64 = 10;
/// Accounts that are looked at as their traders see them.
const LOOKS: usize = 20;
/// Each account by its number: the last of four snapshots, with $10.00 more each time and the cents of its number, and the peak
/// of the second, which has $500.00 and its number of open profit; or the third, with which it was closed.
const AS_TOLD: &str = "SELECT count(*) FROM unnest($1::BIGINT[]) WITH ORDINALITY AS told (id, number)
    JOIN funded_accounts AS account ON account.id = told.id
    JOIN funded_virtual_accounts AS record ON record.funded_account_id = told.id
    WHERE peak_balance_cents = 10052000 + 2 * number AND unrealized_pnl_cents = 0
      AND CASE WHEN number % 10 = 0
          THEN status = 'closed' AND sequence = 3 AND current_balance_cents = 8900000 + number
               AND closure_reason = 'drawdown' AND breach @> jsonb_build_object('balance_cents', 8900000 + number)
          ELSE status = 'active' AND sequence = 4 AND current_balance_cents = 10004000 + number END";
const TOLD: &str = "SELECT count(*) FROM outbox_messages WHERE kind = $2 AND destination = kind
    AND ordering_key IN (SELECT 'funded-account-' || id FROM unnest($1::BIGINT[]) AS id)";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![accounts_interleaved_end_in_states_of_their_own]
}

/// What the engine says of an account, the number of which is in every figure.
fn day(account: i64, number: i64) -> Vec<Value> {
    let told = |sequence: i64| {
        let balance = 10_000_000 + number + sequence * 1_000;
        match sequence {
            2 => open(account, sequence, balance, 50_000 + number),
            3 if number % ONE_IN == 0 => flat(account, sequence, 8_900_000 + number),
            _ => flat(account, sequence, balance),
        }
    };
    let mut told: Vec<Value> = (1..=4).map(told).collect();
    if number % ONE_IN == 5 {
        told.extend(told.get(1).cloned());
    }
    told
}

async fn accounts_interleaved_end_in_states_of_their_own(fixture: Arc<Fixture>) -> Result {
    let count = if is_soak() { ALL } else { SAMPLE };
    let model = fixture.trader().await?;
    let traders = fixture.traders_like(&model, count).await?;
    let accounts: Vec<i64> = traders.iter().map(|(_, account)| *account).collect();
    let mut snapshots: Vec<Value> = (1..)
        .zip(&accounts)
        .flat_map(|(number, account)| day(*account, number))
        .collect();
    snapshots.shuffle(&mut StdRng::seed_from_u64(SEED));
    fixture.engine_says(&snapshots).await?;
    eventually("all accounts are recorded as they were told of", async || {
        let seen: i64 = sqlx::query_scalar(AS_TOLD)
            .bind(&accounts)
            .fetch_one(fixture.database.pool())
            .await?;
        ensure!(
            usize::try_from(seen)? == count,
            "{seen} of {count} are, seed {SEED}"
        );
        Ok(())
    })
    .await?;
    for kind in ["rules.violation-detected", "funded-account.closed"] {
        let query = sqlx::query_scalar::<_, i64>(TOLD).bind(&accounts).bind(kind);
        let told = query.fetch_one(fixture.database.pool()).await?;
        ensure_eq!(told, i64::try_from(count)? / ONE_IN, "{kind}");
    }
    for (number, of_trader) in (1..).zip(&traders).step_by(count / LOOKS) {
        let seen = fixture.trader_with(*of_trader)?.see().await?;
        ensure_eq!(seen["source"], "live");
        ensure_eq!(seen["account"]["status"], "active", "{seen}");
        ensure_eq!(
            seen["account"]["current_balance_cents"],
            10_004_000 + number,
            "{seen}"
        );
        ensure_eq!(
            seen["account"]["peak_balance_cents"],
            10_052_000 + 2 * number,
            "{seen}"
        );
    }
    Ok(())
}
