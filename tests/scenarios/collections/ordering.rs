//! What is asked for of a collection, and whether it is taken. V4 and the like are the vectors that were worked out by hand.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::collections::{Investor, weight};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        order_takes_no_more_than_there_is,
        order_says_one_thing,
        order_with_bad_weights_is_refused,
        order_of_what_is_not_held_or_not_there_is_refused,
        order_under_one_key_is_one,
        orders_at_the_same_time_spend_the_cash_once,
        order_leaves_what_is_promised,
        suspended_profile_sells_and_does_not_buy,
        account_that_is_not_open_takes_no_orders,
        account_without_anything_has_nothing_to_invest,
    ]
}

fn amount(cents: i64) -> Value {
    json!({ "absolute_amount_delta_cents": cents })
}

fn percent(percent: i64) -> Value {
    json!({ "relative_amount_delta_percent": percent })
}

/// Refuses with this code, and says this figure.
async fn refused(investor: &Investor, collection: i64, body: &Value, code: &str, figure: &str) -> Result {
    let answer = investor.tester.reconfigure(collection, body).await?;
    let answer = answer.expect_problem(409, code)?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    anyhow::ensure!(detail.contains(figure), "{body}: no {figure} in {detail}");
    Ok(())
}

/// V3, V4's figures, and the least amount.
async fn order_takes_no_more_than_there_is(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    refused(
        &investor,
        investor.first,
        &amount(400_001),
        "insufficient-funds",
        "4000",
    )
    .await?;
    refused(
        &investor,
        investor.first,
        &amount(i64::MAX),
        "insufficient-funds",
        "4000",
    )
    .await?;
    refused(
        &investor,
        investor.second,
        &amount(-250_002),
        "insufficient-funds",
        "2500",
    )
    .await?;
    refused(&investor, investor.first, &amount(49), "order-too-small", "0.5").await?;
    refused(&investor, investor.first, &amount(-49), "order-too-small", "0.5").await?;
    ensure_eq!(
        investor.tester.orders().await?.len(),
        2,
        "the two that made the funds"
    );
    // A cent more than the whole sells the whole.
    let order = investor
        .tester
        .reconfigure(investor.second, &amount(-250_001))
        .await?;
    order.expect(202)?;
    Ok(())
}

/// V8 and V33.
async fn order_says_one_thing(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let both = json!({ "absolute_amount_delta_cents": 100, "relative_amount_delta_percent": 1 });
    let (cents, part) = ("absolute_amount_delta_cents", "relative_amount_delta_percent");
    let cases = [
        (percent(0), part),
        (percent(101), part),
        (percent(-101), part),
        (amount(0), cents),
        (both, part),
        (json!({}), "weights"),
        (json!({ "weights": [] }), "weights"),
    ];
    for (body, field) in cases {
        let answer = investor.tester.reconfigure(investor.first, &body).await?;
        let answer = answer.expect_problem(422, "invalid-order")?;
        ensure_eq!(answer.body["errors"][0]["field"], field, "{body}");
    }
    for (field, value) in [
        (part, json!(12.5)),
        (cents, json!(1.0)),
        (cents, json!("1e3")),
        (cents, json!("100")),
    ] {
        let mut body = json!({});
        body[field] = value;
        let answer = investor.tester.reconfigure(investor.first, &body).await?;
        answer.expect_problem(400, "malformed-request")?;
    }
    Ok(())
}

/// V25.
async fn order_with_bad_weights_is_refused(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let one = |symbol: &str, weight: &str| json!({ "symbol": symbol, "weight": weight });
    let order = |weights: Value| json!({ "weights": weights, "absolute_amount_delta_cents": 10_000 });
    let cases = [
        json!([one("ENPH", "0.4899"), one("NEE", "0.5")]),
        json!([one("ENPH", "0.5101"), one("NEE", "0.5")]),
        json!([one("ENPH", "0"), one("NEE", "1")]),
        json!([one("ENPH", "-0.1"), one("NEE", "1.1")]),
        json!([one("AAPL", "0.5"), one("aapl", "0.5")]),
        json!([one("BRK.B", "0.5"), one("BRK-B", "0.5")]),
        json!([one("ENPH", "0.99996"), one("NEE", "0.00004")]),
    ];
    for weights in cases {
        let answer = investor
            .tester
            .reconfigure(investor.first, &order(weights.clone()))
            .await?;
        let answer = answer.expect_problem(422, "invalid-weights");
        anyhow::Context::with_context(answer, || weights.to_string())?;
    }
    for untradable in ["TWTR", "BRK.A", "NOSUCH"] {
        let weights = json!([one("ENPH", "0.5"), one(untradable, "0.5")]);
        let answer = investor
            .tester
            .reconfigure(investor.first, &order(weights))
            .await?;
        let answer = answer.expect_problem(422, "symbol-not-tradable")?;
        ensure_eq!(answer.body["errors"][0]["field"], "weights[1].symbol");
    }
    for near in ["0.49", "0.51"] {
        let weights = json!([one("enph", near), one("NEE", "0.5")]);
        let answer = investor
            .tester
            .reconfigure(investor.first, &order(weights))
            .await?
            .expect(202)?;
        let taken = answer.body["weights"].as_array().map(Vec::len);
        ensure_eq!(
            (taken, &answer.body["weights"][0]["symbol"]),
            (Some(2), &json!("ENPH"))
        );
    }
    Ok(())
}

/// V10.
async fn order_of_what_is_not_held_or_not_there_is_refused(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let other = fixture.collection(&[("AAPL", 10_000)]).await?;
    let reweight = json!({ "weights": [weight(&("AAPL", 10_000))] });
    for body in [amount(-100), percent(-50), reweight] {
        refused(&investor, other, &body, "insufficient-funds", "0").await?;
    }
    let unknown = investor.tester.reconfigure(999_999, &amount(100)).await?;
    unknown.expect_problem(404, "collection-not-found")?;
    let mut elsewhere = amount(10_000);
    elsewhere["account_id"] = json!(fixture.customer().await?.customer.trading_account_id);
    let refused = investor.tester.reconfigure(investor.first, &elsewhere).await?;
    refused.expect_problem(404, "trading-account-not-found")?;
    let name = format!("{}_", investor.tester.customer.profile_id);
    ensure_eq!(fixture.cloud.drivewealth().funds_named(&name), 0);
    Ok(())
}

async fn order_under_one_key_is_one(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let body = amount(10_000);
    let orders = try_join_all((0..5).map(|_| tester.reconfigure_under("one", investor.first, &body))).await?;
    let first = orders.first().map(|order| order.body["id"].clone());
    for order in orders {
        ensure_eq!(Some(order.expect(202)?.body["id"].clone()), first);
    }
    ensure_eq!(tester.orders().await?.len(), 3);
    let reused = tester
        .reconfigure_under("one", investor.first, &amount(10_001))
        .await?;
    reused.expect_problem(422, "idempotency-key-reused")?;
    let elsewhere = tester.reconfigure_under("one", investor.second, &body).await?;
    elsewhere.expect_problem(422, "idempotency-key-reused")?;
    Ok(())
}

/// V16.
async fn orders_at_the_same_time_spend_the_cash_once(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let tester = &investor.tester;
    let (first, second) = (amount(300_000), amount(200_000));
    let answers = futures::future::try_join(
        tester.reconfigure(investor.first, &first),
        tester.reconfigure(investor.second, &second),
    )
    .await?;
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    ensure_eq!(statuses, [202, 409]);
    Ok(())
}

/// V4, and what is owed.
async fn order_leaves_what_is_promised(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let sql = "INSERT INTO trading_money_flow (profile_id, trading_account_id, bank_account_id, amount_cents, currency) \
               SELECT profile_id, $1, id, -150000, 'USD' FROM bank_accounts \
               WHERE profile_id = (SELECT profile_id FROM trading_accounts WHERE id = $1)";
    ensure_eq!(
        fixture
            .database
            .change(sql, investor.tester.customer.trading_account_id)
            .await?,
        1
    );
    refused(
        &investor,
        investor.first,
        &amount(250_001),
        "insufficient-funds",
        "2500",
    )
    .await?;
    let sql = "INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end) \
               VALUES ($1, 800, 'USD', now(), 'Commission', '2026-01-01', '2026-01-31')";
    ensure_eq!(
        fixture
            .database
            .change(sql, investor.tester.customer.profile_id)
            .await?,
        1
    );
    refused(
        &investor,
        investor.first,
        &amount(249_201),
        "insufficient-funds",
        "2492",
    )
    .await?;
    let order = investor
        .tester
        .reconfigure(investor.first, &amount(249_200))
        .await?;
    order.expect(202)?;
    Ok(())
}

/// V32.
async fn suspended_profile_sells_and_does_not_buy(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let returned = "UPDATE profiles SET deposits_suspended_at = created_at, deposits_suspended_reason = 'returned' \
                    WHERE id = $1";
    let owed = "INSERT INTO billing_suspensions (profile_id, suspended_at) VALUES ($1, now())";
    for (sql, reason) in [(returned, "returned-deposit"), (owed, "commissions-owed")] {
        let investor = fixture.investor().await?;
        let profile = investor.tester.customer.profile_id;
        ensure!(investor.tester.profile().await?["buying_suspended_since"].is_null());
        ensure_eq!(fixture.database.change(sql, profile).await?, 1);
        let shown = investor.tester.profile().await?;
        ensure!(
            !shown["buying_suspended_since"].is_null(),
            "the profile is {shown}"
        );
        ensure_eq!(shown["buying_suspended_reason"], reason, "the profile is {shown}");
        let weights = json!({ "weights": [weight(&("ENPH", 10_000))] });
        for body in [amount(1_000), percent(50), weights] {
            let answer = investor.tester.reconfigure(investor.first, &body).await?;
            answer.expect_problem(409, "buying-suspended")?;
        }
        let sale = investor
            .tester
            .reconfigure(investor.first, &amount(-100_000))
            .await?;
        let id = sale.expect(202)?.number("id")?;
        fixture.order_reaches(&investor.tester, id, "complete").await?;
    }
    Ok(())
}

async fn account_that_is_not_open_takes_no_orders(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let sql = "UPDATE drivewealth_accounts SET status = 'frozen' WHERE trading_account_id = $1";
    fixture
        .database
        .change(sql, investor.tester.customer.trading_account_id)
        .await?;
    let answer = investor
        .tester
        .reconfigure(investor.first, &amount(-1_000))
        .await?;
    answer.expect_problem(409, "trading-account-not-open")?;
    Ok(())
}

/// V24.
async fn account_without_anything_has_nothing_to_invest(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let new = end_to_end::customers::NewCustomer {
        cash_cents: 0,
        funds: Vec::new(),
        ..end_to_end::customers::NewCustomer::default()
    };
    let tester = fixture.customer_with(&new).await?;
    let collection = fixture.collection(&[("AAPL", 10_000)]).await?;
    for body in [amount(1), percent(100)] {
        let answer = tester.reconfigure(collection, &body).await?;
        answer.expect_problem(409, "insufficient-funds")?;
    }
    Ok(())
}
