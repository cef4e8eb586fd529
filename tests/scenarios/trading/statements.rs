//! The broker's documents: told of by events, listed, and opened by links that the broker makes each time.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, scenarios};
use local_cloud::sandboxes::drivewealth::DocumentKind;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::drivewealth_events::apply;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        statements_are_listed_newest_first_in_pages_and_by_kind,
        statement_told_of_twice_is_listed_once,
        statement_of_an_account_that_is_not_known_yet_is_listed_later,
        by_hand(statement_event_that_was_only_kept_before_is_handled_once),
        alone(statement_that_no_event_told_of_is_found),
        alone(statement_opens_by_a_link_that_is_made_for_it),
    ]
}

async fn listed(tester: &Tester, query: &str) -> Result<Value> {
    Ok(tester
        .api
        .get(&format!("/trading/statements{query}"))
        .await?
        .expect(200)?
        .body)
}

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).collect()
}

fn told(account: &str, file_key: &str, name: &str) -> Value {
    json!({
        "id": format!("event_{}", Uuid::now_v7()),
        "type": "statements.created",
        "timestamp": chrono::Utc::now(),
        "payload": {
            "statement": { "displayName": name, "fileKey": file_key }, "accountID": account, "accountNo": "MNTA000001",
        },
    })
}

async fn statements_are_listed_newest_first_in_pages_and_by_kind(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let account = &tester.customer.drivewealth_account_id;
    // In no order.
    for (file, name) in [
        ("2026083101", "August"),
        ("2026103101", "October"),
        ("2026093001", "September"),
    ] {
        apply(&fixture, &[told(account, file, name)]).await?;
    }
    fixture
        .statement(&tester, DocumentKind::TradeConfirm, "Trades")
        .await?;
    fixture.statement(&tester, DocumentKind::TaxForm, "1099").await?;
    let monthly = listed(&tester, "?kind=monthly").await?;
    ensure_eq!(names(&monthly), ["October", "September", "August"]);
    ensure_eq!(monthly["items"][0]["day"], "2026-10-31", "{monthly}");
    ensure_eq!(
        names(&listed(&tester, "?kind=trade_confirmation").await?),
        ["Trades"]
    );
    ensure_eq!(names(&listed(&tester, "?kind=tax").await?), ["1099"]);
    let whole = listed(&tester, "").await?;
    let whole = names(&whole);
    ensure_eq!(whole.len(), 5, "{whole:?}");
    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = listed(&tester, &query).await?;
        paged.extend(names(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=2&cursor={cursor}");
    }
    ensure_eq!(paged, whole);
    let refused = tester.api.get("/trading/statements?kind=all").await?;
    refused.expect(400)?;
    Ok(())
}

async fn statement_told_of_twice_is_listed_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let account = &tester.customer.drivewealth_account_id;
    let event = told(account, "2026103101", "October");
    // The same event twice, and another one about the same document.
    apply(&fixture, &[event.clone(), event]).await?;
    apply(&fixture, &[told(account, "2026103101", "October")]).await?;
    ensure_eq!(names(&listed(&tester, "").await?), ["October"]);
    Ok(())
}

async fn statement_of_an_account_that_is_not_known_yet_is_listed_later(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let account = format!("{}.1700000000001", Uuid::new_v4());
    apply(&fixture, &[told(&account, "2026103101", "Early")]).await?;
    ensure_eq!(names(&listed(&tester, "").await?).len(), 0);
    let known = "UPDATE statements SET drivewealth_account_id = (SELECT ref_id FROM drivewealth_accounts \
                 WHERE trading_account_id = $1) WHERE display_name = 'Early'";
    let trading_account = tester.customer.trading_account_id;
    fixture.database.change(known, trading_account).await?;
    ensure_eq!(names(&listed(&tester, "").await?), ["Early"]);
    Ok(())
}

async fn statement_event_that_was_only_kept_before_is_handled_once(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let event = told(&tester.customer.drivewealth_account_id, "2026073101", "July");
    let keep = "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at, is_unhandled) \
                VALUES ('drivewealth', $1, 'statements.created', now(), $2, now(), true)";
    sqlx::query(keep)
        .bind(event["id"].as_str())
        .bind(&event["payload"])
        .execute(fixture.database.pool())
        .await?;
    for _ in 0..2 {
        fixture
            .run("reconcile_trading", json!({ "scope": "due" }))
            .await?;
        ensure_eq!(names(&listed(&tester, "").await?), ["July"]);
    }
    let left = "SELECT count(*) FROM inbox_events WHERE event_id = $1 AND is_unhandled";
    let left: i64 = sqlx::query_scalar(left)
        .bind(event["id"].as_str())
        .fetch_one(fixture.database.pool())
        .await?;
    ensure_eq!(left, 0, "kept events that wait");
    Ok(())
}

async fn statement_that_no_event_told_of_is_found(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // Whoever has moved money lately is compared.
    let deposit = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(deposit, "success").await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "all" }))
        .await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.hold_events(true);
    let account = &tester.customer.drivewealth_account_id;
    drivewealth.make_document(account, DocumentKind::Statement, "Lost")?;
    let report = fixture
        .run("reconcile_trading", json!({ "scope": "all" }))
        .await?;
    ensure_eq!(report.payload["differences"], 1, "{}", report.payload);
    ensure_eq!(names(&listed(&tester, "").await?), ["Lost"]);
    // The event comes after all, and tells nothing new.
    drivewealth.hold_events(false);
    drivewealth.release_events().await;
    fixture.queue_reaches("drivewealth-events", 0).await?;
    ensure_eq!(names(&listed(&tester, "").await?), ["Lost"]);
    Ok(())
}

async fn statement_opens_by_a_link_that_is_made_for_it(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = fixture
        .statement(&tester, DocumentKind::Statement, "October 2026")
        .await?;
    let path = format!("/trading/statements/{id}");
    let link = tester.api.get(&path).await?.expect(200)?;
    let url = link.body["url"].as_str().context("no link")?.to_owned();
    let client = local_cloud::http_client()?;
    let file = client.get(&url).send().await?;
    ensure_eq!(file.headers()["content-type"], "application/pdf");
    let text = file.text().await?;
    ensure!(
        text.starts_with("%PDF-") && text.contains("October 2026"),
        "the file is {text}"
    );

    // The broker is out of reach, or doesn't have the file any more.
    let drivewealth = fixture.cloud.drivewealth();
    let refuse = |status: u16, code: &str| Effect::Refuse {
        status,
        error_code: code.to_owned(),
        message: "no".to_owned(),
    };
    drivewealth.fault(Fault::new("GET", "/statements", refuse(503, "E500")).times(3));
    tester.api.get(&path).await?.expect(503)?;
    drivewealth.fault(Fault::new("GET", "/statements", refuse(404, "E030")).times(1));
    let gone = tester.api.get(&path).await?;
    gone.expect_problem(404, "statement-not-found")?;

    let another = tester.api.get(&path).await?.expect(200)?;
    ensure!(another.body["url"] != json!(url), "the same link again");
    Ok(())
}
