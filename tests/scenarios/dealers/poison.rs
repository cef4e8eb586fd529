//! Messages that can't be booked: they go to the failure queue with their reason, and their partition moves on.

use std::sync::Arc;

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use end_to_end::dealers::Dealer;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        message_that_cannot_be_booked_is_given_up_with_its_reason,
        same_payment_with_another_amount_or_client_is_left_to_a_person,
        alone(payment_that_was_given_up_is_booked_when_it_is_redriven),
    ]
}

const FAILURES: &str = "bill-payments-dead";

/// A message as Billing sends it.
fn message(payment: &str, client: &str, amount: i64) -> Value {
    json!({
        "paymentId": payment, "billingClientId": client, "billId": null, "amount": amount, "currency": "RUB",
        "paidAt": "2026-11-20T14:30:02Z", "reversalOf": null,
    })
}

fn new_payment() -> String {
    format!("P-{}", Uuid::new_v4().simple())
}

/// Why records with this text in their value were given up.
async fn reasons(fixture: &Fixture, text: &str) -> Result<Vec<String>> {
    let holds = |failed: &Value| {
        let value = failed["record"]["value"].as_str().unwrap_or_default();
        let value = STANDARD.decode(value).unwrap_or_default();
        String::from_utf8_lossy(&value).contains(text)
    };
    let waiting = fixture.waiting_in(FAILURES).await?;
    let reasons = waiting.iter().filter(|failed| holds(failed));
    Ok(reasons
        .filter_map(|failed| failed["reason"].as_str().map(str::to_owned))
        .collect())
}

async fn is_given_up(fixture: &Fixture, text: &str, reason: &str) -> Result {
    eventually(&format!("{text} is given up as {reason}"), async || {
        ensure_eq!(reasons(fixture, text).await?, [reason]);
        Ok(())
    })
    .await
}

async fn message_that_cannot_be_booked_is_given_up_with_its_reason(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let with = |name: &str, value: Value| {
        let payment = new_payment();
        let mut message = message(&payment, &client, 100);
        message[name] = value;
        (payment, message.to_string())
    };
    let mut poison = vec![
        ("currency-not-supported", with("currency", json!("USD"))),
        ("currency-not-supported", with("currency", json!(""))),
        ("payment-out-of-range", with("amount", json!(0))),
        ("payment-out-of-range", with("amount", json!(-100))),
        ("payment-out-of-range", with("amount", json!(i64::MAX))),
        (
            "unknown-billing-client",
            with("billingClientId", json!("C-nobody")),
        ),
        ("unreadable", with("amount", json!("100"))),
        ("unreadable", with("amount", json!(12.5))),
        ("unreadable", with("paidAt", json!("today"))),
        ("unreadable", with("currency", json!(null))),
    ];
    let broken = new_payment();
    poison.push((
        "unreadable",
        (broken.clone(), format!("{{\"paymentId\": \"{broken}\"")),
    ));
    let billing = fixture.cloud.billing();
    let mut paid = 0;
    for (_, (_, text)) in &poison {
        billing.publish_raw(&client, text).await?;
        // Behind it in the same partition.
        let good = new_payment();
        billing
            .publish_raw(&client, &message(&good, &client, 7).to_string())
            .await?;
        fixture.booked(&good).await?;
        paid += 7;
    }
    for (reason, (payment, _)) in &poison {
        is_given_up(&fixture, payment, reason).await?;
        ensure!(!fixture.is_booked(payment).await?, "{payment} is booked");
    }
    dealer.balance_reaches("COMMISSION", paid).await
}

async fn is_conflict(fixture: &Fixture, payment: &str, dealer: &Dealer, balance: i64) -> Result {
    let subject = format!("payment-{payment}");
    fixture
        .review_reaches("payment-conflicts", &subject, "open")
        .await?;
    ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(balance));
    Ok(())
}

async fn same_payment_with_another_amount_or_client_is_left_to_a_person(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let foreign = fixture.billing_client(&other, "COMMISSION").await?;
    let billing = fixture.cloud.billing();
    for (amount, by) in [(101, &client), (100, &foreign)] {
        let before = dealer.account("COMMISSION").await?["balance"]
            .as_i64()
            .context("no balance")?;
        let payment = new_payment();
        billing
            .publish_raw(&client, &message(&payment, &client, 100).to_string())
            .await?;
        dealer.balance_reaches("COMMISSION", before + 100).await?;
        billing
            .publish_raw(by, &message(&payment, by, amount).to_string())
            .await?;
        is_conflict(&fixture, &payment, &dealer, before + 100).await?;
    }
    ensure_eq!(other.account("COMMISSION").await?["balance"], json!(0));
    Ok(())
}

async fn payment_that_was_given_up_is_booked_when_it_is_redriven(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    // As it is when a payment is told before we have recorded the client.
    let hide = "UPDATE dealer_accounts SET billing_client_id = 'hidden-' || $1 WHERE billing_client_id = 'C-' || \
                lpad($1::TEXT, 8, '0')";
    let number: i64 = client.trim_start_matches("C-").parse()?;
    ensure_eq!(fixture.database.change(hide, number).await?, 1);
    let payment = new_payment();
    let billing = fixture.cloud.billing();
    billing
        .publish_raw(&client, &message(&payment, &client, 100).to_string())
        .await?;
    is_given_up(&fixture, &payment, "unknown-billing-client").await?;
    let show = "UPDATE dealer_accounts SET billing_client_id = 'C-' || lpad($1::TEXT, 8, '0') \
                WHERE billing_client_id = 'hidden-' || $1";
    ensure_eq!(fixture.database.change(show, number).await?, 1);
    fixture.cloud.redrive(FAILURES).await?;
    fixture.booked(&payment).await?;
    dealer.balance_reaches("COMMISSION", 100).await
}
