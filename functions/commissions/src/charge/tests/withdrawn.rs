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
    bench.stop().await;
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
    bench.stop().await;
}
