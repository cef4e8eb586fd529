//! What an app does, once.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, Tester, billing::VISA, ensure_eq, scenarios};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        mutation_under_a_key_is_done_once,
        key_of_the_header_counts_where_no_argument_is,
        key_of_a_mutation_is_that_of_the_route,
        mutations_alike_without_a_key_are_two,
        mutations_of_a_document_run_one_after_the_other,
        preferences_are_sent_as_a_list_of_inputs,
        card_is_deleted_by_a_mutation,
    ]
}

const DEPOSIT: &str = "
    mutation Deposit($account: ID!, $bank: ID!, $amount: String!, $key: String) {
      deposit_funds(trading_account_id: $account, bank_account_id: $bank, amount_cents: $amount, idempotency_key: $key) {
        id amount_cents status currency
      }
    }";

fn deposit_of(tester: &Tester, amount_cents: i64, key: Option<&str>) -> Value {
    json!({
        "account": tester.customer.trading_account_id.to_string(),
        "bank": tester.customer.bank_account_id.to_string(),
        "amount": amount_cents.to_string(),
        "key": key,
    })
}

async fn mutation_under_a_key_is_done_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let variables = deposit_of(&tester, 25_000, Some("once"));
    let first = tester.api.graphql_data(DEPOSIT, &variables).await?;
    let second = tester.api.graphql_data(DEPOSIT, &variables).await?;
    ensure_eq!(first, second);
    ensure_eq!(first["deposit_funds"]["amount_cents"], "25000");
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    let other = deposit_of(&tester, 30_000, Some("once"));
    tester
        .api
        .graphql_error(DEPOSIT, &other, "idempotency-key-reused")
        .await?;
    Ok(())
}

async fn key_of_the_header_counts_where_no_argument_is(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let body = json!({ "query": DEPOSIT, "variables": deposit_of(&tester, 11_000, None) });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = tester.api.request(Method::POST, "/graphql");
        let answer = tester
            .api
            .send(request.header("Idempotency-Key", "header").json(&body))
            .await?;
        ids.push(answer.expect(200)?.body["data"]["deposit_funds"]["id"].clone());
    }
    ensure!(ids[0].is_string() && ids[0] == ids[1], "{ids:?}");
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    Ok(())
}

async fn key_of_a_mutation_is_that_of_the_route(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let data = tester
        .api
        .graphql_data(DEPOSIT, &deposit_of(&tester, 12_000, Some("both")))
        .await?;
    let over_http = tester.deposit_under("both", 12_000).await?.expect(201)?;
    ensure_eq!(data["deposit_funds"]["id"], over_http.number("id")?.to_string());
    ensure_eq!(fixture.deposits_of(&tester).len(), 1);
    Ok(())
}

async fn mutations_alike_without_a_key_are_two(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let query = "
        mutation Twice($account: ID!, $bank: ID!, $amount: String!) {
          first: deposit_funds(trading_account_id: $account, bank_account_id: $bank, amount_cents: $amount) { id }
          second: deposit_funds(trading_account_id: $account, bank_account_id: $bank, amount_cents: $amount) { id }
        }";
    let data = tester
        .api
        .graphql_data(query, &deposit_of(&tester, 1_000, None))
        .await?;
    ensure!(data["first"]["id"] != data["second"]["id"], "{data}");
    ensure_eq!(fixture.deposits_of(&tester).len(), 2);
    Ok(())
}

async fn mutations_of_a_document_run_one_after_the_other(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let deposit = tester.deposit(5_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    let feed = tester.feed_reaches(1).await?;
    let query = "
        mutation Read($ids: [ID!]) {
          read: mark_notifications_read(ids: $ids) { unread complete }
          again: mark_notifications_read(ids: $ids) { unread complete }
        }";
    let data = tester
        .api
        .graphql_data(query, &json!({ "ids": [feed[0]["id"]] }))
        .await?;
    let nothing_left = json!({ "unread": 0, "complete": true });
    ensure_eq!(data, json!({ "read": nothing_left, "again": nothing_left }));
    Ok(())
}

async fn preferences_are_sent_as_a_list_of_inputs(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let query = "
        mutation Choose($items: [PreferenceChoiceInput!]!) {
          set_notification_preferences(items: $items) { items { kind push mail } }
        }";
    let choice = json!({ "kind": "money-flow.succeeded", "feed": true, "push": false, "mail": true });
    let data = tester
        .api
        .graphql_data(query, &json!({ "items": [choice] }))
        .await?;
    let expected = json!({ "kind": "money-flow.succeeded", "push": false, "mail": true });
    let items = data["set_notification_preferences"]["items"].as_array().cloned();
    ensure!(items.is_some_and(|items| items.contains(&expected)), "{data}");
    Ok(())
}

async fn card_is_deleted_by_a_mutation(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let kept = tester.save_card(&fixture, VISA).await?;
    let deleted = tester.save_card(&fixture, VISA).await?;
    let query = "mutation($id: ID!) { delete_payment_method(payment_method_id: $id) { items { id } } }";
    let variables = json!({ "id": deleted.to_string() });
    let data = tester.api.graphql_data(query, &variables).await?;
    ensure_eq!(
        data["delete_payment_method"]["items"],
        json!([{ "id": kept.to_string() }])
    );
    Ok(())
}
