//! Every call of Stripe's that moves a withdrawal's money, in every way of failing: one payment in the end, or none and its
//! profit free; never two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use end_to_end::funded::Trader;
use end_to_end::withdrawals::PAYS;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, is_soak, scenarios};
use local_cloud::sandboxes::Effect;
use serde_json::Value;

/// What a withdrawal pays, and the profit that covers all of a run.
const AMOUNT: i64 = 80_000;
const PROFIT: i64 = 20_000_000;
/// How long a live state is fresh enough for a withdrawal, with some to spare.
const STAYS_FRESH: Duration = Duration::from_secs(120);

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(answer_that_is_lost_ends_in_one_payment),
        alone(look_up_that_fails_too_ends_in_one_payment),
        alone(refusal_that_is_the_traders_takes_the_money_back_whatever_is_lost),
    ]
}

/// The ways in which an answer is lost; with a hang that outlasts our patience in a long run.
fn effects() -> Vec<Effect> {
    let hang = |after_doing| Effect::Hang {
        for_ms: if is_soak() { 20_000 } else { 200 },
        after_doing,
    };
    vec![
        Effect::Reset { after_doing: false },
        Effect::Reset { after_doing: true },
        Effect::FailAfter { status: 500 },
        Effect::Gateway {
            status: 502,
            after_doing: true,
        },
        hang(true),
        hang(false),
        Effect::Truncate,
    ]
}

/// A trader who withdraws again and again.
struct Withdrawing {
    trader: Trader,
    snapshots: i64,
    heard_at: Instant,
}

impl Withdrawing {
    async fn begin(fixture: &Fixture) -> Result<Self> {
        let trader = fixture.trader_with_profit(PROFIT, PAYS).await?;
        Ok(Self {
            trader,
            snapshots: 1,
            heard_at: Instant::now(),
        })
    }

    /// A withdrawal that an operator approves; its live state is fresh.
    async fn approved(&mut self, fixture: &Fixture) -> Result<i64> {
        if self.heard_at.elapsed() > STAYS_FRESH {
            self.snapshots += 1;
            fixture.earn(&self.trader, self.snapshots, PROFIT).await?;
            self.heard_at = Instant::now();
        }
        let asked = self.trader.withdraw(AMOUNT).await?.expect(201)?;
        let id = asked.number("id")?;
        if asked.body["status"] == "pending" {
            fixture.approve("operator", id).await?.expect(200)?;
        }
        Ok(id)
    }
}

/// As if a day had passed at Stripe, which has forgotten our keys.
fn forget_keys(fixture: &Fixture, id: i64) {
    for step in ["transfer", "payout", "reversal", "cancel"] {
        for attempt in 1..=3 {
            let key = format!("withdrawal-{id}-{step}-{attempt}");
            fixture.cloud.stripe().forget_idempotency_key(&key);
        }
    }
}

async fn is_called(fixture: &Fixture, call: &str) -> Result {
    eventually(&format!("{call} is called"), async || {
        let calls = fixture.cloud.stripe().calls_of(call);
        ensure!(!calls.is_empty(), "nobody has called it");
        Ok(())
    })
    .await
}

/// Goes on with a withdrawal until it has ended, and once more; gives how.
async fn end_of(fixture: &Fixture, trader: &Trader, id: i64) -> Result<Value> {
    let ended = "SELECT count(*) FROM withdrawals WHERE id = $1 AND status IN ('completed', 'failed')";
    for _ in 0..4 {
        let has_ended = fixture.database.count(ended, id).await? == 1;
        fixture.withdrawal_goes_on(id).await?;
        if has_ended {
            break;
        }
    }
    let has_ended = |one: &Value| one["status"] == "failed" || one["paid_at"].is_string();
    trader.withdrawal_is(id, "at its end", has_ended).await
}

async fn answer_that_is_lost_ends_in_one_payment(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let mut withdrawing = Withdrawing::begin(&fixture).await?;
    for call in ["create_transfer", "create_payout"] {
        for (index, effect) in effects().into_iter().enumerate() {
            for is_a_day_later in [false, true] {
                // In a usual run, one of the two.
                if !is_soak() && (index % 2 == 0) == is_a_day_later {
                    continue;
                }
                stripe.clear_calls();
                stripe.fail_operation(call, effect.clone(), 1)?;
                let id = withdrawing.approved(&fixture).await?;
                is_called(&fixture, call).await?;
                if is_a_day_later {
                    forget_keys(&fixture, id);
                }
                let how = format!("{call}, {effect:?}, a day later: {is_a_day_later}");
                let ended = end_of(&fixture, &withdrawing.trader, id)
                    .await
                    .with_context(|| how.clone())?;
                ensure_eq!(ended["status"], "completed", "{how}");
                ensure_eq!(fixture.sent_for(id), (AMOUNT, AMOUNT), "{how}");
            }
        }
    }
    Ok(())
}

async fn look_up_that_fails_too_ends_in_one_payment(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let mut withdrawing = Withdrawing::begin(&fixture).await?;
    for (call, look_up) in [
        ("create_transfer", "list_transfers"),
        ("create_payout", "list_payouts"),
    ] {
        for after_doing in [true, false] {
            stripe.clear_calls();
            stripe.fail_operation(call, Effect::Reset { after_doing }, 1)?;
            stripe.fail_operation(look_up, Effect::Reset { after_doing: true }, 1)?;
            stripe.fail_operation("retrieve_balance", Effect::FailAfter { status: 500 }, 1)?;
            let id = withdrawing.approved(&fixture).await?;
            is_called(&fixture, call).await?;
            forget_keys(&fixture, id);
            let ended = end_of(&fixture, &withdrawing.trader, id).await?;
            ensure_eq!(ended["status"], "completed", "{call} {look_up} {after_doing}");
            ensure_eq!(fixture.sent_for(id), (AMOUNT, AMOUNT), "{call} {look_up}");
            stripe.clear_faults();
        }
    }
    Ok(())
}

async fn refusal_that_is_the_traders_takes_the_money_back_whatever_is_lost(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let mut withdrawing = Withdrawing::begin(&fixture).await?;
    let refusal = || Effect::Refuse {
        status: 400,
        error_code: "payouts_not_allowed".to_owned(),
        message: "No.".to_owned(),
    };
    let before = withdrawing.trader.see().await?["withdrawable_cents"].clone();
    for call in ["create_transfer", "create_payout"] {
        stripe.fail_operation(call, refusal(), 1)?;
        let id = withdrawing.approved(&fixture).await?;
        let failed = end_of(&fixture, &withdrawing.trader, id).await?;
        ensure_eq!(failed["failure_code"], "payouts_not_allowed", "{call}");
        ensure_eq!(fixture.sent_for(id), (0, 0), "{call} is refused");
    }
    // The way back fails too: what was begun is undone, and the next try pays, or nothing is paid.
    for effect in effects() {
        stripe.clear_calls();
        stripe.fail_operation("create_payout", refusal(), 1)?;
        stripe.fail_operation("create_transfer_reversal", effect.clone(), 1)?;
        let id = withdrawing.approved(&fixture).await?;
        is_called(&fixture, "create_transfer_reversal").await?;
        forget_keys(&fixture, id);
        let ended = end_of(&fixture, &withdrawing.trader, id)
            .await
            .with_context(|| format!("{effect:?}"))?;
        let expected = match ended["status"].as_str() {
            Some("completed") => (AMOUNT, AMOUNT),
            _ => (0, 0),
        };
        ensure_eq!(fixture.sent_for(id), expected, "{effect:?}: {ended}");
        stripe.clear_faults();
    }
    let paid = "SELECT COALESCE(SUM(gross_cents), 0)::BIGINT FROM withdrawals WHERE funded_account_id = $1 AND status = 'completed'";
    let used_up = fixture.database.count(paid, withdrawing.trader.account).await?;
    let left = before.as_i64().unwrap_or_default() - used_up * 8 / 10;
    ensure_eq!(
        withdrawing.trader.see().await?["withdrawable_cents"],
        left,
        "what wasn't paid is free"
    );
    Ok(())
}
