//! Cards: saved on Stripe's page, listed, chosen, deleted.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::billing::{VISA, setup_request};
use end_to_end::wallets::new_key;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use local_cloud::sandboxes::Effect;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        card_is_saved_by_the_webhook_and_charged_when_its_invoice_is_due,
        card_is_added_once_when_the_client_is_faster_than_the_webhook,
        session_adds_a_card_for_its_own_profile_once_it_is_complete,
        checkout_request_repeated_gives_the_same_page,
        checkouts_at_once_create_one_stripe_customer,
        checkout_returns_customers_to_our_hosts_only,
        card_chosen_last_is_the_active_one,
        last_card_stays_while_an_invoice_is_open,
        payment_is_refunded_only_when_it_proves_a_card,
        price_and_refund_are_chosen_by_the_server,
        alone(price_that_stripe_lacks_is_the_callers_fault_only_when_it_was_named),
        card_changed_at_stripe_changes_here,
        customer_deleted_at_stripe_is_created_anew,
        alone(card_changed_twice_in_a_second_is_as_stripe_has_it_in_the_end),
    ]
}

async fn card_is_saved_by_the_webhook_and_charged_when_its_invoice_is_due(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    ensure!(tester.methods().await?.is_empty(), "a card before there is one");
    let answer = tester
        .api
        .post("/billing/checkout-sessions", &new_key(), &setup_request())
        .await?
        .expect(201)?;
    let page = reqwest::get(answer.body["url"].as_str().context("no url")?).await?;
    ensure_eq!(page.status().as_u16(), 200, "the payment page");
    let session = answer.body["stripe_session_id"].as_str().context("no session")?;
    fixture.cloud.stripe().complete_checkout(session, VISA)?;
    let method = eventually("the card is listed", async || {
        tester.methods().await?.pop().context("no card yet")
    })
    .await?;
    ensure_eq!(method["active"], json!(true));
    ensure_eq!(method["name"], json!("visa •••• 4242, 12/34"));
    let again = tester.add_method(session).await?.expect(200)?;
    ensure_eq!(again.body, method);
    ensure_eq!(fixture.event_kinds_of(&tester).await?, ["payment-method.added"]);

    let invoice = fixture.invoice(&tester, 1_631).await?;
    ensure!(
        fixture.pay(invoice, chrono::Utc::now()).await?,
        "the charge failed"
    );
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    ensure_eq!(fixture.charged(invoice), 1);
    let history = tester.api.get("/billing/commissions").await?.expect(200)?;
    let paid = &history.body["items"][0];
    ensure_eq!(
        (paid["invoice_id"].as_i64(), paid["amount_cents"].as_i64()),
        (Some(invoice), Some(1_631))
    );
    ensure_eq!(paid["payment_method"], json!("visa •••• 4242, 12/34"));
    ensure_eq!(history.body["totals"][0]["amount_cents"], json!(1_631));
    ensure_eq!(
        fixture.event_kinds_of(&tester).await?,
        ["payment-method.added", "commission.charged"]
    );
    let shown = tester.invoice(invoice).await?;
    ensure_eq!(shown["attempts"][0]["status"], json!("succeeded"));
    ensure_eq!(shown["status"], json!("paid"));
    Ok(())
}

async fn card_is_added_once_when_the_client_is_faster_than_the_webhook(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let session = tester.checkout().await?;
    fixture.cloud.stripe().complete_checkout(&session, VISA)?;
    // The webhook is on its way at the same time; whoever is first, there is one card.
    let answers = try_join_all((0..8).map(|_| tester.add_method(&session))).await?;
    let new = answers.iter().filter(|answer| answer.status == 201).count();
    ensure!(new <= 1, "added {new} times");
    ensure!(
        answers.iter().all(|answer| [200, 201].contains(&answer.status)),
        "{answers:?}"
    );
    fixture.cloud.stripe().webhooks_settled().await;
    ensure_eq!(tester.methods().await?.len(), 1);
    ensure_eq!(fixture.event_kinds_of(&tester).await?, ["payment-method.added"]);
    Ok(())
}

async fn session_adds_a_card_for_its_own_profile_once_it_is_complete(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let session = tester.checkout().await?;
    tester
        .add_method(&session)
        .await?
        .expect_problem(409, "checkout-session-not-completed")?;
    fixture.cloud.stripe().complete_checkout(&session, VISA)?;
    // A profile without a customer of its own, and one with.
    other
        .add_method(&session)
        .await?
        .expect_problem(404, "checkout-session-not-found")?;
    other.checkout().await?;
    other
        .add_method(&session)
        .await?
        .expect_problem(404, "checkout-session-not-found")?;
    ensure!(other.methods().await?.is_empty(), "another's card");
    tester
        .add_method("cs_test_unknown")
        .await?
        .expect_problem(404, "checkout-session-not-found")?;
    Ok(())
}

async fn checkout_request_repeated_gives_the_same_page(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let (key, path) = (new_key(), "/billing/checkout-sessions");
    let first = tester.api.post(path, &key, &setup_request()).await?.expect(201)?;
    let second = tester.api.post(path, &key, &setup_request()).await?.expect(201)?;
    ensure_eq!(second.body, first.body);
    ensure_eq!(second.header("idempotency-replayed"), "true");
    let mut other = setup_request();
    other["cancel_url"] = json!("https://app.example.com/elsewhere");
    tester
        .api
        .post(path, &key, &other)
        .await?
        .expect_problem(422, "idempotency-key-reused")?;
    Ok(())
}

async fn checkouts_at_once_create_one_stripe_customer(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    try_join_all((0..16).map(|_| tester.checkout())).await?;
    let profile = tester.customer.profile_id.to_string();
    let customers = fixture.cloud.stripe().customers();
    let ours = customers
        .iter()
        .filter(|customer| customer.metadata.get("profile_id") == Some(&profile));
    ensure_eq!(ours.count(), 1, "customers at Stripe");
    Ok(())
}

async fn checkout_returns_customers_to_our_hosts_only(fixture: Arc<Fixture>) -> Result {
    let nobody = fixture.api(Some(json!({ "profile_id": 999_999_999 })))?;
    let answer = nobody
        .post("/billing/checkout-sessions", &new_key(), &setup_request())
        .await?;
    answer.expect_problem(404, "profile-not-found")?;
    let tester = fixture.customer().await?;
    for field in ["success_url", "cancel_url"] {
        for address in [
            "https://evil.example/",
            "javascript:alert(1)",
            "/billing",
            "http://app.example.com/",
        ] {
            let mut request = setup_request();
            request[field] = json!(address);
            let answer = tester
                .api
                .post("/billing/checkout-sessions", &new_key(), &request)
                .await?;
            let problem = answer.expect_problem(422, "return-address-not-allowed")?;
            ensure_eq!(problem.body["errors"][0]["field"], json!(field), "{address}");
        }
    }
    let mut request = setup_request();
    request["price_id"] = json!("price_basic");
    let answer = tester
        .api
        .post("/billing/checkout-sessions", &new_key(), &request)
        .await?;
    answer.expect_problem(422, "price-does-not-fit-mode")?;
    request["mode"] = json!("payment");
    request["price_id"] = json!("price_unknown");
    let answer = tester
        .api
        .post("/billing/checkout-sessions", &new_key(), &request)
        .await?;
    answer.expect_problem(422, "price-not-found")?;
    Ok(())
}

fn ids(methods: &[Value]) -> Vec<i64> {
    methods
        .iter()
        .filter_map(|method| method["id"].as_i64())
        .collect()
}

async fn card_chosen_last_is_the_active_one(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let visa = tester.save_card(&fixture, VISA).await?;
    let mastercard = tester.save_card(&fixture, "5555555555554444").await?;
    ensure_eq!(
        ids(&tester.methods().await?),
        [mastercard, visa],
        "the newest is active"
    );
    let chosen = tester.activate(visa).await?.expect(200)?;
    ensure_eq!(chosen.body["active"], json!(true));
    let methods = tester.methods().await?;
    ensure_eq!(ids(&methods), [visa, mastercard]);
    ensure_eq!(
        (&methods[0]["active"], &methods[1]["active"]),
        (&json!(true), &json!(false))
    );
    other
        .activate(visa)
        .await?
        .expect_problem(404, "payment-method-not-found")?;
    let invoice = fixture.invoice(&tester, 900).await?;
    fixture.pay(invoice, chrono::Utc::now()).await?;
    let shown = tester.invoice(invoice).await?;
    ensure_eq!(
        shown["attempts"][0]["payment_method"],
        json!("visa •••• 4242, 12/34")
    );
    Ok(())
}

async fn last_card_stays_while_an_invoice_is_open(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let (visa, mastercard) = (
        tester.save_card(&fixture, VISA).await?,
        tester.save_card(&fixture, "5555555555554444").await?,
    );
    let invoice = fixture.invoice(&tester, 900).await?;
    other
        .delete_method(visa)
        .await?
        .expect_problem(404, "payment-method-not-found")?;
    let left = tester.delete_method(visa).await?.expect(200)?;
    ensure_eq!(
        ids(left.body["items"].as_array().context("no items")?),
        [mastercard]
    );
    tester
        .delete_method(visa)
        .await?
        .expect_problem(404, "payment-method-not-found")?;
    tester
        .delete_method(mastercard)
        .await?
        .expect_problem(409, "last-payment-method")?;
    fixture.pay(invoice, chrono::Utc::now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    tester.delete_method(mastercard).await?.expect(200)?;
    ensure!(tester.methods().await?.is_empty(), "a card is left");
    let customers = fixture.cloud.stripe().customers();
    let profile = tester.customer.profile_id.to_string();
    let customer = customers
        .iter()
        .find(|customer| customer.metadata.get("profile_id") == Some(&profile))
        .context("no customer")?;
    ensure!(
        fixture.cloud.stripe().payment_methods(&customer.id).is_empty(),
        "Stripe still has a card"
    );
    // What was paid by it is still shown.
    let history = tester.api.get("/billing/commissions").await?.expect(200)?;
    ensure_eq!(history.body["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

async fn payment_is_refunded_only_when_it_proves_a_card(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let mut sessions = Vec::new();
    for price in [Some("price_basic"), None] {
        let mut request = setup_request();
        request["mode"] = json!("payment");
        request["price_id"] = json!(price);
        let answer = tester
            .api
            .post("/billing/checkout-sessions", &new_key(), &request)
            .await?
            .expect(201)?;
        let session = answer.body["stripe_session_id"]
            .as_str()
            .context("no session")?
            .to_owned();
        let session = fixture.cloud.stripe().complete_checkout(&session, VISA)?;
        sessions.push(session.payment_intent.context("no payment")?);
    }
    let refunded = async || -> Result<Vec<String>> {
        let refunds = fixture.cloud.stripe().refunds();
        let of_ours = refunds.into_iter().map(|refund| refund.payment_intent);
        Ok(of_ours.filter(|intent| sessions.contains(intent)).collect())
    };
    eventually("the card proof is refunded", async || {
        ensure_eq!(refunded().await?, [sessions[1].clone()]);
        Ok(())
    })
    .await?;
    // Told again, it is not refunded again; and the other one never.
    for event in fixture.cloud.stripe().events() {
        if event.kind == "checkout.session.completed" {
            fixture.cloud.stripe().redeliver(&event.id).await?;
        }
    }
    fixture.cloud.stripe().webhooks_settled().await;
    ensure_eq!(refunded().await?, [sessions[1].clone()]);
    ensure!(tester.methods().await?.is_empty(), "a payment saves no card");
    // What is kept is recorded and told, once.
    ensure_eq!(fixture.event_kinds_of(&tester).await?, ["checkout.paid"]);
    let paid = "SELECT count(*) FROM checkout_sessions WHERE profile_id = $1 AND paid_cents = 1000";
    ensure_eq!(fixture.database.count(paid, tester.customer.profile_id).await?, 1);
    Ok(())
}

async fn price_and_refund_are_chosen_by_the_server(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let ask = async |change: Value| {
        let mut request = setup_request();
        let change = change.as_object().cloned().unwrap_or_default();
        request
            .as_object_mut()
            .context("the request is an object")?
            .extend(change);
        tester
            .api
            .post("/billing/checkout-sessions", &new_key(), &request)
            .await
    };
    // A price of the account that isn't on offer, and the card proof's own.
    fixture.cloud.stripe().set_price("price_internal", 9_600, "USD");
    for price in ["price_internal", "price_card_proof"] {
        ask(json!({ "mode": "payment", "price_id": price }))
            .await?
            .expect_problem(422, "price-not-found")?;
    }
    ask(json!({ "mode": "payment", "price_id": "price_basic", "refund": true }))
        .await?
        .expect_problem(400, "malformed-request")?;
    // A day has its limit, and a request under the same key is answered all the same.
    for _ in 0..20 {
        ask(json!({ "mode": "payment" })).await?.expect(201)?;
    }
    ask(json!({ "mode": "payment" }))
        .await?
        .expect_problem(409, "checkout-limit-reached")?;
    Ok(())
}

async fn price_that_stripe_lacks_is_the_callers_fault_only_when_it_was_named(
    fixture: Arc<Fixture>,
) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    tester.checkout().await?;
    let ask = async |price: Option<&str>| {
        let missing = Effect::Refuse {
            status: 400,
            error_code: "resource_missing".to_owned(),
            message: "No such price".to_owned(),
        };
        stripe.fail_operation("create_checkout_session", missing, 1)?;
        let mut request = setup_request();
        request["mode"] = json!("payment");
        request["price_id"] = json!(price);
        let path = "/billing/checkout-sessions";
        tester.api.post(path, &new_key(), &request).await
    };
    ask(Some("price_basic"))
        .await?
        .expect_problem(422, "price-not-found")?;
    // That of the card proof is of our configuration.
    ask(None).await?.expect_problem(500, "internal")?;
    stripe.clear_faults();
    Ok(())
}

async fn customer_deleted_at_stripe_is_created_anew(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    let profile = tester.customer.profile_id.to_string();
    let customers = || {
        let customers = stripe.customers().into_iter();
        let ours = customers.filter(|customer| customer.metadata.get("profile_id") == Some(&profile));
        ours.map(|customer| customer.id).collect::<Vec<_>>()
    };
    let gone = customers().pop().context("no customer")?;
    stripe.delete_customer(&gone)?;
    // The card went with it: it isn't the bank that declines, and nothing counts against the customer.
    let invoice = fixture.invoice(&tester, 1_000).await?;
    fixture.pay(invoice, chrono::Utc::now()).await?;
    eventually("the cards of the customer are gone", async || {
        ensure!(tester.methods().await?.is_empty(), "a card is there still");
        Ok(())
    })
    .await?;
    ensure_eq!(fixture.invoice_row(invoice).await?.failed_attempts, 0);
    tester.save_card(&fixture, VISA).await?;
    let now = customers();
    ensure!(now.len() == 1 && !now.contains(&gone), "{now:?}");
    fixture.pay(invoice, chrono::Utc::now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    // Deleted once more, it is found out by the next checkout.
    stripe.delete_customer(now.first().context("no customer")?)?;
    tester.checkout().await?;
    ensure_eq!(customers().len(), 1);
    Ok(())
}

async fn card_changed_twice_in_a_second_is_as_stripe_has_it_in_the_end(fixture: Arc<Fixture>) -> Result {
    let stripe = fixture.cloud.stripe();
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    stripe.webhooks_settled().await;
    let card = crate::charging::card_of(&fixture, &tester)?;
    stripe.hold_webhooks();
    stripe.update_card(&card, 4, 2039)?;
    stripe.update_card(&card, 5, 2040)?;
    let held = stripe.held_webhooks();
    let renewals = held
        .iter()
        .filter(|event| event.kind == "payment_method.automatically_updated");
    let renewals: Vec<&String> = renewals.map(|event| &event.id).collect();
    ensure_eq!(renewals.len(), 2);
    // The later one first.
    for event in renewals.into_iter().rev() {
        ensure_eq!(stripe.redeliver(event).await?, 200);
    }
    ensure_eq!(tester.methods().await?[0]["name"], json!("visa •••• 4242, 05/40"));
    Ok(())
}

async fn card_changed_at_stripe_changes_here(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    tester.save_card(&fixture, VISA).await?;
    let profile = tester.customer.profile_id.to_string();
    let customers = fixture.cloud.stripe().customers();
    let customer = customers
        .iter()
        .find(|customer| customer.metadata.get("profile_id") == Some(&profile))
        .context("no customer")?;
    let card = fixture
        .cloud
        .stripe()
        .payment_methods(&customer.id)
        .pop()
        .context("no card")?;
    fixture.cloud.stripe().update_card(&card.id, 4, 2039)?;
    eventually("the card has its new date", async || {
        ensure_eq!(tester.methods().await?[0]["name"], json!("visa •••• 4242, 04/39"));
        Ok(())
    })
    .await?;
    fixture.cloud.stripe().detach_outside(&card.id)?;
    eventually("the card is gone", async || {
        ensure!(tester.methods().await?.is_empty(), "it is still there");
        Ok(())
    })
    .await
}
