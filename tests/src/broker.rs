//! Somebody else at the broker: what is done there without us.

use anyhow::{Context, ensure};
use local_cloud::keys::{DRIVEWEALTH_APP_KEY, DRIVEWEALTH_PASSWORD, DRIVEWEALTH_USERNAME};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Fixture, Result, Tester};

/// Makes a deposit or redemption (by the path) for a customer's account past us, and gives its id.
///
/// # Errors
/// When the broker doesn't take it.
pub async fn make_payment(
    fixture: &Fixture,
    tester: &Tester,
    path: &str,
    amount_cents: i64,
) -> Result<String> {
    let sign_in = json!({
        "appTypeID": 4, "username": DRIVEWEALTH_USERNAME, "password": DRIVEWEALTH_PASSWORD,
    });
    let session = post(fixture, "/auth", None, &sign_in).await?;
    let token = session["authToken"].as_str().context("no token")?;
    let account = fixture
        .cloud
        .drivewealth()
        .account(&tester.customer.drivewealth_account_id);
    let payment = json!({
        "accountNo": account.context("the broker has no such account")?.account_no,
        "amount": format!("{}.{:02}", amount_cents / 100, amount_cents % 100),
        "currency": "USD",
        "type": "ACH",
        "bankAccountID": tester.customer.drivewealth_bank_account_id,
    });
    let made = post(fixture, path, Some(token), &payment).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn post(fixture: &Fixture, path: &str, token: Option<&str>, body: &Value) -> Result<Value> {
    let url = format!("{}/drivewealth{path}", fixture.cloud.sandboxes_url());
    let request = local_cloud::http_client()?.post(url).json(body);
    let request = request
        .header("dw-client-app-key", DRIVEWEALTH_APP_KEY)
        .header("idempotency-key", Uuid::new_v4().to_string())
        .header("dw-auth-token", token.unwrap_or_default());
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "the broker answers {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}
