//! The mutation that apps send already, word for word, and what a screen shows of collections.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::collections::Investor;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    // They move the clock to an open market, so that tokens of before expire.
    scenarios![
        alone(order_of_the_app_ends_as_over_http),
        alone(order_of_the_app_names_its_own_profile_and_account),
        alone(order_of_the_app_is_taken_once_under_its_key),
        alone(holdings_and_weights_come_in_one_query),
    ]
}

/// As the app has it.
const RECONFIGURE: &str = "
    mutation reconfigure_ttf_holdings($profile_id: Int!, $account_id: Int!, $collection_id: Int!, $weights: [TickerWeight], $absolute_amount_delta_cents: Int, $relative_amount_delta_percent: Int) {
        reconfigure_ttf_holdings(profile_id: $profile_id, account_id: $account_id, collection_id: $collection_id, weights: $weights, absolute_amount_delta_cents: $absolute_amount_delta_cents, relative_amount_delta_percent: $relative_amount_delta_percent) {
            result
        }
    }";

fn variables(tester: &Tester, collection: i64, order: &Value) -> Value {
    let mut variables = json!({
        "profile_id": tester.customer.profile_id,
        "account_id": tester.customer.trading_account_id,
        "collection_id": collection,
    });
    for (name, value) in order.as_object().into_iter().flatten() {
        variables[name] = value.clone();
    }
    variables
}

async fn order_of_the_app_ends_as_over_http(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let weights = |one: Value, other: Value| json!([{ "symbol": "ENPH", "weight": one }, { "symbol": "NEE", "weight": other }]);
    for (of_app, over_http) in [
        (
            json!({ "absolute_amount_delta_cents": 100_000 }),
            json!({ "absolute_amount_delta_cents": 100_000 }),
        ),
        (
            json!({ "weights": [], "absolute_amount_delta_cents": null, "relative_amount_delta_percent": -50 }),
            json!({ "relative_amount_delta_percent": -50 }),
        ),
        (
            json!({ "weights": weights(json!(0.1), json!(0.9)), "absolute_amount_delta_cents": 25_000 }),
            json!({ "weights": weights(json!("0.1"), json!("0.9")), "absolute_amount_delta_cents": 25_000 }),
        ),
    ] {
        let (app, http) = (fixture.investor().await?, fixture.investor().await?);
        let variables = variables(&app.tester, app.first, &of_app);
        let data = app.tester.api.graphql_data(RECONFIGURE, &variables).await?;
        ensure_eq!(data, json!({ "reconfigure_ttf_holdings": { "result": true } }));
        let answer = http.tester.reconfigure(http.first, &over_http).await?;
        answer.expect(202)?;
        let seen = carried_out(&fixture, &app).await?;
        ensure_eq!(seen, carried_out(&fixture, &http).await?, "{of_app}");
        ensure!(seen["order"]["actual_amount_cents"].is_i64(), "{seen}");
    }
    Ok(())
}

/// The newest order when it is complete and the account after it, without what differs between two customers.
async fn carried_out(fixture: &Fixture, investor: &Investor) -> Result<Value> {
    let orders = investor.tester.orders().await?;
    let id = orders.first().and_then(|order| order["id"].as_i64());
    let order = fixture
        .order_reaches(&investor.tester, id.context("there is no order")?, "complete")
        .await?;
    let same = [
        "status",
        "absolute_amount_delta_cents",
        "relative_amount_delta_percent",
        "planned_amount_cents",
        "actual_amount_cents",
        "weights",
        "failure_code",
    ];
    let same: serde_json::Map<String, Value> = same
        .map(|name| (name.to_owned(), order[name].clone()))
        .into_iter()
        .collect();
    let account = fixture.account_of(&investor.tester)?;
    Ok(json!({ "order": same, "cash": account.cash_cents, "cash_target": account.cash_target }))
}

async fn order_of_the_app_names_its_own_profile_and_account(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let (investor, other) = (fixture.investor().await?, fixture.customer().await?);
    let tester = &investor.tester;
    let order = json!({ "absolute_amount_delta_cents": 10_000 });
    let mut of_other = variables(tester, investor.first, &order);
    of_other["profile_id"] = json!(other.customer.profile_id);
    let mut of_nobody = of_other.clone();
    of_nobody["profile_id"] = json!(999_999_999);
    let kind = "profile-not-found";
    let refused = tester.api.graphql_error(RECONFIGURE, &of_other, kind).await?;
    ensure_eq!(refused["errorInfo"]["status"], 404);
    ensure_eq!(
        refused,
        tester.api.graphql_error(RECONFIGURE, &of_nobody, kind).await?
    );
    let mut elsewhere = variables(tester, investor.first, &order);
    elsewhere["account_id"] = json!(other.customer.trading_account_id);
    let kind = "trading-account-not-found";
    tester.api.graphql_error(RECONFIGURE, &elsewhere, kind).await?;
    let unknown = variables(tester, 999_999, &order);
    let kind = "collection-not-found";
    tester.api.graphql_error(RECONFIGURE, &unknown, kind).await?;
    let too_much = variables(
        tester,
        investor.first,
        &json!({ "absolute_amount_delta_cents": 400_001 }),
    );
    let refused = tester
        .api
        .graphql_error(RECONFIGURE, &too_much, "insufficient-funds")
        .await?;
    let over_http = tester
        .reconfigure(investor.first, &json!({ "absolute_amount_delta_cents": 400_001 }))
        .await?;
    ensure_eq!(refused["errorInfo"], over_http.body);
    ensure_eq!(tester.orders().await?.len(), 2, "the two that made the funds");
    Ok(())
}

async fn order_of_the_app_is_taken_once_under_its_key(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let query = "
        mutation($profile: Int!, $account: Int!, $collection: Int!, $key: String) {
          reconfigure_ttf_holdings(profile_id: $profile, account_id: $account, collection_id: $collection,
              weights: { symbol: \"ENPH\", weight: 1 }, relative_amount_delta_percent: 10, idempotency_key: $key) {
            result
            version { id status collection_id relative_amount_delta_percent weights { symbol weight } }
          }
        }";
    let variables = json!({
        "profile": investor.tester.customer.profile_id,
        "account": investor.tester.customer.trading_account_id,
        "collection": investor.first,
        "key": "of-the-app",
    });
    let first = investor.tester.api.graphql_data(query, &variables).await?;
    let second = investor.tester.api.graphql_data(query, &variables).await?;
    ensure_eq!(first, second);
    let version = &first["reconfigure_ttf_holdings"]["version"];
    let orders = investor.tester.orders().await?;
    ensure_eq!(orders.len(), 3);
    let newest = orders.first().context("there is no order")?;
    ensure_eq!(version["id"], newest["id"].to_string(), "an id is text");
    ensure_eq!(version["collection_id"], investor.first.to_string());
    ensure_eq!(version["relative_amount_delta_percent"], "10");
    ensure_eq!(version["weights"], json!([{ "symbol": "ENPH", "weight": "1" }]));
    Ok(())
}

async fn holdings_and_weights_come_in_one_query(fixture: Arc<Fixture>) -> Result {
    fixture.open_market().await?;
    let investor = fixture.investor().await?;
    let query = "
        query Portfolio($first: ID!, $second: ID!) {
          first: get_actual_holdings(collection_id: $first) { amount_cents }
          second: get_actual_holdings(collection_id: $second) { amount_cents }
          list_rebalancing_history(status: \"all\") { items { id status } next_cursor }
        }";
    let variables = json!({ "first": investor.first.to_string(), "second": investor.second.to_string() });
    let data = investor.tester.api.graphql_data(query, &variables).await?;
    ensure_eq!(data["first"]["amount_cents"], "350000");
    ensure_eq!(data["second"]["amount_cents"], "250000");
    let orders = data["list_rebalancing_history"]["items"].as_array();
    ensure_eq!(orders.map(Vec::len), Some(2), "{data}");
    Ok(())
}
