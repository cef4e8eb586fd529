//! What an app shows.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        home_screen_comes_in_one_query,
        list_goes_on_where_its_cursor_says,
        schema_tells_itself_with_its_descriptions,
        data_of_a_notification_is_json_as_text,
        variable_that_is_not_given_is_no_null,
    ]
}

const HOME: &str = "
    query Home($flows: Int!) {
      profile: get_trading_profile { ...Cash currency opened_at }
      waiting: get_unread_count { unread }
      flows: list_money_flow_history(limit: $flows) { ...Flows }
      list_notifications { items { kind title read created_at } next_cursor }
      __typename
    }
    fragment Cash on TradingProfile { trading_account_id cash_cents pending_cash_cents }
    fragment Flows on MoneyFlowPage { items { id amount_cents status direction } next_cursor }";

async fn home_screen_comes_in_one_query(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let deposit = tester.deposit(25_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    let feed = tester.feed_reaches(1).await?;
    let data = tester.api.graphql_data(HOME, &json!({ "flows": 5 })).await?;
    let profile = tester.profile().await?;
    ensure_eq!(
        data["profile"]["trading_account_id"],
        profile["trading_account_id"].to_string(),
        "an id is text"
    );
    ensure_eq!(
        data["profile"]["cash_cents"],
        profile["cash_cents"].to_string(),
        "money is text"
    );
    ensure_eq!(data["profile"]["currency"], "USD");
    ensure_eq!(data["waiting"]["unread"], tester.unread().await?);
    let flow = json!({
        "id": deposit.to_string(), "amount_cents": "25000", "status": "success", "direction": "deposit",
    });
    ensure_eq!(data["flows"], json!({ "items": [flow], "next_cursor": null }));
    let shown = &data["list_notifications"]["items"][0];
    ensure_eq!(shown["title"], feed[0]["title"]);
    ensure_eq!(
        (&shown["kind"], &shown["read"]),
        (&json!("money-flow.succeeded"), &json!(false))
    );
    ensure_eq!(data["__typename"], "Query");
    Ok(())
}

async fn list_goes_on_where_its_cursor_says(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut deposits = Vec::new();
    for amount_cents in [1_000, 2_000, 3_000] {
        let deposit = tester.deposit(amount_cents).await?.expect(201)?.number("id")?;
        deposits.insert(0, deposit.to_string());
    }
    let query = "query($cursor: String) { list_money_flow_history(limit: 2, cursor: $cursor) { items { id } next_cursor } }";
    let mut seen = Vec::new();
    let mut cursor = json!(null);
    loop {
        let page = tester
            .api
            .graphql_data(query, &json!({ "cursor": cursor }))
            .await?;
        let page = &page["list_money_flow_history"];
        let items = page["items"].as_array().into_iter().flatten();
        seen.extend(items.map(|item| item["id"].as_str().unwrap_or_default().to_owned()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    ensure_eq!(seen, deposits);
    Ok(())
}

async fn schema_tells_itself_with_its_descriptions(fixture: Arc<Fixture>) -> Result {
    let query = "{ __type(name: \"Mutation\") { fields { name description args { name type { kind ofType { name } } } } } }";
    let data = fixture
        .customer()
        .await?
        .api
        .graphql_data(query, &json!({}))
        .await?;
    let fields = data["__type"]["fields"].as_array().cloned().unwrap_or_default();
    let Some(deposit) = fields.iter().find(|field| field["name"] == "deposit_funds") else {
        anyhow::bail!("no deposit_funds in {data}");
    };
    ensure!(
        deposit["description"]
            .as_str()
            .is_some_and(|text| text.len() > 20),
        "{deposit}"
    );
    let arguments = deposit["args"].as_array().cloned().unwrap_or_default();
    let amount =
        json!({ "name": "amount_cents", "type": { "kind": "NON_NULL", "ofType": { "name": "String" } } });
    ensure!(arguments.contains(&amount), "{deposit}");
    Ok(())
}

async fn data_of_a_notification_is_json_as_text(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let deposit = tester.deposit(7_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    let feed = tester.feed_reaches(1).await?;
    let data = tester
        .api
        .graphql_data("{ list_notifications { items { data } } }", &json!({}))
        .await?;
    let text = data["list_notifications"]["items"][0]["data"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let read: serde_json::Value = serde_json::from_str(&text)?;
    ensure_eq!(read, feed[0]["data"]);
    Ok(())
}

async fn variable_that_is_not_given_is_no_null(fixture: Arc<Fixture>) -> Result {
    let api = fixture.customer().await?.api;
    let query = "
        query Page($limit: Int, $unread: Boolean, $cursor: String) {
          list_notifications(limit: $limit, unread: $unread, cursor: $cursor) { items { id } }
        }";
    for variables in [
        json!({}),
        json!({ "limit": null, "unread": null, "cursor": null }),
        json!({ "limit": 1 }),
    ] {
        let data = api.graphql_data(query, &variables).await?;
        ensure_eq!(data["list_notifications"], json!({ "items": [] }), "{variables}");
    }
    let answer = api.graphql(query, &json!(null)).await?.expect(200)?;
    ensure!(answer.body["errors"].is_null(), "{}", answer.text);
    Ok(())
}
