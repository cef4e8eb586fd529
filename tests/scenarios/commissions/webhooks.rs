//! Stripe's webhook: what is believed, what is refused, and what is set aside.

use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::Utc;
use end_to_end::billing::{VISA, setup_request};
use end_to_end::wallets::new_key;
use end_to_end::{Answer, Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::{Effect, StripeSandbox};
use serde_json::{Value, json};
use uuid::Uuid;

const FUNCTION: &str = "stripe_webhook";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        delivery_not_signed_by_stripe_is_refused,
        event_delivered_twice_is_processed_once,
        alone(both_secrets_are_accepted_while_they_are_rolled),
        event_that_contradicts_our_record_moves_nothing,
        refunds_and_disputes_are_noted_on_the_charge,
        refund_that_failed_is_taken_back_and_left_to_a_person,
        alone(refunds_count_in_whatever_order_stripe_tells_of_them),
        refund_of_a_payment_of_ours_that_is_not_known_yet_is_told_again,
        alone(refund_and_dispute_of_a_charge_in_doubt_are_noted_on_it),
        alone(card_proof_whose_payment_takes_days_is_refunded_once_it_has_come),
        alone(card_proofs_refund_that_fails_before_it_is_noted_is_left_to_a_person),
        payout_events_reach_whoever_subscribed,
        event_of_another_type_is_acknowledged_and_counted,
    ]
}

fn event(kind: &str, object: &Value) -> Value {
    json!({
        "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "api_version": "2026-09-30.endive",
        "created": Utc::now().timestamp(), "livemode": false, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null}, "type": kind, "data": {"object": object},
    })
}

async fn deliver(fixture: &Fixture, signature: Option<&str>, body: &str) -> Result<Answer> {
    let api = fixture.api(None)?;
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(signature.map(|signature| ("stripe-signature", signature)));
    api.post_raw("/webhooks/stripe", &headers, body.as_bytes().to_vec())
        .await
}

/// Delivers an event as Stripe would.
async fn deliver_event(fixture: &Fixture, event: &Value) -> Result<Answer> {
    let body = event.to_string();
    let signature = fixture.cloud.stripe().sign_now(&body);
    deliver(fixture, Some(&signature), &body).await
}

/// A paid invoice with its payment at Stripe.
async fn paid(fixture: &Fixture) -> Result<(Tester, i64, String)> {
    let tester = fixture.customer().await?;
    tester.save_card(fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    ensure!(fixture.pay(invoice, Utc::now()).await?, "not paid");
    let attempts = fixture.attempts(invoice).await?;
    let intent = attempts[0].payment_intent_id.clone().context("no payment")?;
    Ok((tester, invoice, intent))
}

async fn delivery_not_signed_by_stripe_is_refused(fixture: Arc<Fixture>) -> Result {
    let (_, invoice, intent) = paid(&fixture).await?;
    let stripe = fixture.cloud.stripe();
    let object =
        json!({"id": "ch_forged", "object": "charge", "payment_intent": intent, "amount_refunded": 1_631});
    let body = event("charge.refunded", &object).to_string();
    let now = Utc::now().timestamp();
    let secret = stripe.webhook_secrets().into_iter().next().context("no secret")?;
    let signed = |secret: &str, at: i64| StripeSandbox::sign(&body, secret, at);
    let good = signed(&secret, now);
    let mut changed = body.clone().into_bytes();
    changed[20] ^= 1;
    let changed = String::from_utf8(changed)?;
    let spaced: Value = serde_json::from_str(&body)?;
    let spaced = serde_json::to_string_pretty(&spaced)?;
    let refused: [(&str, Option<String>, &str); 11] = [
        ("none", None, &body),
        ("empty", Some(String::new()), &body),
        ("nonsense", Some("signature".to_owned()), &body),
        ("a wrong secret", Some(signed("whsec_other", now)), &body),
        ("the old scheme", Some(good.replace("v1=", "v0=")), &body),
        (
            "no time",
            Some(good.split_once(',').context("no comma")?.1.to_owned()),
            &body,
        ),
        (
            "another time than was signed",
            Some(good.replacen(&now.to_string(), &(now - 1).to_string(), 1)),
            &body,
        ),
        ("a changed byte", Some(good.clone()), &changed),
        ("written anew", Some(good.clone()), &spaced),
        ("301 seconds old", Some(signed(&secret, now - 301)), &body),
        // The signature is checked a moment after `now`.
        ("from the future", Some(signed(&secret, now + 330)), &body),
    ];
    for (what, signature, body) in refused {
        let answer = deliver(&fixture, signature.as_deref(), body).await?;
        answer
            .expect_problem(400, "invalid-signature")
            .with_context(|| what.to_owned())?;
    }
    let history = fixture.invoice_row(invoice).await?;
    ensure_eq!(history.status, "paid");
    // Just in time, and with a second signature that isn't ours beside it, it is believed.
    let at = Utc::now().timestamp() - 290;
    let (_, other) = signed("whsec_other", at)
        .split_once(',')
        .map(|(t, v1)| (t.to_owned(), v1.to_owned()))
        .context("no comma")?;
    let both = signed(&secret, at).replacen(",v1=", &format!(",{other},v1="), 1);
    let answer = deliver(&fixture, Some(&both), &body).await?;
    // A charge of that form can't be read, which is another refusal than a forgery's.
    answer.expect_problem(400, "unreadable-event")?;
    Ok(())
}

async fn event_delivered_twice_is_processed_once(fixture: Arc<Fixture>) -> Result {
    let (tester, invoice, intent) = paid(&fixture).await?;
    fixture.cloud.stripe().webhooks_settled().await;
    let before = (
        fixture.event_kinds_of(&tester).await?,
        fixture.attempts(invoice).await?,
    );
    let events = fixture.cloud.stripe().events();
    let mut redelivered = 0;
    for event in &events {
        let is_ours = event.object["id"] == json!(intent) || event.object["payment_intent"] == json!(intent);
        if is_ours {
            for _ in 0..3 {
                ensure_eq!(
                    fixture.cloud.stripe().redeliver(&event.id).await?,
                    200,
                    "{}",
                    event.kind
                );
                redelivered += 1;
            }
        }
    }
    ensure!(redelivered >= 6, "only {redelivered} deliveries");
    let after = (
        fixture.event_kinds_of(&tester).await?,
        fixture.attempts(invoice).await?,
    );
    ensure_eq!(after, before);
    Ok(())
}

async fn both_secrets_are_accepted_while_they_are_rolled(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let old = stripe.webhook_secrets().into_iter().next().context("no secret")?;
    let body = event("customer.created", &json!({"id": "cus_x", "object": "customer"})).to_string();
    let with = |secret: &str| StripeSandbox::sign(&body, secret, Utc::now().timestamp());
    let new = "whsec_new_one";
    ensure_eq!(
        deliver(&fixture, Some(&with(new)), &body).await?.status,
        400,
        "before it is ours"
    );
    let secrets = json!({"api_key": local_cloud::keys::STRIPE_API_KEY, "webhook_secrets": [new, old]});
    let set = |value: &Value| {
        fixture
            .cloud
            .set_function_environment(FUNCTION, "STRIPE_SECRET", &value.to_string())
    };
    set(&secrets)?;
    for secret in [new, &old] {
        ensure_eq!(
            deliver(&fixture, Some(&with(secret)), &body).await?.status,
            200,
            "{secret}"
        );
    }
    set(&json!({"api_key": local_cloud::keys::STRIPE_API_KEY, "webhook_secrets": [new]}))?;
    ensure_eq!(
        deliver(&fixture, Some(&with(&old)), &body).await?.status,
        400,
        "after it was taken away"
    );
    set(&json!({"api_key": local_cloud::keys::STRIPE_API_KEY, "webhook_secrets": [old]}))?;
    Ok(())
}

/// The payment as Stripe would tell it, from what it told last.
fn payment_as_reported(fixture: &Fixture, intent: &str) -> Result<Value> {
    let events = fixture.cloud.stripe().events();
    let of_intent = events
        .iter()
        .rev()
        .find(|event| event.object["id"] == json!(intent));
    Ok(of_intent.context("no event of the payment")?.object.clone())
}

/// What is changed of the truth.
type Lie = fn(&mut Value);

async fn event_that_contradicts_our_record_moves_nothing(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    // The charge hangs in the air: nothing is known of it here.
    let method = fixture
        .cloud
        .stripe()
        .customers()
        .into_iter()
        .find(|customer| customer.metadata.get("profile_id") == Some(&tester.customer.profile_id.to_string()))
        .map(|customer| fixture.cloud.stripe().payment_methods(&customer.id))
        .and_then(|mut methods| methods.pop())
        .context("no card")?;
    fixture.cloud.stripe().goes_processing(&method.id, true)?;
    ensure!(fixture.pay(invoice, Utc::now()).await?, "not asked");
    fixture.cloud.stripe().webhooks_settled().await;
    let before = fixture.attempts(invoice).await?;
    ensure_eq!(before[0].status, "processing");
    let intent = before[0].payment_intent_id.clone().context("no payment")?;
    let mut truth = payment_as_reported(&fixture, &intent)?;
    truth["status"] = json!("succeeded");
    truth["amount_received"] = truth["amount"].clone();
    let lies: [(&str, Lie); 6] = [
        ("amount", |payment| {
            payment["amount"] = json!(1_630);
            payment["amount_received"] = json!(1_630);
        }),
        ("amount", |payment| payment["currency"] = json!("eur")),
        ("customer", |payment| {
            payment["customer"] = json!("cus_of_another")
        }),
        ("profile", |payment| {
            payment["metadata"]["profile_id"] = json!("999999")
        }),
        ("attempt", |payment| {
            payment["metadata"]["moneta_attempt"] = json!("invoice-1-1")
        }),
        ("amount-received", |payment| {
            payment["amount_received"] = json!(1_000)
        }),
    ];
    for (kind, lie) in lies {
        let mut payment = truth.clone();
        lie(&mut payment);
        deliver_event(&fixture, &event("payment_intent.succeeded", &payment))
            .await?
            .expect(200)?;
        ensure_eq!(fixture.attempts(invoice).await?, before, "{kind}");
        ensure_eq!(fixture.invoice_row(invoice).await?.status, "open", "{kind}");
        let parked = fixture.discrepancies().await?;
        ensure!(
            parked.contains(&(kind.to_owned(), intent.clone())),
            "{kind}: {parked:?}"
        );
    }
    let rings = |line: &str| line.contains("\"Name\":\"BillingDiscrepancies\"");
    fixture
        .logs_reach(FUNCTION, 5, rings)
        .await
        .context("the alarm didn't ring")?;
    // The truth still counts.
    deliver_event(&fixture, &event("payment_intent.succeeded", &truth))
        .await?
        .expect(200)?;
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    Ok(())
}

async fn refunds_and_disputes_are_noted_on_the_charge(fixture: Arc<Fixture>) -> Result {
    let (tester, _, refunded) = paid(&fixture).await?;
    fixture.cloud.stripe().refund_outside(&refunded)?;
    let (disputing, _, disputed) = paid(&fixture).await?;
    fixture.cloud.stripe().dispute(&disputed)?;
    eventually("the refund is shown", async || {
        let history = tester.api.get("/billing/commissions").await?.expect(200)?;
        ensure_eq!(history.body["items"][0]["refunded_cents"], json!(1_631));
        ensure_eq!(history.body["totals"][0]["refunded_cents"], json!(1_631));
        Ok(())
    })
    .await?;
    let told = fixture.event_kinds_of(&tester).await?;
    let refunds = told.iter().filter(|kind| *kind == "commission.refunded");
    ensure_eq!(refunds.count(), 1, "{told:?}");
    eventually("the dispute is noted", async || {
        let sql = "SELECT count(*) FROM invoice_payments WHERE profile_id = $1 AND disputed_at IS NOT NULL";
        ensure_eq!(
            fixture.database.count(sql, disputing.customer.profile_id).await?,
            1
        );
        Ok(())
    })
    .await
}

/// What Stripe tells of a refund that didn't reach its customer.
fn failed_refund(refund: &str, intent: &str, amount: i64) -> Value {
    let object = json!({
        "id": refund, "object": "refund", "amount": amount, "currency": "usd", "payment_intent": intent,
        "failure_reason": "lost_or_stolen_card", "status": "failed", "metadata": {},
    });
    event("refund.failed", &object)
}

async fn refund_that_failed_is_taken_back_and_left_to_a_person(fixture: Arc<Fixture>) -> Result {
    let (tester, _, intent) = paid(&fixture).await?;
    let refund = fixture.cloud.stripe().refund_outside(&intent)?;
    let is_refunded = async |cents: i64| -> Result {
        let history = tester.api.get("/billing/commissions").await?.expect(200)?;
        ensure_eq!(history.body["items"][0]["refunded_cents"], json!(cents));
        Ok(())
    };
    eventually("the refund is shown", async || is_refunded(1_631).await).await?;
    let stripe = fixture.cloud.stripe();
    stripe.fail_refund(&refund, "lost_or_stolen_card")?;
    eventually("it is taken back", async || is_refunded(0).await).await?;
    stripe.webhooks_settled().await;
    let told = stripe.webhook_deliveries().into_iter();
    let mut told = told.filter(|delivery| delivery.kind == "refund.failed");
    let failed = told.next_back().context("it isn't told")?;
    ensure_eq!(stripe.redeliver(&failed.event_id).await?, 200);
    is_refunded(0).await?;
    let open = fixture.discrepancies().await?;
    ensure!(open.contains(&("refund-failed".to_owned(), refund)), "{open:?}");
    // Another's refund is nothing of ours.
    let foreign = failed_refund("re_foreign", "pi_foreign", 500);
    deliver_event(&fixture, &foreign).await?.expect(200)?;
    let open = fixture.discrepancies().await?;
    ensure!(open.iter().all(|(_, id)| id != "re_foreign"), "{open:?}");
    Ok(())
}

/// A refund that has failed, alone and with another one after it.
async fn refunds_count_in_whatever_order_stripe_tells_of_them(fixture: Arc<Fixture>) -> Result {
    for order in [[0, 1], [1, 0]] {
        ensure_eq!(told_in_order(&fixture, &order).await?, (0, 0), "{order:?}");
    }
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        ensure_eq!(told_in_order(&fixture, &order).await?, (1_631, 1), "{order:?}");
    }
    Ok(())
}

/// Tells of a refund that has failed, and where there is a third event of another one, in an order; what is noted as given
/// back then, and how often the customer was told.
async fn told_in_order(fixture: &Fixture, order: &[usize]) -> Result<(i64, usize)> {
    let stripe = fixture.cloud.stripe();
    let (tester, _, intent) = paid(fixture).await?;
    stripe.webhooks_settled().await;
    stripe.hold_webhooks();
    let failed = stripe.refund_outside(&intent)?;
    stripe.fail_refund(&failed, "lost_or_stolen_card")?;
    if order.len() > 2 {
        stripe.refund_outside(&intent)?;
    }
    let mut events = stripe.held_webhooks();
    events.retain(|event| ["charge.refunded", "refund.failed"].contains(&event.kind.as_str()));
    ensure_eq!(events.len(), order.len());
    for place in order {
        ensure_eq!(stripe.redeliver(&events[*place].id).await?, 200);
    }
    stripe.drop_held_webhooks();
    let open = fixture.discrepancies().await?;
    ensure!(open.contains(&("refund-failed".to_owned(), failed)), "{open:?}");
    let history = tester.api.get("/billing/commissions").await?.expect(200)?;
    let noted = history.body["items"][0]["refunded_cents"].as_i64();
    let told = fixture.event_kinds_of(&tester).await?;
    let told = told.iter().filter(|kind| *kind == "commission.refunded");
    Ok((noted.context("no amount")?, told.count()))
}

async fn refund_of_a_payment_of_ours_that_is_not_known_yet_is_told_again(fixture: Arc<Fixture>) -> Result {
    let mut object = json!({
        "id": "ch_early", "object": "charge", "payment_intent": "pi_early", "amount_refunded": 500, "currency": "usd",
        "refunded": false, "metadata": {"moneta_attempt": "invoice-999999999-1"},
    });
    for _ in 0..2 {
        let early = event("charge.refunded", &object);
        ensure_eq!(deliver_event(&fixture, &early).await?.status, 503);
    }
    // A second payment under the key of a charge isn't the charge's.
    let (tester, invoice, _) = paid(&fixture).await?;
    object["metadata"]["moneta_attempt"] = json!(format!("invoice-{invoice}-1"));
    let second = event("charge.refunded", &object);
    deliver_event(&fixture, &second).await?.expect(200)?;
    let history = tester.api.get("/billing/commissions").await?.expect(200)?;
    ensure_eq!(history.body["items"][0]["refunded_cents"], json!(0));
    // Another's payment is nothing to wait for.
    object["metadata"] = json!({});
    let foreign = event("charge.refunded", &object);
    deliver_event(&fixture, &foreign).await?.expect(200)?;
    Ok(())
}

async fn refund_and_dispute_of_a_charge_in_doubt_are_noted_on_it(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    let profile = tester.customer.profile_id;
    let refunded = "SELECT count(*) FROM invoice_payments WHERE profile_id = $1 AND refunded_cents = 1000";
    let disputed = "SELECT count(*) FROM invoice_payments WHERE profile_id = $1 AND disputed_at IS NOT NULL";
    let lost = "SELECT count(*) FROM invoice_payments WHERE profile_id = $1 AND dispute_outcome = 'lost'";
    stripe.webhooks_settled().await;
    stripe.hold_webhooks();
    // Charged twice, and the response is lost both times: the payments' ids aren't known here.
    for (kind, noted) in [
        ("charge.refunded", refunded),
        ("charge.dispute.created", disputed),
    ] {
        let invoice = fixture.invoice(&tester, 1_000).await?;
        stripe.fail_operation("create_payment_intent", Effect::Reset { after_doing: true }, 1)?;
        ensure!(
            !fixture.pay(invoice, Utc::now()).await?,
            "the outcome isn't known"
        );
        let key = format!("invoice-{invoice}-1");
        let made = stripe.succeeded_intents().into_iter();
        let mut made = made.filter(|intent| intent.metadata.get("moneta_attempt") == Some(&key));
        let intent = made.next().context("it isn't made")?.id;
        if kind == "charge.refunded" {
            stripe.refund_outside(&intent)?;
        } else {
            stripe.dispute(&intent)?;
        }
        let told = stripe.held_webhooks().into_iter();
        let mut told = told.filter(|event| event.kind == kind);
        let event = told.next().context("it isn't told")?;
        ensure_eq!(stripe.redeliver(&event.id).await?, 200, "{kind}");
        ensure_eq!(fixture.database.count(noted, profile).await?, 1, "{kind}");
        ensure!(fixture.pay(invoice, Utc::now()).await?, "not found out");
        fixture.invoice_reaches(invoice, "paid").await?;
    }
    let dispute = stripe.held_webhooks().into_iter();
    let mut dispute = dispute.filter(|event| event.kind == "charge.dispute.created");
    let mut object = dispute.next().context("no dispute")?.object;
    object["status"] = json!("lost");
    deliver_event(&fixture, &event("charge.dispute.closed", &object))
        .await?
        .expect(200)?;
    ensure_eq!(fixture.database.count(lost, profile).await?, 1);
    ensure_eq!(fixture.database.count(refunded, profile).await?, 1);
    stripe.drop_held_webhooks();
    Ok(())
}

async fn card_proof_whose_payment_takes_days_is_refunded_once_it_has_come(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    let mut request = setup_request();
    request["mode"] = json!("payment");
    let answer = tester
        .api
        .post("/billing/checkout-sessions", &new_key(), &request)
        .await?
        .expect(201)?;
    let session = answer.body["stripe_session_id"].as_str().context("no session")?;
    stripe.hold_webhooks();
    let completed = stripe.complete_checkout(session, VISA)?;
    let intent = completed.payment_intent.context("no payment")?;
    let told = stripe.held_webhooks().into_iter();
    let mut told = told.filter(|event| event.kind == "checkout.session.completed");
    let mut object = told.next().context("it isn't told")?.object;
    stripe.drop_held_webhooks();
    let refund = || {
        let mut refunds = stripe.refunds().into_iter();
        refunds.find(|refund| refund.payment_intent == intent)
    };
    for (kind, status) in [
        ("completed", "unpaid"),
        ("async_payment_failed", "unpaid"),
        ("async_payment_succeeded", "paid"),
    ] {
        object["payment_status"] = json!(status);
        let event = event(&format!("checkout.session.{kind}"), &object);
        deliver_event(&fixture, &event).await?.expect(200)?;
        ensure_eq!(refund().is_some(), status == "paid", "{kind}");
    }
    ensure!(
        fixture.event_kinds_of(&tester).await?.is_empty(),
        "something was told"
    );
    // What is given back doesn't reach the customer: it isn't recorded as refunded.
    let refund = refund().context("no refund")?;
    let recorded = "SELECT count(*) FROM checkout_sessions WHERE profile_id = $1 AND refund_id IS NOT NULL";
    let profile = tester.customer.profile_id;
    ensure_eq!(fixture.database.count(recorded, profile).await?, 1);
    let failed = failed_refund(&refund.id, &intent, refund.amount);
    deliver_event(&fixture, &failed).await?.expect(200)?;
    ensure_eq!(fixture.database.count(recorded, profile).await?, 0);
    let open = fixture.discrepancies().await?;
    ensure!(
        open.contains(&("refund-failed".to_owned(), refund.id)),
        "{open:?}"
    );
    Ok(())
}

/// Stripe repeats its first answer under the same key, that the refund is done, although it has failed since.
async fn card_proofs_refund_that_fails_before_it_is_noted_is_left_to_a_person(
    fixture: Arc<Fixture>,
) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    let mut request = setup_request();
    request["mode"] = json!("payment");
    let answer = tester
        .api
        .post("/billing/checkout-sessions", &new_key(), &request)
        .await?
        .expect(201)?;
    let session = answer.body["stripe_session_id"].as_str().context("no session")?;
    stripe.hold_webhooks();
    let intent = stripe.complete_checkout(session, VISA)?.payment_intent;
    let told = stripe.held_webhooks().into_iter();
    let mut told = told.filter(|event| event.kind == "checkout.session.completed");
    let completed = told.next().context("it isn't told")?.id;
    let unavailable = Effect::Refuse {
        status: 500,
        error_code: "api_error".to_owned(),
        message: "An error occurred".to_owned(),
    };
    stripe.fail_operation("list_refunds", unavailable, 100)?;
    ensure_eq!(stripe.redeliver(&completed).await?, 503);
    stripe.clear_faults();
    let mut refunds = stripe.refunds().into_iter();
    let refund = refunds.find(|refund| Some(&refund.payment_intent) == intent.as_ref());
    stripe.fail_refund(&refund.context("no refund")?.id, "lost_or_stolen_card")?;
    ensure_eq!(stripe.redeliver(&completed).await?, 200);
    stripe.drop_held_webhooks();
    let recorded = "SELECT count(*) FROM checkout_sessions WHERE profile_id = $1 AND refund_id IS NOT NULL";
    ensure_eq!(
        fixture
            .database
            .count(recorded, tester.customer.profile_id)
            .await?,
        0
    );
    let open = fixture.discrepancies().await?;
    ensure!(
        open.contains(&("refund".to_owned(), session.to_owned())),
        "{open:?}"
    );
    Ok(())
}

async fn payout_events_reach_whoever_subscribed(fixture: Arc<Fixture>) -> Result {
    let id = format!("po_{}", Uuid::new_v4().simple());
    let payout = |status: &str| {
        json!({
            "id": id, "object": "payout", "amount": 2_500, "arrival_date": 1_790_000_000, "automatic": false,
            "balance_transaction": null, "created": 1_790_000_000, "currency": "usd", "description": null,
            "destination": null, "failure_balance_transaction": null, "failure_code": null, "failure_message": null,
            "livemode": false, "metadata": {}, "method": "standard", "original_payout": null, "payout_method": null,
            "reconciliation_status": "not_applicable", "reversed_by": null, "source_type": "card",
            "statement_descriptor": null, "status": status, "trace_id": null, "type": "bank_account",
            "application_fee": null, "application_fee_amount": null,
        })
    };
    let told = event("payout.paid", &payout("paid"));
    for _ in 0..2 {
        deliver_event(&fixture, &told).await?.expect(200)?;
    }
    let rows = fixture.database.outbox_of_key(&format!("payout-{id}")).await?;
    ensure_eq!(rows.len(), 1, "told once");
    ensure_eq!(rows[0].kind, "payout.paid");
    ensure_eq!(rows[0].payload["data"]["amount_cents"], json!(2_500));
    Ok(())
}

async fn event_of_another_type_is_acknowledged_and_counted(fixture: Arc<Fixture>) -> Result {
    for kind in [
        "invoice.paid",
        "customer.subscription.created",
        "a.type.of.tomorrow",
    ] {
        deliver_event(&fixture, &event(kind, &json!({"id": "x_1", "object": "x"})))
            .await?
            .expect(200)?;
        let is_counted = |line: &str| line.contains("IgnoredStripeEvents") && line.contains(kind);
        let counted = fixture.logs_reach(FUNCTION, 1, is_counted).await;
        counted.with_context(|| format!("{kind} isn't counted"))?;
    }
    // One that concerns us and can't be read is not acknowledged: Stripe sends it again, and an alarm rings.
    let unreadable = event(
        "payment_intent.succeeded",
        &json!({"id": "pi_1", "object": "payment_intent"}),
    );
    deliver_event(&fixture, &unreadable)
        .await?
        .expect_problem(400, "unreadable-event")?;
    Ok(())
}
