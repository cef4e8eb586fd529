//! A trader's share of the profit on its way to his bank: what waits, what is paid by itself, what is rejected and what comes
//! back; in the end every cent is compared.

use end_to_end::{
    Fixture, Result,
    funded::{Trader, flat, open},
    withdrawals::{CLOSED_BANK, PAYS},
};
use local_cloud::progress::say;
use serde_json::{Value, json};

use super::checks::{Checks, event_about, until};

/// What the engine says last of a flat account, in cents: $15,000 of profit, of which 80 % are the trader's.
pub(crate) const BALANCE: i64 = 11_500_000;
const SMALL: i64 = 50_000;
const LARGE: i64 = 500_000;
const REJECTED: i64 = 200_000;
const RETURNED: i64 = 30_000;
const WAITING: i64 = 150_000;
/// What Stripe sends in the end, and the profit that this uses up: each ÷ 0.8.
const PAID: i64 = 2 * SMALL + LARGE + RETURNED;
const USED_UP: i64 = 787_500;
/// 80 % of what is left of the profit, beside the withdrawal that waits.
const LEFT: i64 = 420_000;

/// Plays the withdrawals of a trader whose engine has got as far as a sequence; gives the one that waits in the end.
pub(crate) async fn play(
    fixture: &Fixture,
    trader: &Trader,
    sequence: i64,
    checks: &mut Checks,
) -> Result<i64> {
    say("\n    He withdraws his share of the profit");
    let ours = fixture.cloud.stripe().available();
    fixture
        .engine_says(&[flat(trader.account, sequence, BALANCE)])
        .await?;
    trader.sees_balance(BALANCE).await?;
    refused(fixture, trader, checks).await?;
    first(fixture, trader, checks).await?;
    others(fixture, trader, checks).await?;
    comes_back(fixture, trader, checks).await?;
    let waiting = trader.withdrawal(WAITING).await?;
    compare(fixture, trader, ours, checks).await?;
    Ok(waiting)
}

/// The profit of a closed account isn't paid: what waited is rejected.
pub(crate) async fn closed(fixture: &Fixture, trader: &Trader, waiting: i64, checks: &mut Checks) -> Result {
    let is_rejected =
        |one: &Value| one["status"] == "rejected" && one["rejection_reason"] == "account-closed";
    let rejected = trader.withdrawal_is(waiting, "rejected", is_rejected).await;
    checks.that("the withdrawal that waited is rejected with it", rejected.is_ok());
    let told = event_about(fixture, "withdrawal.rejected", "withdrawal_id", waiting).await?;
    checks.that("and others hear why", told["data"]["reason"] == "account-closed");
    Ok(())
}

async fn refused(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    let refused = trader.withdraw(SMALL).await?;
    checks.that(
        "without an account at Stripe there is nowhere to pay to",
        refused.status == 409 && refused.text.contains("payout account"),
    );
    fixture.can_be_paid(trader, PAYS).await?;
    fixture
        .engine_says(&[open(trader.account, 50, BALANCE, -100)])
        .await?;
    let holds = |seen: &Value| seen["positions"].as_array().is_some_and(|open| !open.is_empty());
    trader.sees("a position is open", holds).await?;
    let refused = trader.withdraw(1_300_000).await?;
    checks.that(
        "nor while a position is open, and never more than his share; he is told all of it at once",
        refused.status == 409
            && refused.text.contains("positions are open")
            && refused
                .text
                .contains("most that can be withdrawn now is USD 12000.00"),
    );
    fixture.engine_says(&[flat(trader.account, 51, BALANCE)]).await?;
    trader.sees("nothing is open", |seen| !holds(seen)).await?;
    Ok(())
}

async fn first(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    let first = trader.withdraw(SMALL).await?.expect(201)?;
    let id = first.number("id")?;
    let pending = fixture
        .operator("operator")?
        .get("/admin/withdrawals/pending")
        .await?
        .expect(200)?;
    let mut listed = pending.body["items"].as_array().into_iter().flatten();
    let listed = listed.find(|one| one["id"] == id).cloned().unwrap_or_default();
    checks.that(
        "the first $500.00 wait for an operator, because nothing was paid to this bank account before",
        first.body["status"] == "pending" && listed["review_reasons"] == json!(["new-bank-account"]),
    );
    fixture.approve("operator", id).await?.expect(200)?;
    checks.that("approved, they are paid", trader.is_paid(id).await.is_ok());
    let second = trader.withdraw(SMALL).await?.expect(201)?;
    let is_paid = trader.is_paid(second.number("id")?).await.is_ok();
    checks.that(
        "another $500.00 are paid by themselves",
        second.body["status"] == "approved" && is_paid,
    );
    Ok(())
}

async fn others(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    let large = trader.withdraw(LARGE).await?.expect(201)?;
    let id = large.number("id")?;
    let (one, other) = tokio::join!(fixture.approve("ada", id), fixture.approve("bob", id));
    let mut statuses = [one?.status, other?.status];
    statuses.sort_unstable();
    checks.that(
        "$5,000.00 wait; of two operators who approve them one wins, and they are paid once",
        large.body["status"] == "pending"
            && statuses == [200, 409]
            && trader.is_paid(id).await.is_ok()
            && fixture.sent_for(id) == (LARGE, LARGE),
    );
    let rejected = trader.withdrawal(REJECTED).await?;
    let before = trader.see().await?["withdrawable_cents"].as_i64();
    fixture
        .reject("operator", rejected, "Please call us first.")
        .await?
        .expect(200)?;
    let after = trader.see().await?["withdrawable_cents"].as_i64();
    checks.that(
        "$2,000.00 are rejected, and can be withdrawn again",
        before.map(|before| before + REJECTED) == after && fixture.sent_for(rejected) == (0, 0),
    );
    Ok(())
}

async fn comes_back(fixture: &Fixture, trader: &Trader, checks: &mut Checks) -> Result {
    fixture.can_be_paid(trader, CLOSED_BANK).await?;
    let id = trader.withdrawal(RETURNED).await?;
    fixture.approve("operator", id).await?.expect(200)?;
    let is_back = |one: &Value| one["status"] == "approved" && one["failure_code"] == "account_closed";
    let is_back = trader
        .withdrawal_is(id, "back from the bank", is_back)
        .await
        .is_ok();
    checks.that(
        "a closed bank account gives $300.00 back: they are with his account at Stripe, and stay reserved",
        is_back && fixture.sent_for(id) == (RETURNED, 0),
    );
    let told = event_about(fixture, "withdrawal.returned", "withdrawal_id", id).await?;
    let address = format!("trader-{}@example.com", trader.user_id);
    let is_mailed = until(async || {
        let mails = fixture.cloud.mail().mails_to(&address);
        Ok(mails
            .iter()
            .any(|mail| mail.subject == "Your withdrawal of $300.00 came back"))
    });
    checks.that(
        "he has no profile, and is told by mail to name another bank account",
        is_mailed.await && told["data"]["reason"] == "account_closed",
    );
    fixture.can_be_paid(trader, PAYS).await?;
    fixture.run("sweep_funded_accounts", json!({})).await?;
    checks.that(
        "he does, and it is paid there from the same transfer",
        trader.is_paid(id).await.is_ok() && fixture.sent_for(id) == (RETURNED, RETURNED),
    );
    Ok(())
}

/// Our record, the live state, and Stripe's balances of ours and of the trader.
async fn compare(fixture: &Fixture, trader: &Trader, ours_before: i64, checks: &mut Checks) -> Result {
    let is_recorded = |record: &Value| record["total_withdrawals_cents"] == USED_UP;
    let is_recorded = trader.is_recorded("all are counted", is_recorded).await.is_ok();
    checks.that(
        "the record has used up $7,875.00 of the profit for them",
        is_recorded,
    );
    let seen = trader.see().await?;
    checks.that(
        "the live state still says $115,000.00, and no rule has felt them",
        seen["source"] == "live"
            && seen["account"]["current_balance_cents"] == BALANCE
            && seen["rules"][0]["value"] == "0",
    );
    checks.that(
        "$4,200.00 are left to withdraw, beside $1,500.00 that wait",
        seen["withdrawable_cents"] == LEFT,
    );
    let stripe = fixture.cloud.stripe();
    let theirs = fixture.payee_of(trader)?;
    let account = stripe
        .connected_accounts()
        .into_iter()
        .find(|one| one.id == theirs);
    let arrived: i64 = account
        .iter()
        .flat_map(|one| &one.arrivals)
        .map(|(_, amount)| amount)
        .sum();
    let taken = account.map(|one| one.taken).unwrap_or_default();
    checks.that(
        "Stripe has taken $6,300.00 from our balance, and all of it went through the trader's to his bank",
        ours_before - stripe.available() == PAID && arrived - taken == 0 && arrived >= PAID,
    );
    let report = fixture.run("reconcile_payouts", json!({})).await?.payload;
    checks.that(
        "reconciled, each withdrawal has its one transfer and its one payout",
        report["differences"] == 0 && report["withdrawals"].as_i64() >= Some(4),
    );
    Ok(())
}
