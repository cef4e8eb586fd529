//! What an app doesn't get, and how it is told.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Answer, Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use local_cloud::TokenOptions;
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        token_that_is_not_good_is_refused,
        token_without_a_profile_is_denied_field_by_field,
        error_of_a_field_carries_the_problem,
        errors_of_each_kind_have_their_code,
        field_that_fails_leaves_the_others,
        what_belongs_to_another_is_not_there,
        document_beyond_the_limits_is_refused,
        document_that_cannot_be_read_is_refused,
        number_beyond_int_is_an_error,
        amount_that_is_no_whole_number_is_named,
        alone(function_that_cannot_start_tells_nothing_of_it),
    ]
}

const COUNT: &str = "{ get_unread_count { unread } }";

async fn ask_as(fixture: &Fixture, authorization: Option<&str>) -> Result<Answer> {
    let api = fixture.api(None)?;
    let mut request = api
        .request(Method::POST, "/graphql")
        .json(&json!({ "query": COUNT }));
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    api.send(request).await
}

async fn token_that_is_not_good_is_refused(fixture: Arc<Fixture>) -> Result {
    let claims = json!({ "profile_id": fixture.customer().await?.customer.profile_id });
    let token = |options: TokenOptions| fixture.cloud.mint_token_with(claims.clone(), options);
    let good = token(TokenOptions::default())?;
    // AppSync takes a token with or without the word before it.
    for authorization in [good.clone(), format!("Bearer {good}")] {
        ask_as(&fixture, Some(&authorization)).await?.expect(200)?;
    }
    let expired = fixture
        .cloud
        .mint_token(json!({ "profile_id": 1, "expires_in": -60 }))?;
    let foreign = token(TokenOptions {
        audience: Some("somebody-else".to_owned()),
        ..TokenOptions::default()
    })?;
    for refused in [
        None,
        Some(""),
        Some("no.token.atall"),
        Some(expired.as_str()),
        Some(foreign.as_str()),
    ] {
        let answer = ask_as(&fixture, refused).await?.expect(401)?;
        ensure_eq!(answer.body["errors"][0]["errorType"], "UnauthorizedException");
        ensure!(answer.body["data"].is_null(), "{}", answer.text);
    }
    Ok(())
}

async fn token_without_a_profile_is_denied_field_by_field(fixture: Arc<Fixture>) -> Result {
    let api = fixture.api(Some(json!({ "scope": "wallets" })))?;
    let error = api.graphql_error(COUNT, &json!({}), "denied").await?;
    ensure_eq!(error["errorInfo"]["status"], 403);
    Ok(())
}

const DEPOSIT: &str = "
    mutation($account: ID!, $bank: ID!, $amount: String!) {
      deposit_funds(trading_account_id: $account, bank_account_id: $bank, amount_cents: $amount) { id }
    }";

fn deposit_of(tester: &Tester, amount: &str) -> Value {
    json!({
        "account": tester.customer.trading_account_id.to_string(),
        "bank": tester.customer.bank_account_id.to_string(),
        "amount": amount,
    })
}

async fn error_of_a_field_carries_the_problem(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let error = tester
        .api
        .graphql_error(DEPOSIT, &deposit_of(&tester, "5000001"), "amount-above-limit")
        .await?;
    let problem = tester
        .deposit(5_000_001)
        .await?
        .expect_problem(422, "amount-above-limit")?;
    ensure_eq!(error["errorInfo"], problem.body);
    ensure_eq!(error["message"], problem.body["detail"]);
    ensure_eq!(error["path"], json!(["deposit_funds"]));
    ensure_eq!(error["locations"][0]["line"], 3);
    ensure!(error["data"].is_null(), "{error}");
    Ok(())
}

async fn errors_of_each_kind_have_their_code(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut unknown_bank = deposit_of(&tester, "1000");
    unknown_bank["bank"] = json!("999999999");
    for (variables, kind, status) in [
        (deposit_of(&tester, "12.5"), "malformed-request", 400),
        (unknown_bank, "bank-account-not-found", 404),
        (deposit_of(&tester, "2000000"), "insufficient-funds", 409),
        (deposit_of(&tester, "0"), "amount-not-positive", 422),
    ] {
        let error = tester.api.graphql_error(DEPOSIT, &variables, kind).await?;
        ensure_eq!(error["errorInfo"]["status"], status, "{kind}");
    }
    Ok(())
}

async fn field_that_fails_leaves_the_others(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let query = "{ invoice: get_invoice(invoice_id: 999999999) { id } get_unread_count { unread } }";
    let answer = tester.api.graphql(query, &json!({})).await?.expect(200)?;
    ensure_eq!(
        answer.body["data"],
        json!({ "invoice": null, "get_unread_count": { "unread": 0 } })
    );
    ensure_eq!(answer.body["errors"][0]["path"], json!(["invoice"]));
    Ok(())
}

async fn what_belongs_to_another_is_not_there(fixture: Arc<Fixture>) -> Result {
    let (owner, other) = (fixture.customer().await?, fixture.customer().await?);
    let invoice = fixture.invoice(&owner, 900).await?;
    let query = "query($id: ID!) { get_invoice(invoice_id: $id) { id amount_cents } }";
    let own = owner
        .api
        .graphql_data(query, &json!({ "id": invoice.to_string() }))
        .await?;
    ensure_eq!(own["get_invoice"]["id"], invoice.to_string());
    let kind = "invoice-not-found";
    let of_other = other
        .api
        .graphql_error(query, &json!({ "id": invoice.to_string() }), kind)
        .await?;
    let of_nobody = other
        .api
        .graphql_error(query, &json!({ "id": "999999999" }), kind)
        .await?;
    ensure_eq!(of_other, of_nobody);
    let mut deposit = deposit_of(&other, "1000");
    deposit["account"] = json!(owner.customer.trading_account_id.to_string());
    other
        .api
        .graphql_error(DEPOSIT, &deposit, "trading-account-not-found")
        .await?;
    Ok(())
}

async fn document_beyond_the_limits_is_refused(fixture: Arc<Fixture>) -> Result {
    let api = fixture.customer().await?.api;
    let refused = async |query: &str, kind: &str| {
        let answer = api.graphql(query, &json!({})).await?.expect(200)?;
        ensure_eq!(answer.body["errors"][0]["errorType"], kind, "{}", answer.text);
        ensure!(answer.body["data"].is_null(), "{}", answer.text);
        Ok::<_, anyhow::Error>(())
    };
    let deep = format!("{{ {}a{} }}", "a { ".repeat(12), " }".repeat(12));
    refused(&deep, "QueryDepthLimitReached").await?;
    let aliases: String = (0..21)
        .map(|index| format!("f{index}: get_unread_count {{ unread }} "))
        .collect();
    refused(&format!("{{ {aliases} }}"), "ResolverExecutionLimitReached").await?;
    let spread = "...F ".repeat(21);
    let fragment = "fragment F on Query { get_unread_count { unread } }";
    refused(
        &format!("{{ {spread} }} {fragment}"),
        "ResolverExecutionLimitReached",
    )
    .await?;
    let wide: String = (0..10_001).map(|index| format!("f{index}: unread ")).collect();
    refused(&format!("{{ get_unread_count {{ {wide} }} }}"), "RequestTooLarge").await?;
    let within: String = (0..20)
        .map(|index| format!("f{index}: get_unread_count {{ unread }} "))
        .collect();
    let answer = api
        .graphql(&format!("{{ {within} }}"), &json!({}))
        .await?
        .expect(200)?;
    ensure!(answer.body["data"]["f19"]["unread"] == 0, "{}", answer.text);
    Ok(())
}

async fn document_that_cannot_be_read_is_refused(fixture: Arc<Fixture>) -> Result {
    let api = fixture.customer().await?.api;
    for body in ["{", "[]", "{}", r#"{"query":"{"}"#, r#"{"query":7}"#] {
        let request = api.request(Method::POST, "/graphql").body(body);
        let answer = api.send(request).await?.expect(400)?;
        ensure_eq!(
            answer.body["errors"][0]["errorType"],
            "MalformedHttpRequestException",
            "{body}"
        );
    }
    for query in [
        "{ no_such_field }",
        "{ get_unread_count }",
        "{ get_unread_count { unread { more } } }",
        "{ get_invoice { id } }",
        "query($n: Int!) { list_money_flow_history(limit: $n) { next_cursor } }",
        "subscription { anything }",
    ] {
        let answer = api.graphql(query, &json!({})).await?.expect(200)?;
        ensure!(
            answer.body["errors"][0]["message"].is_string(),
            "{query}: {}",
            answer.text
        );
        ensure!(answer.body["data"].is_null(), "{query}: {}", answer.text);
    }
    Ok(())
}

async fn number_beyond_int_is_an_error(fixture: Arc<Fixture>) -> Result {
    let api = fixture.customer().await?.api;
    let query = "query($limit: Int) { list_money_flow_history(limit: $limit) { next_cursor } }";
    api.graphql_error(query, &json!({ "limit": 2_147_483_648_i64 }), "ValidationError")
        .await?;
    // What Int takes and the operation doesn't, the operation says.
    api.graphql_error(query, &json!({ "limit": 2_147_483_647 }), "malformed-request")
        .await?;
    Ok(())
}

async fn amount_that_is_no_whole_number_is_named(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    for amount in [
        "",
        "1e3",
        "12.5",
        "007",
        "+5",
        " 5",
        "9007199254740993",
        "99999999999999999999",
    ] {
        let error = tester
            .api
            .graphql_error(DEPOSIT, &deposit_of(&tester, amount), "malformed-request")
            .await?;
        ensure_eq!(
            error["errorInfo"]["errors"][0]["field"],
            "amount_cents",
            "{amount:?}"
        );
    }
    ensure!(fixture.deposits_of(&tester).is_empty(), "something was deposited");
    Ok(())
}

async fn function_that_cannot_start_tells_nothing_of_it(fixture: Arc<Fixture>) -> Result {
    let api = fixture.customer().await?.api;
    // Without its table the function can't start.
    fixture
        .cloud
        .set_function_environment("get_unread_count", "TABLE_NOTIFICATIONS", "")?;
    let error = api.graphql_error(COUNT, &json!({}), "internal").await?;
    ensure_eq!(error["errorInfo"]["status"], 500);
    let table = fixture.cloud.table("notifications")?;
    fixture
        .cloud
        .set_function_environment("get_unread_count", "TABLE_NOTIFICATIONS", &table)?;
    api.graphql_data(COUNT, &json!({})).await?;
    Ok(())
}
