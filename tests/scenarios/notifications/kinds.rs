//! Every kind of notification, from the event that its area sends.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, new_domain_event, scenarios};
use serde_json::{Value, json};

use crate::mail::{mails_pass, mails_reach};
use crate::{RECORDER, record};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        every_kind_has_words_of_its_own,
        notification_is_in_the_language_of_its_reader,
        event_that_lacks_its_data_makes_no_notification,
    ]
}

/// The kinds with what their events have beside profile and amount, and some of what is told.
const KINDS: [(&str, &str, &str); 22] = [
    (
        "money-flow.succeeded",
        r#"{"money_flow_id":7,"direction":"deposit"}"#,
        "$12.50 has arrived",
    ),
    (
        "money-flow.failed",
        r#"{"money_flow_id":7,"direction":"withdrawal"}"#,
        "$12.50 did not go through",
    ),
    (
        "kyc.status-changed",
        r#"{"status":"info_required","message":"E_17"}"#,
        "more information",
    ),
    (
        "commission.charged",
        r#"{"invoice_id":12,"period_start":"2026-10-01","period_end":"2026-10-31",
            "payment_method":"visa •••• 4242","charged_at":"2026-11-03T09:00:00Z"}"#,
        "October 31, 2026 was charged to visa •••• 4242",
    ),
    (
        "commission.refunded",
        r#"{"invoice_id":12,"period_start":"2026-10-01","period_end":"2026-10-31","refunded_cents":500,
            "payment_method":"visa •••• 4242","refunded_at":"2026-11-03T09:00:00Z"}"#,
        "$5.00 of your commission",
    ),
    (
        "commission.charge-failed",
        r#"{"invoice_id":12,"period_start":"2026-10-01","period_end":"2026-10-31","payment_method":null,
            "reason":"expired_card","next_attempt_on":null,"action_url":"https://app.example.com/pay"}"#,
        "the card has expired",
    ),
    (
        "commission.confirmation-required",
        r#"{"invoice_id":12,"payment_method":"visa •••• 4242","confirm_until":"2026-11-04T09:00:00Z",
            "action_url":"https://app.example.com/pay"}"#,
        "until November 4, 2026, 04:00 New York time",
    ),
    (
        "deposits.suspended",
        r#"{"money_flow_id":7,"reason":"deposit-returned"}"#,
        "deposits are suspended",
    ),
    (
        "deposits.resumed",
        r#"{"reason":"deposit-returned"}"#,
        "possible again",
    ),
    ("checkout.paid", r#"{"checkout_id":3}"#, "You have paid"),
    (
        "trading.suspended",
        r#"{"reason":"commissions-unpaid","action_url":"https://app.example.com/pay"}"#,
        "You can sell and withdraw",
    ),
    (
        "trading.resumed",
        r#"{"reason":"commissions-unpaid","action_url":"https://app.example.com/pay"}"#,
        "buying is possible again",
    ),
    (
        "collection-version.completed",
        r#"{"collection_version_id":5}"#,
        "was rebalanced",
    ),
    (
        "collection-version.failed",
        r#"{"collection_version_id":5,"reason":"E_17"}"#,
        "could not be rebalanced",
    ),
    (
        "bank-account.needs-reauth",
        r#"{"bank_account_id":4,"name":"Checking"}"#,
        "again for Checking",
    ),
    (
        "withdrawal.approved",
        r#"{"withdrawal_id":9}"#,
        "$12.50 was approved",
    ),
    (
        "withdrawal.completed",
        r#"{"withdrawal_id":9}"#,
        "$12.50 was paid out",
    ),
    (
        "withdrawal.rejected",
        r#"{"withdrawal_id":9,"reason":"account-closed"}"#,
        "The account was closed.",
    ),
    (
        "withdrawal.returned",
        r#"{"withdrawal_id":9,"reason":"no_account"}"#,
        "doesn't know the account",
    ),
    (
        "withdrawal.failed",
        r#"{"withdrawal_id":9,"reason":"E_17"}"#,
        "could not be paid out",
    ),
    (
        "funded-account.warned",
        r#"{"funded_account_id":3,"rule":"drawdown","message":"E_17"}"#,
        "largest drawdown",
    ),
    (
        "funded-account.closed",
        r#"{"funded_account_id":3,"rule":"E_17"}"#,
        "one of its limits",
    ),
];

/// Those that are mailed unless their reader says otherwise.
const MAILED: [&str; 14] = [
    "deposits.suspended",
    "deposits.resumed",
    "kyc.status-changed",
    "commission.charged",
    "commission.refunded",
    "commission.charge-failed",
    "commission.confirmation-required",
    "checkout.paid",
    "trading.suspended",
    "trading.resumed",
    "bank-account.needs-reauth",
    "withdrawal.returned",
    "withdrawal.failed",
    "funded-account.closed",
];

/// An event of the kind, as its area sends it.
pub(crate) fn event(tester: &Tester, kind: &str) -> Value {
    let profile = tester.customer.profile_id;
    let mut data = json!({ "profile_id": profile, "amount_cents": 1_250, "currency": "USD" });
    let found = KINDS.iter().find(|(name, ..)| *name == kind);
    let more: Value = found
        .and_then(|(_, more, _)| serde_json::from_str(more).ok())
        .unwrap_or_default();
    for (name, value) in more.as_object().into_iter().flatten() {
        data[name] = value.clone();
    }
    new_domain_event(kind, &format!("profile-{profile}"), data)
}

async fn every_kind_has_words_of_its_own(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let events: Vec<Value> = KINDS.iter().map(|(kind, ..)| event(&tester, kind)).collect();
    for batch in events.chunks(10) {
        record(&fixture, batch).await?;
    }
    let feed = tester.feed_reaches(KINDS.len()).await?;
    for (kind, _, expected) in KINDS {
        let item = feed.iter().find(|item| item["kind"] == kind).context(kind)?;
        let told = format!("{} {}", item["title"], item["body"]);
        ensure!(told.contains(expected), "{kind}: {told}");
        ensure!(
            !told.contains("E_17"),
            "{kind} shows what is another area's: {told}"
        );
        ensure!(
            item["data"].as_object().is_some_and(|data| !data.is_empty()),
            "{kind}: {item}"
        );
    }
    let mails = mails_reach(&fixture, &tester.customer.email, MAILED.len()).await?;
    mails_pass(&fixture).await?;
    let mails_now = mails_reach(&fixture, &tester.customer.email, MAILED.len()).await?;
    ensure_eq!(mails_now.len(), mails.len());
    for kind in MAILED {
        let item = feed.iter().find(|item| item["kind"] == kind).context(kind)?;
        let id = item["id"].as_str().unwrap_or_default();
        let mail = mails.iter().find(|mail| mail.message_id.starts_with(id));
        let mail = mail.with_context(|| format!("{kind} is not mailed"))?;
        ensure!(mail.text.starts_with("Hello Ada,"), "{kind}: {}", mail.text);
        ensure!(mail.html.contains("Hello Ada,"), "{kind}: {}", mail.html);
        for part in [&mail.subject, &mail.text, &mail.html] {
            ensure!(
                !part.contains("E_17"),
                "{kind} shows what is another area's: {part}"
            );
        }
    }
    Ok(())
}

async fn notification_is_in_the_language_of_its_reader(fixture: Arc<Fixture>) -> Result {
    for (language, titles, greeting) in [
        (
            "de",
            [
                "Melden Sie sich erneut bei Ihrer Bank an",
                "Zahlung fehlgeschlagen",
            ],
            "Guten Tag Ada,",
        ),
        // Nothing is written in French.
        (
            "fr",
            ["Sign in to your bank again", "Payment failed"],
            "Hello Ada,",
        ),
    ] {
        let tester = fixture.customer().await?;
        sqlx::query("UPDATE profiles SET language = $2 WHERE id = $1")
            .bind(tester.customer.profile_id)
            .bind(language)
            .execute(fixture.database.pool())
            .await?;
        let events = ["commission.charge-failed", "bank-account.needs-reauth"];
        record(&fixture, &events.map(|kind| event(&tester, kind))).await?;
        let feed = tester.feed_reaches(2).await?;
        let mails = mails_reach(&fixture, &tester.customer.email, 2).await?;
        ensure_eq!([&feed[0]["title"], &feed[1]["title"]], titles);
        for mail in &mails {
            ensure!(mail.text.starts_with(greeting), "{}", mail.text);
        }
    }
    Ok(())
}

async fn event_that_lacks_its_data_makes_no_notification(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    for (kind, missing) in [
        ("commission.charged", "period_start"),
        ("commission.charge-failed", "amount_cents"),
        ("kyc.status-changed", "status"),
        ("withdrawal.completed", "profile_id"),
    ] {
        let mut broken = event(&tester, kind);
        let data = broken["data"].as_object_mut().context("no data")?;
        data.remove(missing).context(missing)?;
        ensure_eq!(
            fixture.deliver(RECORDER, &[broken]).await?,
            [0],
            "{kind} without {missing}"
        );
    }
    for kind in [
        "invoice.created",
        "payment-method.added",
        "invoice.uncollectible",
        "trading-account.opened",
    ] {
        ensure_eq!(
            fixture.deliver(RECORDER, &[event(&tester, kind)]).await?,
            Vec::<usize>::new()
        );
    }
    ensure_eq!(tester.feed().await?.len(), 0);
    Ok(())
}
