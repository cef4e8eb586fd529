//! Charges in doubt: answers that get lost, words that come in any order, and what the reconciler finds.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::billing::VISA;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::Effect;
use serde_json::json;

use crate::charging::{card_of, in_days, now, statuses, with_card};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(webhooks_of_a_charge_in_any_order_and_twice_end_the_same),
        alone(charge_whose_response_was_lost_is_looked_up),
        alone(charge_made_after_our_timeout_is_found_and_not_repeated),
        alone(charge_that_never_reached_stripe_is_not_sent_to_a_card_deleted_since),
        alone(charge_answered_500_is_looked_up_even_when_the_500_is_repeated),
        alone(reconciler_finds_charges_that_no_webhook_reported),
    ]
}

async fn webhooks_of_a_charge_in_any_order_and_twice_end_the_same(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = with_card(&fixture, VISA).await?;
    stripe.goes_processing(&card_of(&fixture, &tester)?, true)?;
    stripe.hold_webhooks();
    // processing, succeeded, charge.succeeded: in each order, each twice, before and after the answer is recorded.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let invoice = fixture.invoice(&tester, 1_000).await?;
        let before: Vec<String> = stripe.held_webhooks().into_iter().map(|event| event.id).collect();
        fixture.pay(invoice, now()).await?;
        let intent = fixture.attempts(invoice).await?[0]
            .payment_intent_id
            .clone()
            .context("no payment")?;
        stripe.settle_processing(&intent, true)?;
        let held = stripe.held_webhooks();
        let new: Vec<&String> = held
            .iter()
            .map(|event| &event.id)
            .filter(|id| !before.contains(id))
            .collect();
        let wanted = [
            "payment_intent.processing",
            "payment_intent.succeeded",
            "charge.succeeded",
        ];
        let of_kind = |kind: &str| {
            held.iter()
                .find(|event| event.kind == kind && new.contains(&&event.id))
        };
        let ids: Vec<String> = wanted
            .iter()
            .map(|kind| anyhow::Ok(of_kind(kind).with_context(|| format!("no {kind}"))?.id.clone()))
            .collect::<Result<_>>()?;
        let mut sent: Vec<String> = order.iter().map(|place| ids[*place].clone()).collect();
        sent.extend(sent.clone());
        for event in &sent {
            ensure_eq!(stripe.redeliver(event).await?, 200, "{order:?}");
        }
        ensure_eq!(
            statuses(&fixture.attempts(invoice).await?),
            ["succeeded"],
            "{order:?}"
        );
        ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid", "{order:?}");
        ensure_eq!(fixture.charged(invoice), 1, "{order:?}");
    }
    let told = fixture.event_kinds_of(&tester).await?;
    ensure_eq!(
        told.iter().filter(|kind| *kind == "commission.charged").count(),
        6
    );
    Ok(())
}

async fn charge_whose_response_was_lost_is_looked_up(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let effects = [
        Effect::Reset { after_doing: true },
        Effect::Reset { after_doing: false },
        Effect::Hang {
            for_ms: 100,
            after_doing: true,
        },
        Effect::Hang {
            for_ms: 100,
            after_doing: false,
        },
        Effect::Gateway {
            status: 502,
            after_doing: true,
        },
        Effect::Gateway {
            status: 502,
            after_doing: false,
        },
        Effect::Truncate,
    ];
    stripe.hold_webhooks();
    for effect in effects {
        let tester = fixture.customer().await?;
        tester.save_card(&fixture, VISA).await?;
        let invoice = fixture.invoice(&tester, 1_000).await?;
        stripe.fail_operation("create_payment_intent", effect.clone(), 1)?;
        let done = fixture.pay(invoice, now()).await?;
        ensure!(
            !done,
            "{effect:?}: the message was taken although the outcome isn't known"
        );
        ensure_eq!(
            statuses(&fixture.attempts(invoice).await?),
            ["unknown"],
            "{effect:?}"
        );
        stripe.clear_faults();
        // The message comes again.
        ensure!(fixture.pay(invoice, now()).await?, "{effect:?}: not found out");
        ensure_eq!(
            statuses(&fixture.attempts(invoice).await?),
            ["succeeded"],
            "{effect:?}"
        );
        ensure_eq!(fixture.charged(invoice), 1, "{effect:?}");
    }
    Ok(())
}

async fn charge_made_after_our_timeout_is_found_and_not_repeated(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = with_card(&fixture, VISA).await?;
    stripe.hold_webhooks();
    let invoice = fixture.invoice(&tester, 1_000).await?;
    // We wait for fifteen seconds; Stripe makes the charge two seconds later.
    let late = Effect::Slow {
        for_ms: 17_000,
        done_first: false,
    };
    stripe.fail_operation("create_payment_intent", late, 1)?;
    ensure!(
        !fixture.pay(invoice, now()).await?,
        "the message was taken although the outcome isn't known"
    );
    ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["unknown"]);
    ensure_eq!(fixture.charged(invoice), 0, "it isn't made yet");
    // The message comes again while Stripe is still at it, and after.
    eventually("the charge is recorded", async || {
        fixture.pay(invoice, now()).await?;
        ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["succeeded"]);
        Ok(())
    })
    .await?;
    ensure_eq!(fixture.charged(invoice), 1);
    Ok(())
}

async fn charge_that_never_reached_stripe_is_not_sent_to_a_card_deleted_since(
    fixture: Arc<Fixture>,
) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = with_card(&fixture, VISA).await?;
    let deleted = tester.save_card(&fixture, "5555555555554444").await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    stripe.fail_operation("create_payment_intent", Effect::Reset { after_doing: false }, 1)?;
    ensure!(!fixture.pay(invoice, now()).await?, "the outcome isn't known");
    stripe.clear_faults();
    tester.delete_method(deleted).await?.expect(200)?;
    // Stripe might be at it still.
    ensure!(!fixture.pay(invoice, now()).await?, "it was ended too early");
    ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["unknown"]);
    let sql =
        "UPDATE invoice_payments SET created_at = created_at - interval '6 minutes' WHERE invoice_id = $1";
    fixture.database.change(sql, invoice).await?;
    fixture.pay(invoice, now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    ensure_eq!(
        statuses(&fixture.attempts(invoice).await?),
        ["failed", "succeeded"]
    );
    ensure_eq!(fixture.charged(invoice), 1);
    let shown = tester.invoice(invoice).await?;
    ensure_eq!(
        shown["attempts"][1]["payment_method"],
        json!("visa •••• 4242, 12/34")
    );
    ensure_eq!(fixture.invoice_row(invoice).await?.failed_attempts, 0);
    Ok(())
}

async fn charge_answered_500_is_looked_up_even_when_the_500_is_repeated(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    stripe.hold_webhooks();
    // Done, and answered 500 all the same: found in the list, though the key goes on answering 500.
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    stripe.fail_operation("create_payment_intent", Effect::FailAfter { status: 500 }, 1)?;
    ensure!(!fixture.pay(invoice, now()).await?, "the outcome isn't known");
    ensure!(fixture.pay(invoice, now()).await?, "not found out");
    ensure_eq!(fixture.charged(invoice), 1);
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    // Not done, and answered 500: the key answers so for a day, and then the same attempt is made.
    let invoice = fixture.invoice(&tester, 1_000).await?;
    let refusal = Effect::Refuse {
        status: 500,
        error_code: "api_error".to_owned(),
        message: "An error occurred".to_owned(),
    };
    stripe.fail_operation("create_payment_intent", refusal, 1)?;
    for _ in 0..3 {
        ensure!(!fixture.pay(invoice, now()).await?, "the outcome isn't known");
        ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["unknown"]);
    }
    stripe.forget_idempotency_key(&format!("invoice-{invoice}-1"));
    ensure!(fixture.pay(invoice, in_days(1)).await?, "not charged after a day");
    ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["succeeded"]);
    ensure_eq!(fixture.charged(invoice), 1);
    // The key is forgotten although the charge was made: it isn't made again.
    let invoice = fixture.invoice(&tester, 1_000).await?;
    stripe.fail_operation("create_payment_intent", Effect::Reset { after_doing: true }, 1)?;
    ensure!(!fixture.pay(invoice, now()).await?, "the outcome isn't known");
    stripe.forget_idempotency_key(&format!("invoice-{invoice}-1"));
    ensure!(fixture.pay(invoice, in_days(2)).await?, "not found out");
    ensure_eq!(fixture.charged(invoice), 1);
    Ok(())
}

async fn reconciler_finds_charges_that_no_webhook_reported(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    stripe.hold_webhooks();
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    // One whose answer got lost, and one whose end no webhook told.
    let lost = fixture.invoice(&tester, 1_000).await?;
    stripe.fail_operation("create_payment_intent", Effect::Reset { after_doing: true }, 1)?;
    fixture.pay(lost, now()).await?;
    stripe.goes_processing(&card_of(&fixture, &tester)?, true)?;
    let untold = fixture.invoice(&tester, 1_001).await?;
    fixture.pay(untold, now()).await?;
    let intent = fixture.attempts(untold).await?[0]
        .payment_intent_id
        .clone()
        .context("no payment")?;
    stripe.settle_processing(&intent, true)?;
    stripe.drop_held_webhooks();
    fixture.bill("reconcile_billing", in_days(1)).await?;
    for invoice in [lost, untold] {
        ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
        ensure_eq!(fixture.charged(invoice), 1);
    }
    // What is recorded as paid, and isn't at Stripe, is told; and the other way round.
    let sql = "UPDATE invoice_payments SET created_at = now() - interval '2 hours', finished_at = now() - interval '1 hour', \
               payment_intent_id = 'pi_nowhere' WHERE invoice_id = $1";
    fixture.database.change(sql, untold).await?;
    let nowhere = ("paid-here-only".to_owned(), "pi_nowhere".to_owned());
    // A run that had no time for all has left the rest to this one, which then comes to the end; the next begins anew.
    let left = "INSERT INTO billing_reconciliation_cursor (compared_until) SELECT now() - interval '90 minutes' WHERE $1 > 0";
    fixture.database.change(left, untold).await?;
    let report = fixture.bill("reconcile_billing", in_days(1)).await?;
    ensure_eq!(report["is_complete"], json!(true));
    let found = fixture.discrepancies().await?;
    ensure!(!found.contains(&nowhere), "{found:?}");
    let report = fixture.bill("reconcile_billing", in_days(1)).await?;
    ensure_eq!(report["is_complete"], json!(true));
    let found = fixture.discrepancies().await?;
    ensure!(found.contains(&nowhere), "{found:?}");
    ensure_eq!(
        fixture.invoice_row(untold).await?.status,
        "paid",
        "nothing is changed by itself"
    );
    Ok(())
}
