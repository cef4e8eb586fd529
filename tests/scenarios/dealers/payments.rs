//! Payments: each is applied once, named bills first, then the oldest; the rest waits for the next bill.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::billing::Payment;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        monthly_payment_pays_several_bills_oldest_first,
        rest_of_a_payment_pays_the_next_bill_at_once,
        payment_pays_the_bill_that_it_names_first,
        payment_that_names_no_open_bill_of_its_client_is_reported,
        deposit_only_raises_the_balance,
        alone(bill_is_paid_before_billing_has_made_it),
        alone(messages_in_every_order_twice_and_among_poison_are_each_applied_once),
    ]
}

/// The payments that paid a bill, as (payment, amount).
fn parts(bill: &Value) -> Vec<(String, i64)> {
    let parts = bill["payments"].as_array().into_iter().flatten();
    parts
        .map(|part| {
            let payment = part["payment_id"].as_str().unwrap_or_default().to_owned();
            (payment, part["amount"].as_i64().unwrap_or_default())
        })
        .collect()
}

async fn monthly_payment_pays_several_bills_oldest_first(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let mut bills = Vec::new();
    for commission in [100, 200, 300] {
        bills.push(dealer.owes_issued(commission).await?);
    }
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 350).await?;
    let last = dealer.bill_reaches(bills[2], "partially_paid").await?;
    ensure_eq!(parts(&last), [(payment.clone(), 50)]);
    for (bill, sum) in [(bills[0], 100), (bills[1], 200)] {
        let paid = dealer.bill(bill).await?;
        ensure_eq!(
            (&paid["status"], &paid["paid_sum"]),
            (&json!("paid"), &json!(sum))
        );
        ensure!(paid["paid_at"].is_string(), "{paid}");
        ensure_eq!(parts(&paid), [(payment.clone(), sum)]);
    }
    let told = fixture.dealer_events(&dealer).await?;
    ensure_eq!(told.iter().filter(|kind| *kind == "dealer.bill.paid").count(), 2);
    Ok(())
}

async fn rest_of_a_payment_pays_the_next_bill_at_once(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let first = dealer.owes_issued(100).await?;
    let older = fixture.dealer_pays(&dealer, "COMMISSION", None, 130).await?;
    dealer.bill_reaches(first, "paid").await?;
    let newer = fixture.dealer_pays(&dealer, "COMMISSION", None, 60).await?;
    dealer.balance_reaches("COMMISSION", 90).await?;
    // In part, from the oldest payment with a rest; and then in whole.
    let second = dealer.owes(70).await?;
    let paid = dealer.bill(second).await?;
    ensure_eq!(paid["status"], json!("paid"));
    ensure_eq!(parts(&paid), [(older, 30), (newer.clone(), 40)]);
    let third = dealer.owes(50).await?;
    let paid = dealer.bill(third).await?;
    ensure_eq!(
        (&paid["status"], &paid["paid_sum"]),
        (&json!("partially_paid"), &json!(20))
    );
    ensure_eq!(parts(&paid), [(newer, 20)]);
    dealer.balance_reaches("COMMISSION", 0).await?;
    // It is made at Billing all the same.
    fixture.issuing_reaches(second, "issued").await
}

async fn payment_pays_the_bill_that_it_names_first(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let first = dealer.owes_issued(100).await?;
    let second = dealer.owes_issued(200).await?;
    let named = fixture.billing_bill(second).await?;
    fixture
        .dealer_pays(&dealer, "COMMISSION", Some(&named), 230)
        .await?;
    dealer.bill_reaches(second, "paid").await?;
    let first = dealer.bill(first).await?;
    ensure_eq!(
        (&first["status"], &first["paid_sum"]),
        (&json!("partially_paid"), &json!(30))
    );
    Ok(())
}

async fn payment_that_names_no_open_bill_of_its_client_is_reported(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let own = dealer.owes_issued(100).await?;
    let voided = dealer.owes_issued(100).await?;
    let of_voided = fixture.billing_bill(voided).await?;
    dealer.void(voided).await?.expect(200)?;
    let foreign = fixture.billing_bill(other.owes_issued(100).await?).await?;
    for (named, paid) in [(of_voided, 30), (foreign, 60), ("B-unknown".to_owned(), 100)] {
        let amount = paid - dealer.bill(own).await?["paid_sum"].as_i64().context("no sum")?;
        let payment = fixture
            .dealer_pays(&dealer, "COMMISSION", Some(&named), amount)
            .await?;
        eventually("the oldest bill is paid with it", async || {
            ensure_eq!(dealer.bill(own).await?["paid_sum"], json!(paid));
            Ok(())
        })
        .await?;
        let subject = format!("payment-{payment}");
        let review = fixture
            .review_reaches("payment-names-no-bill", &subject, "open")
            .await?;
        ensure_eq!(review["theirs"]["billId"], json!(named));
        fixture
            .decide("ada", &review, "acknowledge", json!({}))
            .await?
            .expect(202)?;
        fixture
            .review_reaches("payment-names-no-bill", &subject, "applied")
            .await?;
    }
    ensure_eq!(dealer.bill(own).await?["status"], json!("paid"));
    Ok(())
}

async fn deposit_only_raises_the_balance(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer_with_fast_buyout().await?;
    let owed = dealer.owes_issued(100).await?;
    fixture.dealer_pays(&dealer, "DEPOSIT", None, 10_000_000).await?;
    dealer.balance_reaches("DEPOSIT", 10_000_000).await?;
    ensure_eq!(dealer.bill(owed).await?["paid_sum"], json!(0));
    Ok(())
}

async fn bill_is_paid_before_billing_has_made_it(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    fixture.cloud.pause_event_source("bill-issuing", true).await?;
    let bill = dealer.owes(100).await?;
    fixture.dealer_pays(&dealer, "COMMISSION", None, 100).await?;
    let paid = dealer.bill_reaches(bill, "paid").await;
    fixture.cloud.pause_event_source("bill-issuing", false).await?;
    ensure_eq!(paid?["url"], Value::Null);
    fixture.issuing_reaches(bill, "issued").await?;
    let paid = dealer.bill(bill).await?;
    ensure!(paid["status"] == "paid" && paid["url"].is_string(), "{paid}");
    Ok(())
}

/// Every order of what Billing tells: two payments, and a reversal of the first one.
fn orders(messages: &[Payment]) -> Vec<Vec<Payment>> {
    let [a, b, c] = messages else { return Vec::new() };
    [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
        .map(|order| order.map(Clone::clone).to_vec())
        .to_vec()
}

async fn messages_in_every_order_twice_and_among_poison_are_each_applied_once(
    fixture: Arc<Fixture>,
) -> Result {
    let billing = fixture.cloud.billing();
    for number in 0..6 {
        let dealer = fixture.dealer().await?;
        let bills = [dealer.owes_issued(100).await?, dealer.owes_issued(80).await?];
        billing.hold_messages(true);
        let mistaken = fixture.dealer_pays(&dealer, "COMMISSION", None, 90).await?;
        fixture.dealer_pays(&dealer, "COMMISSION", None, 150).await?;
        billing.reverse(&mistaken, None).await?;
        let held = billing.take_held();
        billing.hold_messages(false);
        let orders = orders(&held);
        let order = orders.get(number).context("three messages")?;
        for message in order {
            // Among messages that nobody can read.
            let client = &message.billing_client_id;
            billing.publish_raw(client, "{\"paymentId\": ").await?;
            for _ in 0..2 {
                billing.publish(message).await?;
            }
        }
        // And all of them once more, later.
        for message in order {
            billing.publish(message).await?;
        }
        for message in &held {
            fixture.booked(&message.payment_id).await?;
        }
        // In the first order the second payment has paid both bills when the first one is taken back, and what pays a bill
        // isn't moved to another.
        let expected = if number == 0 { [70, 80] } else { [100, 50] };
        eventually("the books have settled", async || {
            let paid: Vec<i64> = [dealer.bill(bills[0]).await?, dealer.bill(bills[1]).await?]
                .iter()
                .filter_map(|bill| bill["paid_sum"].as_i64())
                .collect();
            ensure_eq!(paid, expected, "order {number}");
            Ok(())
        })
        .await?;
        ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(0));
        let told = fixture.dealer_events(&dealer).await?;
        let reversed = told.iter().filter(|kind| *kind == "dealer.payment.reversed");
        ensure_eq!(reversed.count(), 1, "{told:?}");
    }
    fixture.dealer_books_agree().await
}
