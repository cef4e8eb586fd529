//! Charges that end without counting, since nothing was taken and nobody is to blame.

use super::*;

/// Attempts as they ended.
const ATTEMPTS: &str =
    "SELECT idempotency_key || ' ' || status || ' ' || counts FROM invoice_payments ORDER BY attempt";

/// The first charge went through after a person had recorded that it hadn't, and the second one's function died.
#[tokio::test]
async fn a_charge_of_an_invoice_that_was_paid_meanwhile_is_not_sent() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (first, _) = bench.next_call().await;
    let withdrawing = bench
        .charger
        .recorder
        .withdraw(&mut bench.connection, &first, "not_charged");
    withdrawing.await.unwrap();
    let (second, _) = bench.next_call().await;
    assert_eq!(second.key, "invoice-1-2");
    let mut intent = bench.intent(&first, IntentStatus::Succeeded);
    intent.amount_received = intent.amount;
    bench.record(&first, &intent).await;
    assert_eq!(bench.texts("SELECT status FROM invoices").await, ["paid"]);
    bench.clock.advance(TimeDelta::minutes(1));
    let (unsent, code) = bench.next_lookup().await;
    assert_eq!((unsent.id, code), (second.id, "not_owed"));
    bench.record_unsent(&unsent, code).await;
    assert_eq!(
        bench.texts(ATTEMPTS).await,
        ["invoice-1-1 succeeded true", "invoice-1-2 failed false"]
    );
    assert!(matches!(bench.next_step().await, Step::Nothing));
    assert_eq!(bench.texts(EVENTS).await, ["commission.charged"]);
}

/// The function died before Stripe was called, and the card's owner deleted it.
#[tokio::test]
async fn a_charge_to_a_card_that_was_deleted_meanwhile_is_not_sent_and_the_other_one_is_charged() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (first, _) = bench.next_call().await;
    let deleted = "INSERT INTO payment_methods (profile_id, name, stripe_ref_id, set_active_at)
        VALUES (1, 'mastercard •••• 4444, 04/29', 'pm_0', '2026-10-01T00:00:00Z');
        UPDATE payment_methods SET deleted_at = '2026-12-01T12:45:30Z' WHERE stripe_ref_id = 'pm_1'";
    sqlx::raw_sql(deleted)
        .execute(&mut bench.connection)
        .await
        .unwrap();
    bench.clock.advance(TimeDelta::minutes(1));
    let (unsent, code) = bench.next_lookup().await;
    assert_eq!((unsent.id, code), (first.id, "payment_method_deleted"));
    bench.record_unsent(&unsent, code).await;
    assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
    let (second, _) = bench.next_call().await;
    assert_eq!(
        (second.key.as_str(), second.stripe_method.as_str()),
        ("invoice-1-2", "pm_0")
    );
    assert_eq!(
        bench.texts(ATTEMPTS).await,
        ["invoice-1-1 failed false", "invoice-1-2 unknown true"]
    );
}

/// Somebody called the payment off in Stripe's dashboard, before or while Stripe worked on it.
#[tokio::test]
async fn a_payment_that_was_called_off_at_stripe_does_not_count_and_the_invoice_is_charged_anew() {
    for was_processing in [false, true] {
        let mut bench = Bench::new(&[PROFILE, CARD]).await;
        let (first, _) = bench.next_call().await;
        if was_processing {
            let intent = bench.intent(&first, IntentStatus::Processing);
            bench.record(&first, &intent).await;
        }
        let intent = bench.intent(&first, IntentStatus::Canceled);
        bench.record(&first, &intent).await;
        assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
        let published = "SELECT count(*)::TEXT FROM outbox_messages WHERE destination = 'invoice-payments'";
        assert_eq!(bench.texts(published).await, ["1"]);
        let (second, _) = bench.next_call().await;
        assert_eq!(second.key, "invoice-1-2");
        assert_eq!(
            bench.texts(ATTEMPTS).await,
            ["invoice-1-1 failed false", "invoice-1-2 unknown true"]
        );
        assert_eq!(
            bench.texts("SELECT failed_attempts::TEXT FROM invoices").await,
            ["0"]
        );
    }
}

/// Stripe has a payment that it never tried to take: no card was refused.
#[tokio::test]
async fn a_payment_that_was_never_attempted_keeps_the_charge_open_and_can_be_decided_about() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, _) = bench.next_call().await;
    let intent = bench.intent(&charge, IntentStatus::Unconfirmed);
    // Within the first hour Stripe may be working on it.
    bench.record(&charge, &intent).await;
    assert_eq!(
        bench.texts("SELECT status FROM invoice_payments").await,
        ["processing"]
    );
    bench.clock.advance(TimeDelta::hours(2));
    bench.record(&charge, &intent).await;
    let state = "SELECT status || ' ' || refusal_code FROM invoice_payments";
    assert_eq!(bench.texts(state).await, ["unknown not_attempted"]);
    assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
    let review = "SELECT kind || ' ' || subject || ' ' || state FROM reviews";
    assert_eq!(bench.texts(review).await, ["charge-refused charge-1 open"]);
}
