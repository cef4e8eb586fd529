//! Reversals: a payment that was booked by mistake is taken back, as much of it as there is.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        mistaken_payment_is_reversed_and_its_bills_are_open_again,
        bill_that_is_open_again_is_paid_by_what_was_left,
        part_of_a_payment_is_taken_back_the_newest_first,
        reversal_of_more_than_there_is_opens_a_review,
        alone(reversal_of_a_foreign_payment_takes_nothing),
    ]
}

async fn mistaken_payment_is_reversed_and_its_bills_are_open_again(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bills = [dealer.owes_issued(100).await?, dealer.owes_issued(50).await?];
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 180).await?;
    dealer.balance_reaches("COMMISSION", 30).await?;
    let reversal = fixture.cloud.billing().reverse(&payment, None).await?;
    for bill in bills {
        let open = dealer.bill_reaches(bill, "issued").await?;
        ensure_eq!(
            (&open["paid_sum"], &open["payments"], &open["paid_at"]),
            (&json!(0), &json!([]), &json!(null))
        );
    }
    dealer.balance_reaches("COMMISSION", 0).await?;
    // Told once more, it takes nothing more.
    fixture.cloud.billing().publish(&reversal).await?;
    let again = fixture.dealer_pays(&dealer, "COMMISSION", None, 150).await?;
    fixture.booked(&again).await?;
    dealer.bill_reaches(bills[1], "paid").await?;
    let told = fixture.dealer_events(&dealer).await?;
    let (paid, reopened) = ("dealer.bill.paid", "dealer.bill.reopened");
    ensure!(
        told.ends_with(
            &[
                paid,
                paid,
                reopened,
                reopened,
                "dealer.payment.reversed",
                paid,
                paid
            ]
            .map(str::to_owned)
        ),
        "{told:?}"
    );
    Ok(())
}

async fn bill_that_is_open_again_is_paid_by_what_was_left(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(100).await?;
    let mistaken = fixture.dealer_pays(&dealer, "COMMISSION", None, 100).await?;
    dealer.bill_reaches(bill, "paid").await?;
    let other = fixture.dealer_pays(&dealer, "COMMISSION", None, 120).await?;
    dealer.balance_reaches("COMMISSION", 120).await?;
    fixture.cloud.billing().reverse(&mistaken, None).await?;
    dealer.balance_reaches("COMMISSION", 20).await?;
    let paid = dealer.bill(bill).await?;
    ensure_eq!(
        (&paid["status"], &paid["payments"][0]["payment_id"]),
        (&json!("paid"), &json!(other))
    );
    // It was open at no moment that anybody could see.
    let told = fixture.dealer_events(&dealer).await?;
    ensure!(!told.contains(&"dealer.bill.reopened".to_owned()), "{told:?}");
    Ok(())
}

async fn part_of_a_payment_is_taken_back_the_newest_first(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bills = [dealer.owes_issued(100).await?, dealer.owes_issued(50).await?];
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 170).await?;
    dealer.balance_reaches("COMMISSION", 20).await?;
    // The rest of 20, the newer bill's 50, and 10 of the older one's.
    fixture.cloud.billing().reverse(&payment, Some(80)).await?;
    dealer.bill_reaches(bills[1], "issued").await?;
    let older = dealer.bill(bills[0]).await?;
    ensure_eq!(
        (&older["status"], &older["paid_sum"]),
        (&json!("partially_paid"), &json!(90))
    );
    // What is left of it can be taken back too.
    fixture.cloud.billing().reverse(&payment, Some(90)).await?;
    dealer.bill_reaches(bills[0], "issued").await?;
    Ok(())
}

async fn reversal_of_more_than_there_is_opens_a_review(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(100).await?;
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 60).await?;
    dealer.bill_reaches(bill, "partially_paid").await?;
    let reversal = fixture.cloud.billing().reverse(&payment, Some(75)).await?;
    dealer.bill_reaches(bill, "issued").await?;
    let subject = format!("payment-{}", reversal.payment_id);
    let review = fixture
        .review_reaches("reversal-uncovered", &subject, "open")
        .await?;
    ensure_eq!(
        (&review["ours"]["uncovered"], &review["theirs"]["amount"]),
        (&json!(15), &json!(75))
    );
    Ok(())
}

async fn reversal_of_a_foreign_payment_takes_nothing(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 60).await?;
    dealer.balance_reaches("COMMISSION", 60).await?;
    let billing = fixture.cloud.billing();
    billing.hold_messages(true);
    let mut reversal = billing.reverse(&payment, None).await?;
    billing.take_held();
    billing.hold_messages(false);
    reversal.billing_client_id = fixture.billing_client(&other, "COMMISSION").await?;
    billing.publish(&reversal).await?;
    let subject = format!("payment-{}", reversal.payment_id);
    fixture
        .review_reaches("reversal-uncovered", &subject, "open")
        .await?;
    eventually("the payment is untouched", async || {
        ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(60));
        Ok(())
    })
    .await
}
