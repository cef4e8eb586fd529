//! Cursors and claims, by way of the functions that read them.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use end_to_end::points::seed;
use end_to_end::{Fixture, Result, is_soak, root};
use serde_json::{Value, json};

use crate::MINUTE;
use crate::edits::Source;
use crate::examples::event_file;

/// Requests of a usual run, per function.
const REQUESTS: u64 = 25;

/// What is in the cursors of each list.
const LISTS: [(&str, &str); 16] = [
    ("list_commission_history", r#"["commissions",17]"#),
    ("list_invoices", r#"["invoices",17]"#),
    ("get_bills_by_dealer", r#"["bills",17]"#),
    ("list_payments", r#"["payments",17]"#),
    ("get_statement", r#"["wallet-statement",{"first":3,"end":9}]"#),
    ("list_collections", r#"["collections",17]"#),
    (
        "get_trading_history",
        r#"["account-history",{"at":"2026-11-20T14:30:02.239Z","source":1,"id":7}]"#,
    ),
    ("list_money_flow_history", r#"["money-flows",17]"#),
    ("list_rebalancing_history", r#"["rebalancings",17]"#),
    (
        "list_statements",
        r#"["account-statements",{"day":"2026-11-20","id":7}]"#,
    ),
    (
        "list_notifications",
        r#"["notifications","01M7WNTHPXESCK3KEM4PZRFMQE"]"#,
    ),
    ("list_reviews", r#"["reviews",17]"#),
    (
        "list_funded_accounts",
        r#"["funded-accounts",{"activated_at":"2026-11-20T14:30:02.239Z","id":7}]"#,
    ),
    ("list_pending_withdrawals", r#"["pending-withdrawals",17]"#),
    ("list_withdrawals", r#"["withdrawals",17]"#),
    ("list_tiers", r#"["tiers","standard-100k"]"#),
];

/// Calls a function with an event; any answer will do that is no fault of ours. Gives its status.
async fn asked(fixture: &Fixture, function: &str, event: &Value, what: &str) -> Result<u64> {
    let result = fixture.cloud.invoke(function, event.clone()).await?;
    ensure!(
        result.function_error.is_none(),
        "{function} with {what}: {:?}",
        result.function_error
    );
    let status = result.payload["statusCode"].as_u64().context("no status")?;
    ensure!(status < 500, "{function} with {what}: {}", result.payload);
    Ok(status)
}

pub(crate) async fn every_list_lives_through_any_cursor(fixture: Arc<Fixture>) -> Result {
    let lists = lists()?;
    ensure!(
        lists.len() == LISTS.len(),
        "{} lists have a cursor, and {} examples are here",
        lists.len(),
        LISTS.len()
    );
    for function in &lists {
        let known = LISTS.iter().find(|(operation, _)| operation == function);
        let (_, cursor) =
            known.with_context(|| format!("{function} needs an example of what is in its cursors"))?;
        any_cursors(&fixture, function, cursor).await?;
    }
    Ok(())
}

/// The operations whose description has a cursor.
fn lists() -> Result<Vec<String>> {
    let description = std::fs::read_to_string(root().join("infra/openapi.yaml"))?;
    let described: Value = serde_yaml_ng::from_str(&description)?;
    let operations = described["paths"]
        .as_object()
        .into_iter()
        .flat_map(|paths| paths.values());
    let lists = operations.map(|operation| &operation["get"]).filter(|operation| {
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.any(|parameter| parameter["name"] == "cursor")
    });
    let named = lists.map(|operation| operation["operationId"].as_str().map(str::to_owned));
    named
        .collect::<Option<_>>()
        .context("an operation without a name")
}

async fn any_cursors(fixture: &Fixture, function: &str, example: &str) -> Result {
    let examples = [example.as_bytes().to_vec()];
    let mut event = event_file(function)?;
    let query = event["rawQueryString"].as_str().unwrap_or_default().to_owned();
    let mut source = Source::of(seed()?, function);
    let begun = Instant::now();
    let (mut round, mut read) = (0, 0);
    while round < REQUESTS || (is_soak() && begun.elapsed() < MINUTE) {
        let position = source.edit_one_of(&examples);
        let cursor = match round % 4 {
            3 => source.edit_one_of(&[URL_SAFE_NO_PAD.encode(&position).into_bytes()]),
            _ => URL_SAFE_NO_PAD.encode(&position).into_bytes(),
        };
        let escaped: String = cursor.iter().map(|byte| format!("%{byte:02x}")).collect();
        event["rawQueryString"] = json!(format!("{query}&cursor={escaped}").trim_start_matches('&'));
        let status = asked(fixture, function, &event, &position.escape_ascii().to_string()).await?;
        read += u64::from(status != 400);
        round += 1;
    }
    println!("  {function}: {read} of {round} cursors were read");
    ensure!(read < round, "{function}: every cursor was read");
    Ok(())
}

pub(crate) async fn every_kind_of_caller_may_have_any_claims(fixture: Arc<Fixture>) -> Result {
    // Of an app's user, a trader, a client, a service and an administrator.
    let functions = [
        "get_trading_profile",
        "get_funded_account",
        "get_wallets",
        "get_dealer",
        "list_reviews",
    ];
    for function in functions {
        let original = event_file(function)?;
        let claims = original["requestContext"]["authorizer"]["jwt"]["claims"].as_object();
        let claims = claims.with_context(|| format!("{function}: no claims"))?.clone();
        let mut source = Source::of(seed()?, function);
        let begun = Instant::now();
        let (mut round, mut refused) = (0, 0);
        while round < REQUESTS || (is_soak() && begun.elapsed() < MINUTE) {
            let mut event = original.clone();
            for (name, value) in &claims {
                let edited = source.edit_one_of(&[value.as_str().unwrap_or_default().as_bytes().to_vec()]);
                event["requestContext"]["authorizer"]["jwt"]["claims"][name] =
                    json!(String::from_utf8_lossy(&edited));
            }
            let what = event["requestContext"]["authorizer"].to_string();
            let status = asked(&fixture, function, &event, &what).await?;
            refused += u64::from(status == 403);
            round += 1;
        }
        ensure!(refused > 0, "{function}: no claims were refused");
    }
    Ok(())
}
