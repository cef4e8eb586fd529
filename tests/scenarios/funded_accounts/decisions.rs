//! What operators see of withdrawals that wait, and decide about them by their own routes.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::funded::open;
use end_to_end::withdrawals::PAYS;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        pending_withdrawal_is_listed_with_what_an_operator_decides_by,
        withdrawal_is_decided_by_the_first_operator,
        approval_and_rejection_by_route_at_once_have_one_winner,
        approvals_at_once_pay_once,
        approval_of_what_is_not_allowed_any_more_is_refused,
        decision_about_no_withdrawal_is_not_found,
    ]
}

/// A withdrawal in the list of those that wait, which others' stand in too.
async fn listed(fixture: &Fixture, id: i64) -> Result<Option<Value>> {
    let operator = fixture.operator("reader")?;
    let mut cursor = String::new();
    loop {
        let path = format!("/admin/withdrawals/pending?limit=100{cursor}");
        let page = operator.get(&path).await?.expect(200)?.body;
        let items = page["items"].as_array().context("no items")?;
        let ids: Vec<_> = items.iter().filter_map(|item| item["id"].as_i64()).collect();
        ensure!(ids.is_sorted(), "the one that waits longest comes first: {ids:?}");
        if let Some(found) = items.iter().find(|item| item["id"] == id) {
            return Ok(Some(found.clone()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(None),
        }
    }
}

async fn pending_withdrawal_is_listed_with_what_an_operator_decides_by(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let first = trader.withdrawal(100_000).await?;
    let seen = listed(&fixture, first).await?.context("it isn't listed")?;
    ensure_eq!(seen["amount_cents"], json!(100_000));
    ensure_eq!(seen["review_reasons"], json!(["large", "new-bank-account"]));
    ensure_eq!(seen["trader"]["user_id"], json!(trader.user_id));
    ensure_eq!(seen["trader"]["country"], "US");
    ensure_eq!(seen["trader"]["bank_last4"], "6789");
    ensure_eq!(seen["account"]["id"], json!(trader.account));
    ensure_eq!(seen["account"]["current_balance_cents"], json!(11_000_000));
    // 80 % of $10,000, as if this one weren't there.
    ensure_eq!(seen["account"]["withdrawable_cents"], json!(800_000));
    ensure_eq!(seen["history"]["completed"], json!(0));
    fixture.approve("ada", first).await?.expect(200)?;
    trader.is_paid(first).await?;
    ensure!(
        listed(&fixture, first).await?.is_none(),
        "it is listed though it is paid"
    );

    let second = trader.withdrawal(200_000).await?;
    let seen = listed(&fixture, second).await?.context("it isn't listed")?;
    ensure_eq!(seen["review_reasons"], json!(["large"]));
    ensure_eq!(seen["account"]["withdrawable_cents"], json!(700_000));
    ensure_eq!(seen["history"]["completed"], json!(1));
    ensure_eq!(seen["history"]["completed_cents"], json!(100_000));
    Ok(())
}

async fn withdrawal_is_decided_by_the_first_operator(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let paid = trader.withdrawal(100_000).await?;
    for _ in 0..2 {
        let approved = fixture.approve("ada", paid).await?.expect(200)?;
        let status = approved.body["status"].as_str().unwrap_or_default();
        ensure!(["approved", "completed"].contains(&status), "{}", approved.text);
    }
    let late = [
        fixture.approve("bob", paid).await?,
        fixture.reject("bob", paid, "No.").await?,
        fixture.reject("ada", paid, "No.").await?,
    ];
    for answer in late {
        answer.expect_problem(409, "withdrawal-not-pending")?;
    }
    trader.is_paid(paid).await?;
    ensure_eq!(fixture.sent_for(paid), (100_000, 100_000));

    let refused = trader.withdrawal(200_000).await?;
    for _ in 0..2 {
        let rejected = fixture.reject("ada", refused, "  Ask us. ").await?.expect(200)?;
        ensure_eq!(rejected.body["status"], "rejected");
        ensure_eq!(rejected.body["rejection_reason"], "Ask us.");
    }
    fixture
        .approve("ada", refused)
        .await?
        .expect_problem(409, "withdrawal-not-pending")?;
    ensure_eq!(fixture.sent_for(refused), (0, 0));
    // 80 % of $10,000, less what was paid.
    ensure_eq!(trader.see().await?["withdrawable_cents"], 700_000);
    for id in [paid, refused] {
        let subject = format!("withdrawal-{id}");
        fixture
            .review_reaches("withdrawal-approval", &subject, "applied")
            .await?;
    }
    ensure_eq!(
        fixture.told_of_account(trader.account).await?.get(2..),
        Some(
            &[
                "withdrawal.requested",
                "withdrawal.approved",
                "withdrawal.completed",
                "withdrawal.requested",
                "withdrawal.rejected"
            ]
            .map(str::to_owned)[..]
        )
    );
    Ok(())
}

async fn approval_and_rejection_by_route_at_once_have_one_winner(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let id = trader.withdrawal(100_000).await?;
    let (approved, rejected) = tokio::join!(fixture.approve("ada", id), fixture.reject("bob", id, "No."));
    let (approved, rejected) = (approved?, rejected?);
    let mut statuses = [approved.status, rejected.status];
    statuses.sort_unstable();
    ensure_eq!(statuses, [200, 409]);
    let (status, sent) = match approved.status {
        200 => ("completed", (100_000, 100_000)),
        _ => ("rejected", (0, 0)),
    };
    trader
        .withdrawal_is(id, status, |one| one["status"] == status)
        .await?;
    ensure_eq!(fixture.sent_for(id), sent);
    Ok(())
}

async fn approvals_at_once_pay_once(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let id = trader.withdrawal(100_000).await?;
    let operators: Vec<String> = (0..6).map(|number| format!("operator-{number}")).collect();
    let approvals = operators.iter().map(|operator| fixture.approve(operator, id));
    let mut statuses = Vec::new();
    for answer in futures::future::join_all(approvals).await {
        statuses.push(answer?.status);
    }
    statuses.sort_unstable();
    ensure_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    trader.is_paid(id).await?;
    ensure_eq!(fixture.sent_for(id), (100_000, 100_000));
    Ok(())
}

async fn approval_of_what_is_not_allowed_any_more_is_refused(fixture: Arc<Fixture>) -> Result {
    let trader = fixture.trader_with_profit(1_000_000, PAYS).await?;
    let id = trader.withdrawal(800_000).await?;
    // A position is open, and half of the profit lost.
    fixture
        .engine_says(&[open(trader.account, 2, 10_500_000, 500)])
        .await?;
    trader.sees_balance(10_500_000).await?;
    let refused = fixture.approve("ada", id).await?;
    let refused = refused.expect_problem(409, "withdrawal-not-allowed")?;
    for reason in [
        "positions are open",
        "most that can be withdrawn now is USD 4000.00",
    ] {
        ensure!(refused.text.contains(reason), "no {reason:?} in {}", refused.text);
    }
    trader
        .withdrawal_is(id, "pending", |one| one["status"] == "pending")
        .await?;
    fixture
        .reject("ada", id, "")
        .await?
        .expect_problem(422, "invalid-value")?;
    fixture
        .reject("ada", id, "The profit is lost.")
        .await?
        .expect(200)?;
    Ok(())
}

async fn decision_about_no_withdrawal_is_not_found(fixture: Arc<Fixture>) -> Result {
    for answer in [
        fixture.approve("ada", 999_999_999).await?,
        fixture.reject("ada", 999_999_999, "No.").await?,
    ] {
        answer.expect_problem(404, "withdrawal-not-found")?;
    }
    Ok(())
}
