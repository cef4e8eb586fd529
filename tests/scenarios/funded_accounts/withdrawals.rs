//! Withdrawals: asked for, judged, approved, paid.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::funded::{Trader, flat, open};
use end_to_end::withdrawals::PAYS;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        first_withdrawal_waits_and_is_paid_and_a_second_small_one_is_paid_by_itself,
        large_withdrawal_waits_and_a_rejected_one_frees_its_profit,
        withdrawal_that_is_not_possible_is_refused_with_every_reason,
        parallel_requests_never_pass_on_the_same_money,
        request_under_the_same_key_is_one_withdrawal,
        pending_withdrawal_is_called_back_by_its_trader_alone,
        closed_account_rejects_what_was_not_sent,
        withdrawal_with_positions_open_goes_back_to_review,
        approval_and_rejection_at_once_have_one_winner,
    ]
}

/// What was told of the account's withdrawals, in its order.
async fn told(fixture: &Fixture, trader: &Trader) -> Result<Vec<String>> {
    let kinds = fixture.told_of_account(trader.account).await?.into_iter();
    Ok(kinds.filter(|kind| kind.starts_with("withdrawal.")).collect())
}

/// A trader whose bank account was paid before, with $50,000 of profit at first.
async fn known(fixture: &Fixture) -> Result<Trader> {
    let trader = fixture.trader_with_profit(5_000_000, PAYS).await?;
    let first = trader.withdrawal(10_000).await?;
    fixture.decide_withdrawal(first, "approve").await?;
    trader.is_paid(first).await?;
    Ok(trader)
}

async fn first_withdrawal_waits_and_is_paid_and_a_second_small_one_is_paid_by_itself(
    fixture: Arc<Fixture>,
) -> Result {
    // $50,000 of profit at 80 % are $40,000.
    let trader = fixture.trader_with_profit(5_000_000, PAYS).await?;
    let asked = trader.withdraw(50_000).await?.expect(201)?;
    ensure_eq!(asked.body["status"], "pending");
    ensure_eq!(asked.body["needs_review"], true);
    // 500 ÷ 0.8.
    ensure_eq!(asked.body["gross_cents"], 62_500);
    ensure!(asked.body["estimated_completion"].is_string(), "{}", asked.text);
    ensure_eq!(
        trader.see().await?["withdrawable_cents"],
        3_950_000,
        "its profit is reserved"
    );
    let first = asked.number("id")?;
    ensure_eq!(fixture.sent_for(first), (0, 0));
    let rules = trader.see().await?["rules"].clone();
    fixture.decide_withdrawal(first, "approve").await?;
    let paid = trader.is_paid(first).await?;
    ensure!(
        paid["failure_code"].is_null() && paid["estimated_completion"].is_null(),
        "{paid}"
    );
    ensure_eq!(fixture.sent_for(first), (50_000, 50_000));
    ensure_eq!(
        trader.see().await?["rules"],
        rules,
        "a withdrawal changes no rule"
    );

    let second = trader.withdraw(50_000).await?.expect(201)?;
    ensure_eq!(second.body["status"], "approved");
    ensure_eq!(second.body["needs_review"], false);
    trader.is_paid(second.number("id")?).await?;
    trader
        .is_recorded("both are counted", |record| {
            record["total_withdrawals_cents"] == 125_000
        })
        .await?;
    ensure_eq!(trader.see().await?["withdrawable_cents"], 3_900_000);
    let of_one = [
        "withdrawal.requested",
        "withdrawal.approved",
        "withdrawal.completed",
    ];
    ensure_eq!(told(&fixture, &trader).await?, [of_one, of_one].concat());
    Ok(())
}

async fn large_withdrawal_waits_and_a_rejected_one_frees_its_profit(fixture: Arc<Fixture>) -> Result {
    let trader = known(&fixture).await?;
    let large = trader.withdraw(500_000).await?.expect(201)?;
    ensure_eq!(large.body["status"], "pending");
    let large = large.number("id")?;
    let review = fixture
        .review_of("withdrawal-approval", &format!("withdrawal-{large}"))
        .await?;
    ensure!(
        review["summary"]
            .as_str()
            .is_some_and(|text| text.contains("large")),
        "{review}"
    );
    fixture.decide_withdrawal(large, "approve").await?;
    trader.is_paid(large).await?;
    let before = trader.see().await?["withdrawable_cents"].clone();
    let other = trader.withdrawal(200_000).await?;
    fixture.decide_withdrawal(other, "reject").await?;
    let rejected = trader
        .withdrawal_is(other, "rejected", |one| one["status"] == "rejected")
        .await?;
    ensure!(rejected["rejection_reason"].is_string(), "{rejected}");
    ensure_eq!(trader.see().await?["withdrawable_cents"], before);
    ensure_eq!(fixture.sent_for(other), (0, 0));
    // Small ones add up: 3 × $900 are beyond what a day approves by itself.
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(trader.withdraw(90_000).await?.expect(201)?.body["status"].clone());
    }
    ensure_eq!(statuses, ["approved", "approved", "pending"]);
    Ok(())
}

async fn withdrawal_that_is_not_possible_is_refused_with_every_reason(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader().await?;
    fixture
        .engine_says(&[open(trader.account, 1, 10_010_000, 0)])
        .await?;
    trader.sees_balance(10_010_000).await?;
    let refused = trader
        .withdraw(9_999)
        .await?
        .expect_problem(409, "withdrawal-not-allowed")?;
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    for reason in [
        "positions are open",
        "least",
        "most that can be withdrawn now is USD 80.00",
        "payout account",
    ] {
        ensure!(detail.contains(reason), "no {reason:?} in {detail}");
    }
    let stranger = fixture.trader().await?;
    let others = Trader {
        account: trader.account,
        ..stranger
    };
    others
        .withdraw(10_000)
        .await?
        .expect_problem(404, "funded-account-not-found")?;
    for no_amount in [0, -1, i64::MAX] {
        trader
            .withdraw(no_amount)
            .await?
            .expect_problem(422, "invalid-value")?;
    }
    Ok(())
}

async fn parallel_requests_never_pass_on_the_same_money(fixture: Arc<Fixture>) -> Result {
    let parallel = if end_to_end::is_soak() { 50 } else { 12 };
    // $800 can be withdrawn; each asks for $480.
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let asked = futures::future::join_all((0..parallel).map(|_| trader.withdraw(48_000))).await;
    let mut taken = 0;
    for answer in asked {
        let answer = answer?;
        match answer.status {
            201 => taken += 1,
            409 => ensure_eq!(answer.body["code"], "withdrawal-not-allowed"),
            // Too many at once.
            503 => {}
            status => anyhow::bail!("{status} {}", answer.text),
        }
    }
    ensure_eq!(taken, 1);
    let rows = "SELECT count(*) FROM withdrawals WHERE user_id = $1";
    ensure_eq!(fixture.database.count(rows, trader.user_id).await?, 1);
    Ok(())
}

async fn request_under_the_same_key_is_one_withdrawal(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let path = format!("/funded-accounts/{}/withdraw", trader.account);
    let ask = async |amount: i64| {
        trader
            .api
            .post(&path, "the-same", &json!({ "amount_cents": amount }))
            .await
    };
    let first = ask(80_000).await?.expect(201)?;
    let again = ask(80_000).await?.expect(201)?;
    ensure_eq!(first.text, again.text);
    ask(70_000).await?.expect_problem(422, "idempotency-key-reused")?;
    trader
        .withdraw(80_000)
        .await?
        .expect_problem(409, "withdrawal-not-allowed")?;
    Ok(())
}

async fn pending_withdrawal_is_called_back_by_its_trader_alone(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    let cancel = async |trader: &Trader| {
        let path = format!("/withdrawals/{id}/cancel");
        trader.api.post(&path, "unused", &json!({})).await
    };
    let stranger = fixture.trader().await?;
    cancel(&stranger)
        .await?
        .expect_problem(404, "withdrawal-not-found")?;
    for _ in 0..2 {
        ensure_eq!(cancel(&trader).await?.expect(200)?.body["status"], "canceled");
    }
    let subject = format!("withdrawal-{id}");
    fixture
        .review_reaches("withdrawal-approval", &subject, "applied")
        .await?;
    ensure_eq!(trader.see().await?["withdrawable_cents"], 80_000);
    ensure_eq!(
        told(&fixture, &trader).await?,
        ["withdrawal.requested", "withdrawal.canceled"]
    );
    let sent = trader.withdrawal(80_000).await?;
    fixture.decide_withdrawal(sent, "approve").await?;
    trader.is_paid(sent).await?;
    let path = format!("/withdrawals/{sent}/cancel");
    let late = trader.api.post(&path, "unused", &json!({})).await?;
    late.expect_problem(409, "withdrawal-not-pending")?;
    Ok(())
}

async fn closed_account_rejects_what_was_not_sent(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture.engine_says(&[flat(trader.account, 2, 100)]).await?;
    let rejected = trader
        .withdrawal_is(id, "rejected", |one| one["status"] == "rejected")
        .await?;
    ensure_eq!(rejected["rejection_reason"], "account-closed");
    fixture
        .review_reaches("withdrawal-approval", &format!("withdrawal-{id}"), "applied")
        .await?;
    let refused = trader
        .withdraw(10_000)
        .await?
        .expect_problem(409, "withdrawal-not-allowed")?;
    ensure!(refused.text.contains("closed"), "{}", refused.text);
    Ok(())
}

async fn withdrawal_with_positions_open_goes_back_to_review(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    fixture
        .engine_says(&[open(trader.account, 2, 10_100_000, 500)])
        .await?;
    let holds = |seen: &Value| seen["positions"].as_array().is_some_and(|open| !open.is_empty());
    trader.sees("a position is open", holds).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    let subject = format!("withdrawal-{id}");
    let review = fixture
        .review_reaches("withdrawal-approval", &subject, "open")
        .await?;
    ensure!(
        review["summary"]
            .as_str()
            .is_some_and(|text| text.contains("positions are open")),
        "{review}"
    );
    trader
        .withdrawal_is(id, "pending again", |one| one["status"] == "pending")
        .await?;
    ensure_eq!(fixture.sent_for(id), (0, 0));
    fixture
        .engine_says(&[flat(trader.account, 3, 10_100_000)])
        .await?;
    trader.sees("nothing is open", |seen| !holds(seen)).await?;
    fixture.decide_withdrawal(id, "approve").await?;
    trader.is_paid(id).await?;
    Ok(())
}

async fn approval_and_rejection_at_once_have_one_winner(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(100_000, PAYS).await?;
    let id = trader.withdrawal(80_000).await?;
    let subject = format!("withdrawal-{id}");
    let review = fixture.review_of("withdrawal-approval", &subject).await?;
    let (approved, rejected) = tokio::join!(
        fixture.decide("first", &review, "approve", json!({})),
        fixture.decide("second", &review, "reject", json!({})),
    );
    let (approved, rejected) = (approved?, rejected?);
    let mut statuses = [approved.status, rejected.status];
    statuses.sort_unstable();
    ensure_eq!(statuses, [202, 409]);
    match approved.status {
        202 => drop(trader.is_paid(id).await?),
        _ => drop(
            trader
                .withdrawal_is(id, "rejected", |one| one["status"] == "rejected")
                .await?,
        ),
    }
    let paid = if approved.status == 202 {
        (80_000, 80_000)
    } else {
        (0, 0)
    };
    ensure_eq!(fixture.sent_for(id), paid);
    Ok(())
}
