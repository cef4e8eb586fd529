//! Charges, killed at their points, before and after each commit and each call: the invoice is charged once by the message that
//! comes again, and its record agrees.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::Utc;
use end_to_end::billing::{VISA, payment_due};
use end_to_end::{Fixture, Result, Tester, ensure_eq};
use serde_json::json;

use crate::sweep::{Start, sweep_all};
use crate::{soon, sql};

/// A profile with a card, and an invoice that is due.
struct Sample {
    tester: Tester,
    invoice: i64,
}

/// A process that died while it asked Stripe is waited for until its turn ends, half a minute later; and here less.
async fn shorten_turns(fixture: &Fixture) -> Result {
    sql(
        fixture,
        "CREATE OR REPLACE TRIGGER shorten_turn BEFORE INSERT OR UPDATE ON invoice_payments \
         FOR EACH ROW EXECUTE FUNCTION shorten_turn()",
    )
    .await
}

async fn invoiced(fixture: &Fixture) -> Result<Sample> {
    let tester = fixture.customer().await?;
    tester.save_card(fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    Ok(Sample { tester, invoice })
}

/// One charge at Stripe, one attempt here, and all told once.
async fn is_charged_once(fixture: &Fixture, sample: &Sample) -> Result {
    ensure_eq!(
        fixture.charged(sample.invoice),
        1,
        "charges of invoice {}",
        sample.invoice
    );
    let attempts = fixture.attempts(sample.invoice).await?;
    ensure!(
        attempts.len() == 1 && attempts[0].status == "succeeded",
        "{attempts:?}"
    );
    let told = fixture.event_kinds_of(&sample.tester).await?;
    ensure_eq!(told, ["payment-method.added", "commission.charged"]);
    Ok(())
}

pub(crate) async fn killed_charge_is_made_once_when_its_message_comes_again(fixture: Arc<Fixture>) -> Result {
    shorten_turns(&fixture).await?;
    // What Stripe tells by itself would make up for a lost answer.
    fixture.cloud.stripe().hold_webhooks();
    let samples = sweep_all(
        &fixture,
        "pay_invoice",
        Start::Cold,
        &["DATABASE_URL", "STRIPE_API_BASE", "AWS_ENDPOINT_URL_SQS"],
        async || invoiced(&fixture).await,
        async |sample: &Sample| {
            let message = payment_due(sample.invoice, Utc::now()).to_string();
            fixture.send("invoice-payments", &message).await?;
            soon("the invoice is paid", async || {
                let (row, held) = (
                    fixture.invoice_row(sample.invoice).await?,
                    fixture.held_by("invoice-payments").await?,
                );
                ensure!(row.status == "paid" && held == 0, "{row:?}, {held} messages held");
                Ok(())
            })
            .await
        },
    );
    for sample in samples.await? {
        is_charged_once(&fixture, &sample).await?;
    }
    let report = fixture.bill("reconcile_billing", Utc::now()).await?;
    ensure_eq!(report["differences"], json!(0), "{report}");
    ensure_eq!(fixture.discrepancies().await?, []);
    Ok(())
}

pub(crate) async fn killed_webhook_is_processed_once_when_it_comes_again(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    stripe.hold_webhooks();
    let prepare = async || {
        let sample = invoiced(&fixture).await?;
        let profile = sample.tester.customer.profile_id.to_string();
        let customers = stripe.customers();
        let customer = customers
            .iter()
            .find(|one| one.metadata.get("profile_id") == Some(&profile));
        let card = stripe
            .payment_methods(&customer.context("no customer")?.id)
            .pop()
            .context("no card")?;
        stripe.goes_processing(&card.id, true)?;
        ensure!(fixture.pay(sample.invoice, Utc::now()).await?, "not asked");
        let intent = fixture.attempts(sample.invoice).await?[0]
            .payment_intent_id
            .clone();
        let intent = intent.context("no payment")?;
        stripe.settle_processing(&intent, true)?;
        let is_its_end = |event: &local_cloud::sandboxes::stripe::Event| {
            event.kind == "payment_intent.succeeded" && event.object["id"] == json!(intent)
        };
        let end = stripe.events().into_iter().find(is_its_end).context("no event")?;
        Ok((sample, end.id))
    };
    let samples = sweep_all(
        &fixture,
        "stripe_webhook",
        Start::Cold,
        &["DATABASE_URL", "AWS_ENDPOINT_URL_SQS"],
        prepare,
        async |(sample, event): &(Sample, String)| {
            soon("the event is acknowledged", async || {
                let status = stripe.redeliver(event).await?;
                ensure!(status == 200, "answered {status}");
                ensure_eq!(fixture.invoice_row(sample.invoice).await?.status, "paid");
                Ok(())
            })
            .await
        },
    );
    for (sample, _) in samples.await? {
        is_charged_once(&fixture, &sample).await?;
    }
    Ok(())
}
