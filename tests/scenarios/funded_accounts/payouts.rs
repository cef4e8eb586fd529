//! What becomes of a withdrawal's money: what banks give back, what Stripe refuses or loses, what is reconciled.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::funded::{Trader, flat, open};
use end_to_end::withdrawals::{CLOSED_BANK, PAYS};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::Effect;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        payout_that_comes_back_is_paid_to_another_bank_account,
        payout_that_stays_back_is_taken_back_after_two_weeks,
        payout_that_comes_back_days_later_keeps_its_profit_reserved,
        payout_of_another_amount_or_account_changes_nothing,
        alone(payout_that_came_back_unheard_is_found_by_the_reconciliation),
        alone(withdrawal_waits_for_our_balance_and_is_sent_once),
        alone(withdrawal_that_waits_for_our_balance_is_rejected_when_its_account_closes),
        alone(withdrawal_that_waits_for_our_balance_is_judged_again),
        alone(withdrawal_to_another_bank_account_than_was_approved_is_looked_at_again),
        alone(withdrawal_waits_until_its_money_has_arrived),
        alone(refusal_that_is_ours_waits_for_a_person),
        alone(difference_of_a_cent_is_found),
    ]
}

/// What was told of the account last.
async fn last_told(fixture: &Fixture, trader: &Trader) -> Result<Option<String>> {
    Ok(fixture.told_of_account(trader.account).await?.pop())
}

/// A withdrawal that its bank has given back.
async fn returned(fixture: &Fixture) -> Result<(Trader, i64)> {
    let trader = fixture.trader_with_profit(100_000, CLOSED_BANK).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    let is_back = |one: &Value| one["status"] == "approved" && one["failure_code"] == "account_closed";
    trader.withdrawal_is(id, "back from the bank", is_back).await?;
    Ok((trader, id))
}

async fn payout_that_comes_back_is_paid_to_another_bank_account(fixture: Arc<Fixture>) -> Result {
    let (trader, id) = returned(&fixture).await?;
    ensure_eq!(
        fixture.sent_for(id),
        (80_000, 0),
        "the money is with the trader's account"
    );
    ensure_eq!(
        trader.see().await?["withdrawable_cents"],
        0,
        "and its profit reserved"
    );
    // The same bank account isn't tried again.
    fixture.run("sweep_funded_accounts", json!({})).await?;
    fixture.can_be_paid(&trader, PAYS).await?;
    fixture.run("sweep_funded_accounts", json!({})).await?;
    let paid = trader.is_paid(id).await?;
    ensure!(paid["failure_code"].is_null(), "{paid}");
    ensure_eq!(fixture.sent_for(id), (80_000, 80_000));
    let transfers = fixture.cloud.stripe().transfers().into_iter();
    let of_it = transfers.filter(|one| one.metadata.get("withdrawal_id") == Some(&id.to_string()));
    ensure_eq!(of_it.count(), 1, "of the same transfer");
    Ok(())
}

async fn payout_that_stays_back_is_taken_back_after_two_weeks(fixture: Arc<Fixture>) -> Result {
    let (trader, id) = returned(&fixture).await?;
    let ours = fixture.sent_for(id);
    ensure_eq!(ours, (80_000, 0));
    let later = "UPDATE withdrawals SET returned_at = returned_at - interval '14 days', next_step_at = returned_at WHERE id = $1";
    fixture.database.change(later, id).await?;
    fixture.run("sweep_funded_accounts", json!({})).await?;
    let failed = trader
        .withdrawal_is(id, "failed", |one| one["status"] == "failed")
        .await?;
    ensure_eq!(failed["failure_code"], "account_closed");
    ensure_eq!(fixture.sent_for(id), (0, 0));
    ensure_eq!(trader.see().await?["withdrawable_cents"], 80_000);
    ensure_eq!(
        last_told(&fixture, &trader).await?.as_deref(),
        Some("withdrawal.failed")
    );
    Ok(())
}

async fn payout_that_comes_back_days_later_keeps_its_profit_reserved(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    trader.is_paid(id).await?;
    let stripe = fixture.cloud.stripe();
    let payouts = stripe.payouts();
    let mut of_it = payouts
        .iter()
        .filter(|one| one.metadata.get("withdrawal_id") == Some(&id.to_string()));
    let payout = of_it.next().context("no payout")?;
    stripe.fail_payout(&payout.id, "account_frozen")?;
    let is_back = |one: &Value| one["status"] == "approved" && one["failure_code"] == "account_frozen";
    trader.withdrawal_is(id, "back from the bank", is_back).await?;
    trader
        .is_recorded("it isn't counted as paid", |record| {
            record["total_withdrawals_cents"] == 0
        })
        .await?;
    ensure_eq!(trader.see().await?["withdrawable_cents"], 0);
    // The events of before come once more: it stays back.
    let events = stripe.events();
    let about = events
        .iter()
        .filter(|event| event.object["id"] == payout.id.as_str());
    for event in about {
        ensure_eq!(stripe.redeliver(&event.id).await?, 200);
    }
    trader.withdrawal_is(id, "still back", is_back).await?;
    Ok(())
}

async fn payout_that_came_back_unheard_is_found_by_the_reconciliation(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    trader.is_paid(id).await?;
    let stripe = fixture.cloud.stripe();
    let payouts = stripe.payouts();
    let mut of_it = payouts
        .iter()
        .filter(|one| one.metadata.get("withdrawal_id") == Some(&id.to_string()));
    let payout = of_it.next().context("no payout")?;
    let before = fixture.run("reconcile_payouts", json!({})).await?.payload;
    stripe.hold_webhooks();
    let failed = stripe.fail_payout(&payout.id, "account_frozen");
    stripe.drop_held_webhooks();
    stripe.reset_webhooks();
    failed?;
    let after = fixture.run("reconcile_payouts", json!({})).await?.payload;
    ensure_eq!(after["returned"], 1, "{after}");
    ensure_eq!(after["differences"], before["differences"], "nobody has to look");
    let is_back = |one: &Value| one["status"] == "approved" && one["failure_code"] == "account_frozen";
    trader.withdrawal_is(id, "back from the bank", is_back).await?;
    Ok(())
}

async fn payout_of_another_amount_or_account_changes_nothing(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    let stripe = fixture.cloud.stripe();
    let stranger = fixture.trader_with_profit(100_000, PAYS).await?;
    let others = fixture.payee_of(&stranger)?;
    // Somebody pays by hand out of another account, and names the withdrawal.
    let payout = stripe.pay_out_outside(
        &others,
        80_000,
        &[("withdrawal_id", &id.to_string()), ("attempt", "1")],
    )?;
    let subject = format!("payout {payout}");
    fixture
        .review_reaches("payout-discrepancy", &subject, "open")
        .await?;
    trader
        .withdrawal_is(id, "pending", |one| {
            one["status"] == "pending" && one["paid_at"].is_null()
        })
        .await?;
    Ok(())
}

async fn withdrawal_waits_for_our_balance_and_is_sent_once(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let stripe = fixture.cloud.stripe();
    let ours = stripe.available();
    stripe.set_available(30_000);
    let waits = async {
        let id = trader.withdrawal(80_000).await?;
        fixture.decide_withdrawal(id, "approve").await?;
        trader
            .withdrawal_is(id, "approved", |one| one["status"] == "approved")
            .await?;
        for _ in 0..3 {
            fixture.withdrawal_goes_on(id).await?;
        }
        let is_so = |one: &Value| one["status"] == "approved" && one["failure_code"].is_null();
        trader.withdrawal_is(id, "waiting", is_so).await?;
        let is_told = |line: &str| {
            line.contains(&format!("\"withdrawal_id\":\"{id}\"")) && line.contains("\"missing_cents\":50000")
        };
        fixture.logs_reach("process_withdrawal", 1, is_told).await?;
        Ok::<_, anyhow::Error>(id)
    };
    let waits = waits.await;
    stripe.set_available(ours);
    let id = waits?;
    ensure_eq!(fixture.sent_for(id), (0, 0));
    fixture.withdrawal_goes_on(id).await?;
    trader.is_paid(id).await?;
    ensure_eq!(fixture.sent_for(id), (80_000, 80_000));
    ensure_eq!(stripe.available(), ours - 80_000);
    Ok(())
}

/// An approved withdrawal whose transfer was refused, since nothing is left of our balance; what follows from a snapshot of its
/// account meanwhile.
async fn unsent(
    fixture: &Fixture,
    bank: &str,
    meanwhile: impl AsyncFnOnce(&Trader, i64) -> Result,
) -> Result {
    let trader = fixture.trader_with_profit(100_000, bank).await?;
    let stripe = fixture.cloud.stripe();
    let ours = stripe.available();
    stripe.set_available(0);
    let came_to = async {
        let id = trader.withdrawal(80_000).await?;
        fixture.decide_withdrawal(id, "approve").await?;
        trader
            .withdrawal_is(id, "approved", |one| one["status"] == "approved")
            .await?;
        fixture.withdrawal_goes_on(id).await?;
        meanwhile(&trader, id).await?;
        Ok::<_, anyhow::Error>(id)
    };
    let came_to = came_to.await;
    stripe.set_available(ours);
    // There is enough again.
    let id = came_to?;
    fixture.withdrawal_goes_on(id).await?;
    ensure_eq!(fixture.sent_for(id), (0, 0));
    ensure_eq!(stripe.available(), ours);
    Ok(())
}

async fn withdrawal_that_waits_for_our_balance_is_rejected_when_its_account_closes(
    fixture: Arc<Fixture>,
) -> Result {
    unsent(&fixture, PAYS, async |trader, id| {
        fixture.engine_says(&[flat(trader.account, 2, 100)]).await?;
        let is_closed = |record: &Value| record["status"] == "closed";
        trader.is_recorded("closed", is_closed).await?;
        fixture.withdrawal_goes_on(id).await?;
        let rejected = trader
            .withdrawal_is(id, "rejected", |one| one["status"] == "rejected")
            .await?;
        ensure_eq!(rejected["rejection_reason"], "account-closed");
        Ok(())
    })
    .await
}

async fn withdrawal_that_waits_for_our_balance_is_judged_again(fixture: Arc<Fixture>) -> Result {
    unsent(&fixture, PAYS, async |trader, id| {
        fixture
            .engine_says(&[open(trader.account, 2, 10_100_000, 500)])
            .await?;
        let holds = |seen: &Value| seen["positions"].as_array().is_some_and(|open| !open.is_empty());
        trader.sees("a position is open", holds).await?;
        fixture.withdrawal_goes_on(id).await?;
        trader
            .withdrawal_is(id, "pending again", |one| one["status"] == "pending")
            .await?;
        Ok(())
    })
    .await
}

async fn withdrawal_to_another_bank_account_than_was_approved_is_looked_at_again(
    fixture: Arc<Fixture>,
) -> Result {
    let mut unpaid = None;
    unsent(&fixture, CLOSED_BANK, async |trader, id| {
        fixture.can_be_paid(trader, PAYS).await?;
        fixture.withdrawal_goes_on(id).await?;
        let is_seen = |one: &Value| one["status"] == "pending";
        trader.withdrawal_is(id, "pending again", is_seen).await?;
        let subject = format!("withdrawal-{id}");
        let review = fixture
            .review_reaches("withdrawal-approval", &subject, "open")
            .await?;
        let says = review["summary"].as_str().unwrap_or_default();
        ensure!(says.contains("the bank account is another one"), "{review}");
        unpaid = Some((trader.clone(), id));
        Ok(())
    })
    .await?;
    let (trader, id) = unpaid.context("nothing waits")?;
    fixture.decide_withdrawal(id, "approve").await?;
    trader.is_paid(id).await?;
    ensure_eq!(fixture.sent_for(id), (80_000, 80_000));
    Ok(())
}

async fn withdrawal_waits_until_its_money_has_arrived(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let stripe = fixture.cloud.stripe();
    stripe.transfers_arrive_after(3_600);
    let id = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    let moved = eventually("the money is moved", async || {
        ensure_eq!(fixture.sent_for(id), (80_000, 0));
        Ok(())
    })
    .await;
    stripe.transfers_arrive_after(0);
    moved?;
    fixture.withdrawal_goes_on(id).await?;
    ensure_eq!(fixture.sent_for(id), (80_000, 0));
    stripe.transfers_have_arrived();
    fixture.withdrawal_goes_on(id).await?;
    trader.is_paid(id).await?;
    ensure_eq!(fixture.sent_for(id), (80_000, 80_000));
    Ok(())
}

async fn refusal_that_is_ours_waits_for_a_person(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    for (action, status) in [("try-again", "completed"), ("give-up", "failed")] {
        let trader = fixture.trader_with_profit(100_000, PAYS).await?;
        let refusal = Effect::Refuse {
            status: 400,
            error_code: "something_new".to_owned(),
            message: "Nobody has seen this before.".to_owned(),
        };
        stripe.fail_operation("create_payout", refusal, 1)?;
        let id = trader.withdrawal(80_000).await?;
        fixture.decide_withdrawal(id, "approve").await?;
        let subject = format!("withdrawal-{id}");
        let review = fixture
            .review_reaches("withdrawal-refused", &subject, "open")
            .await?;
        ensure_eq!(review["theirs"]["code"], "something_new");
        ensure_eq!(fixture.sent_for(id), (80_000, 0), "nothing is undone blindly");
        fixture
            .decide("operator", &review, action, json!({}))
            .await?
            .expect(202)?;
        trader
            .withdrawal_is(id, status, |one| one["status"] == status)
            .await?;
        let sent = if status == "completed" {
            (80_000, 80_000)
        } else {
            (0, 0)
        };
        ensure_eq!(fixture.sent_for(id), sent, "{action}");
    }
    Ok(())
}

async fn difference_of_a_cent_is_found(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    trader.is_paid(id).await?;
    let before = fixture.run("reconcile_payouts", json!({})).await?.payload;
    ensure!(
        before["withdrawals"].as_i64() >= Some(1) && before["transfers"].as_i64() >= Some(1),
        "{before}"
    );
    let cent = "UPDATE withdrawals SET amount_cents = amount_cents - 1 WHERE id = $1";
    fixture.database.change(cent, id).await?;
    let after = fixture.run("reconcile_payouts", json!({})).await?.payload;
    let back = "UPDATE withdrawals SET amount_cents = amount_cents + 1 WHERE id = $1";
    fixture.database.change(back, id).await?;
    let found = |report: &Value| report["differences"].as_i64().unwrap_or_default();
    ensure_eq!(found(&after), found(&before) + 1, "{after}");
    fixture
        .review_reaches("payout-discrepancy", &format!("withdrawal-{id}"), "open")
        .await?;
    Ok(())
}
