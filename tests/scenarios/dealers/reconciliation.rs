//! What the daily comparison with Billing finds, applies and reports.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use local_cloud::sandboxes::billing::{BillObject, NewPayment};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(payment_that_never_came_is_found_and_applied),
        alone(bill_that_was_changed_at_billing_is_reported),
        alone(bill_that_billing_refuses_to_take_back_holds_up_no_other),
        alone(payment_of_another_client_or_amount_is_reported),
        alone(payment_that_names_another_bill_is_reported),
        alone(payment_that_billing_does_not_list_is_reported),
        alone(reversal_whose_payment_never_came_is_reported),
        alone(everything_that_agrees_is_left_alone),
    ]
}

/// Late enough for everything of now to be compared.
fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

async fn payment_that_never_came_is_found_and_applied(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(100).await?;
    let client_id = fixture.billing_client(&dealer, "COMMISSION").await?;
    let new = NewPayment {
        client_id,
        bill_id: None,
        amount: 130,
    };
    let lost = fixture.cloud.billing().book(new)?;
    let report = fixture.reconcile_dealers(later()).await?;
    ensure_eq!(report["applied_payments"], json!(1), "{report}");
    let paid = dealer.bill(bill).await?;
    ensure_eq!(
        (&paid["status"], &paid["payments"][0]["amount"]),
        (&json!("paid"), &json!(100))
    );
    // Its message comes after all, and a second run finds nothing.
    fixture.cloud.billing().publish(&lost).await?;
    let report = fixture.reconcile_dealers(later()).await?;
    ensure_eq!(report["applied_payments"], json!(0), "{report}");
    fixture.rest().await?;
    ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(30));
    Ok(())
}

async fn bill_that_was_changed_at_billing_is_reported(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(100).await?;
    fixture
        .cloud
        .billing()
        .change_bill(&fixture.billing_bill(bill).await?, 90)?;
    let report = fixture.reconcile_dealers(later()).await?;
    ensure!(report["differences"].as_i64() >= Some(1), "{report}");
    let review = fixture
        .review_reaches("records-differ", &format!("bill-{bill}"), "open")
        .await?;
    ensure_eq!(
        (&review["ours"]["amount"], &review["theirs"]["amount"]),
        (&json!(100), &json!(90))
    );
    ensure_eq!(dealer.bill(bill).await?["common_sum"], json!(100));
    fixture
        .cloud
        .billing()
        .change_bill(&fixture.billing_bill(bill).await?, 100)?;
    fixture
        .decide("ada", &review, "acknowledge", json!({}))
        .await?
        .expect(202)?;
    fixture
        .review_reaches("records-differ", &format!("bill-{bill}"), "applied")
        .await?;
    Ok(())
}

async fn bill_that_billing_refuses_to_take_back_holds_up_no_other(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let (open, changed) = (dealer.owes_issued(100).await?, dealer.owes_issued(100).await?);
    // As it is when our record is wrong: it says that Billing has taken the bill back.
    let withdrawn = "UPDATE bills SET status = 'voided', voided_at = now(), void_reason = 'a mistake', \
                     issuing_status = 'withdrawn' WHERE id = $1";
    ensure_eq!(fixture.database.change(withdrawn, open).await?, 1);
    let billing = fixture.cloud.billing();
    billing.change_bill(&fixture.billing_bill(changed).await?, 90)?;
    let refusal = Effect::Refuse {
        status: 422,
        error_code: "bill_locked".to_owned(),
        message: "the bill is locked".to_owned(),
    };
    billing.fault(Fault::new("POST", "/bills/*/void", refusal));
    let report = fixture.reconcile_dealers(later()).await?;
    ensure_eq!(report["is_complete"], json!(true), "{report}");
    for (bill, says) in [
        (open, "refuses to take it back (bill_locked)"),
        (changed, "another amount"),
    ] {
        let review = fixture
            .review_reaches("records-differ", &format!("bill-{bill}"), "open")
            .await?;
        let summary = review["summary"].as_str().unwrap_or_default();
        ensure!(summary.contains(says), "{review}");
    }
    billing.change_bill(&fixture.billing_bill(changed).await?, 100)?;
    // Nothing stands against it any more: the next run takes it back.
    fixture.reconcile_dealers(later()).await?;
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let named = fixture.billing_bill(open).await?;
    let is_open = |bill: &BillObject| bill.id == named && bill.status == "open";
    ensure!(
        !billing.bills(&client).iter().any(is_open),
        "it is open at Billing"
    );
    Ok(())
}

async fn payment_that_names_another_bill_is_reported(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let (first, second) = (dealer.owes_issued(100).await?, dealer.owes_issued(100).await?);
    let [theirs, ours] = [
        fixture.billing_bill(first).await?,
        fixture.billing_bill(second).await?,
    ];
    let payment = NewPayment {
        client_id: fixture.billing_client(&dealer, "COMMISSION").await?,
        bill_id: Some(theirs.clone()),
        amount: 100,
    };
    let payment = fixture.cloud.billing().book(payment)?;
    let mut twisted = payment.clone();
    twisted.bill_id = Some(ours.clone());
    fixture.cloud.billing().publish(&twisted).await?;
    dealer.bill_reaches(second, "paid").await?;
    fixture.reconcile_dealers(later()).await?;
    let subject = format!("payment-{}", payment.payment_id);
    let review = fixture.review_reaches("records-differ", &subject, "open").await?;
    ensure_eq!(
        (&review["ours"]["billId"], &review["theirs"]["billId"]),
        (&json!(ours), &json!(theirs))
    );
    // It is reported and not moved.
    ensure_eq!(dealer.bill(second).await?["status"], json!("paid"));
    ensure_eq!(dealer.bill(first).await?["paid_sum"], json!(0));
    Ok(())
}

async fn payment_of_another_client_or_amount_is_reported(fixture: Arc<Fixture>) -> Result {
    let (dealer, other) = (fixture.dealer().await?, fixture.dealer().await?);
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 100).await?;
    fixture.booked(&payment).await?;
    let of_other = fixture.billing_client(&other, "COMMISSION").await?;
    // As it is when our record is wrong, not Billing's: it says another client, and another amount.
    let moved = "UPDATE dealer_payments SET amount = 90, unspent = 90 WHERE payment_id = 'P-' || lpad($1::TEXT, 8, '0')";
    let balance = "UPDATE dealer_accounts SET current_balance = 90 WHERE billing_client_id = 'C-' || lpad($1::TEXT, 8, '0')";
    let client = fixture.billing_client(&dealer, "COMMISSION").await?;
    let mut transaction = fixture.database.pool().begin().await?;
    for (sql, id) in [(moved, payment.as_str()), (balance, client.as_str())] {
        let number: i64 = id
            .trim_start_matches(|letter: char| !letter.is_ascii_digit())
            .parse()?;
        sqlx::query(sql).bind(number).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    fixture.reconcile_dealers(later()).await?;
    fixture
        .review_reaches("payment-conflicts", &format!("payment-{payment}"), "open")
        .await?;
    ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(90));

    let foreign = NewPayment {
        client_id: of_other,
        bill_id: None,
        amount: 50,
    };
    let foreign = fixture.cloud.billing().book(foreign)?;
    let mut twisted = foreign.clone();
    twisted.billing_client_id.clone_from(&client);
    fixture.cloud.billing().publish(&twisted).await?;
    fixture.booked(&foreign.payment_id).await?;
    fixture.reconcile_dealers(later()).await?;
    fixture
        .review_reaches(
            "payment-conflicts",
            &format!("payment-{}", foreign.payment_id),
            "open",
        )
        .await?;
    ensure_eq!(other.account("COMMISSION").await?["balance"], json!(0));
    Ok(())
}

async fn payment_that_billing_does_not_list_is_reported(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 100).await?;
    fixture.booked(&payment).await?;
    let mut invented = fixture
        .cloud
        .billing()
        .payments(&fixture.billing_client(&dealer, "COMMISSION").await?);
    let mut invented = invented.pop().context("no payment")?;
    invented.payment_id = format!("{payment}-invented");
    fixture.cloud.billing().publish(&invented).await?;
    fixture.booked(&invented.payment_id).await?;
    fixture.reconcile_dealers(later()).await?;
    let subject = format!("payment-{}", invented.payment_id);
    fixture.review_reaches("records-differ", &subject, "open").await?;
    Ok(())
}

async fn reversal_whose_payment_never_came_is_reported(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let billing = fixture.cloud.billing();
    billing.hold_messages(true);
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 100).await?;
    let mut reversal = billing.reverse(&payment, None).await?;
    billing.take_held();
    billing.hold_messages(false);
    reversal.reversal_of = Some(format!("{payment}-unknown"));
    billing.publish(&reversal).await?;
    fixture.booked(&reversal.payment_id).await?;
    fixture.reconcile_dealers(Utc::now() + TimeDelta::days(2)).await?;
    let subject = format!("payment-{}", reversal.payment_id);
    fixture.review_reaches("records-differ", &subject, "open").await?;
    // It comes after all: there is nothing left to decide.
    let mut late = billing
        .payments(&fixture.billing_client(&dealer, "COMMISSION").await?)
        .into_iter()
        .find(|told| told.payment_id == payment)
        .context("no payment")?;
    late.payment_id = format!("{payment}-unknown");
    billing.publish(&late).await?;
    let settled = fixture
        .review_reaches("records-differ", &subject, "applied")
        .await?;
    ensure_eq!(settled["decided_by"], Value::Null);
    // Both are gone; the payment whose message was lost had been found by the run.
    ensure_eq!(dealer.account("COMMISSION").await?["balance"], json!(100));
    Ok(())
}

async fn everything_that_agrees_is_left_alone(fixture: Arc<Fixture>) -> Result {
    let dealer = fixture.dealer().await?;
    let bill = dealer.owes_issued(100).await?;
    let payment = fixture.dealer_pays(&dealer, "COMMISSION", None, 40).await?;
    dealer.bill_reaches(bill, "partially_paid").await?;
    let report = fixture.reconcile_dealers(later()).await?;
    ensure_eq!(
        (&report["applied_payments"], &report["is_complete"]),
        (&json!(0), &json!(true))
    );
    let about = "SELECT count(*) FROM reviews WHERE subject IN ($1, $2)";
    let reviews: i64 = sqlx::query_scalar(about)
        .bind(format!("bill-{bill}"))
        .bind(format!("payment-{payment}"))
        .fetch_one(fixture.database.pool())
        .await?;
    ensure_eq!(reviews, 0, "reviews about what agrees");
    fixture.dealer_books_agree().await
}
