//! What of commissions waits for a person, and what comes of the decision.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::billing::{DECLINES_LATER, VISA};
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use local_cloud::sandboxes::Effect;
use serde_json::{Value, json};

use crate::charging::{in_days, now, statuses, with_card};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        review_of_an_uncollectible_invoice_ends_when_it_is_voided,
        review_of_an_uncollectible_invoice_settles_when_it_is_paid,
        review_is_decided_by_one_of_two_operators,
        decision_that_is_not_possible_names_what_is_wrong,
        decision_that_comes_too_late_is_refused_and_changes_nothing,
        alone(review_of_an_unknown_charge_looks_it_up_again),
    ]
}

/// A profile whose invoice became uncollectible.
async fn with_uncollectible_invoice(fixture: &Fixture) -> Result<(Tester, i64)> {
    let tester = with_card(fixture, DECLINES_LATER).await?;
    let invoice = fixture.invoice(&tester, 1_631).await?;
    for day in [0, 1, 4, 9, 16] {
        fixture.pay(invoice, in_days(day)).await?;
    }
    fixture.invoice_reaches(invoice, "uncollectible").await?;
    Ok((tester, invoice))
}

fn subject(invoice: i64) -> String {
    format!("invoice-{invoice}")
}

async fn is_suspended(fixture: &Fixture, tester: &Tester) -> Result<bool> {
    let sql = "SELECT count(*) FROM buying_suspensions WHERE profile_id = $1";
    Ok(fixture.database.count(sql, tester.customer.profile_id).await? == 1)
}

async fn review_of_an_uncollectible_invoice_ends_when_it_is_voided(fixture: Arc<Fixture>) -> Result {
    let (tester, invoice) = with_uncollectible_invoice(&fixture).await?;
    ensure!(is_suspended(&fixture, &tester).await?, "buying is not suspended");
    let review = fixture
        .review_of("invoice-uncollectible", &subject(invoice))
        .await?;
    ensure_eq!(
        (&review["state"], &review["profile_id"], &review["ours"]["amount"]),
        (
            &json!("open"),
            &json!(tester.customer.profile_id),
            &json!("USD 16.31")
        )
    );
    fixture
        .decide("ada", &review, "void-invoice", json!({}))
        .await?
        .expect(202)?;
    let review = fixture
        .review_reaches("invoice-uncollectible", &subject(invoice), "applied")
        .await?;
    ensure_eq!(
        (&review["decided_by"], &review["decision"]),
        (&json!("ada"), &json!("void-invoice"))
    );
    let history = review["history"].as_array().into_iter().flatten();
    let history: Vec<&Value> = history.map(|entry| &entry["event"]).collect();
    ensure_eq!(history, ["opened", "decided", "applied"]);
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "void");
    // What a hand-written UPDATE would have told nobody.
    let kinds = fixture.event_kinds_of(&tester).await?;
    ensure!(
        kinds.ends_with(&["invoice.voided".to_owned(), "trading.resumed".to_owned()]),
        "{kinds:?}"
    );
    ensure!(
        !is_suspended(&fixture, &tester).await?,
        "buying is suspended still"
    );
    let audited = "SELECT count(*) FROM admin_audit WHERE operator = 'ada' AND operation = 'decide_review' \
                   AND subject = 'review-' || $1";
    let id = review["id"].as_i64().unwrap_or_default();
    ensure_eq!(fixture.database.count(audited, id).await?, 1);
    Ok(())
}

async fn review_of_an_uncollectible_invoice_settles_when_it_is_paid(fixture: Arc<Fixture>) -> Result {
    let (tester, invoice) = with_uncollectible_invoice(&fixture).await?;
    tester.save_card(&fixture, VISA).await?;
    fixture.pay(invoice, in_days(17)).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    let review = fixture
        .review_of("invoice-uncollectible", &subject(invoice))
        .await?;
    ensure_eq!(
        (&review["state"], &review["decided_by"]),
        (&json!("applied"), &json!(null))
    );
    let refused = fixture.decide("ada", &review, "void-invoice", json!({})).await?;
    refused.expect_problem(409, "review-already-decided")?;
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    Ok(())
}

async fn review_is_decided_by_one_of_two_operators(fixture: Arc<Fixture>) -> Result {
    let id = fixture.review("invoice-9000001").await?;
    let review = json!({ "id": id });
    let (ada, bob) = tokio::join!(
        fixture.decide("ada", &review, "keep-owed", json!({})),
        fixture.decide("bob", &review, "keep-owed", json!({})),
    );
    let (ada, bob) = (ada?, bob?);
    let mut answers = [ada.status, bob.status];
    answers.sort_unstable();
    ensure_eq!(answers, [202, 409]);
    let winner = if ada.status == 202 { "ada" } else { "bob" };
    // The winner's own repetition is answered like the first time, also after it was applied.
    fixture
        .review_reaches("invoice-uncollectible", "invoice-9000001", "applied")
        .await?;
    let again = fixture
        .decide(winner, &review, "keep-owed", json!({}))
        .await?
        .expect(202)?;
    ensure_eq!(again.body["decided_by"], json!(winner));
    let decisions = "SELECT count(*) FROM review_history WHERE review_id = $1 AND event = 'decided'";
    ensure_eq!(fixture.database.count(decisions, id).await?, 1);
    Ok(())
}

async fn decision_that_is_not_possible_names_what_is_wrong(fixture: Arc<Fixture>) -> Result {
    let id = fixture.review("invoice-9000002").await?;
    let api = fixture.operator("ada")?;
    let path = format!("/admin/reviews/{id}/decision");
    let decide = async |body: Value| api.post(&path, "unused", &body).await;
    let reason = "a reason";
    let unknown = json!({ "action": "void-invoice", "reason": reason });
    let problem = decide(unknown).await?.expect_problem(422, "action-not-allowed")?;
    ensure!(problem.text.contains("keep-owed"), "{}", problem.text);
    for (body, field) in [
        (json!({ "action": "keep-owed", "reason": "  " }), "reason"),
        (
            json!({ "action": "keep-owed", "reason": "x".repeat(501) }),
            "reason",
        ),
        (
            json!({ "action": "keep-owed", "reason": reason, "parameters": { "more": 1 } }),
            "parameters.more",
        ),
        (
            json!({ "action": "keep-owed", "reason": reason, "parameters": { "more": 1.5 } }),
            "parameters.more",
        ),
    ] {
        let problem = decide(body.clone()).await?.expect_problem(422, "invalid-value")?;
        ensure_eq!(problem.body["errors"][0]["field"], json!(field), "{body}");
    }
    let missing = api.get("/admin/reviews/999999999").await?;
    missing.expect_problem(404, "review-not-found")?;
    let open = api
        .get("/admin/reviews?area=commissions&state=open&limit=100")
        .await?
        .expect(200)?;
    let listed = open.body["items"].as_array().into_iter().flatten();
    ensure!(
        listed.clone().any(|review| review["id"] == json!(id)),
        "it is not listed as open"
    );
    ensure!(
        listed.clone().all(|review| review["state"] == json!("open")),
        "{}",
        open.text
    );
    Ok(())
}

async fn decision_that_comes_too_late_is_refused_and_changes_nothing(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    fixture.pay(invoice, now()).await?;
    fixture.invoice_reaches(invoice, "paid").await?;
    // As it is when the invoice is paid between the decision and its coming.
    let sql = "INSERT INTO reviews (area, kind, subject, summary, evidence, actions, opened_at, last_seen_at) \
               VALUES ('commissions', 'invoice-uncollectible', $1, '', '{\"ours\":null,\"theirs\":null}', \
                       '[{\"action\":\"void-invoice\",\"means\":\"\",\"parameters\":[]}]', now(), now()) RETURNING id";
    let id: i64 = sqlx::query_scalar(sql)
        .bind(subject(invoice))
        .fetch_one(fixture.database.pool())
        .await?;
    fixture
        .decide("ada", &json!({ "id": id }), "void-invoice", json!({}))
        .await?
        .expect(202)?;
    let review = fixture
        .review_reaches("invoice-uncollectible", &subject(invoice), "refused")
        .await?;
    ensure_eq!(review["refusal"], json!("the invoice is paid"));
    ensure_eq!(fixture.invoice_row(invoice).await?.status, "paid");
    Ok(())
}

async fn review_of_an_unknown_charge_looks_it_up_again(fixture: Arc<Fixture>) -> Result {
    let tester = with_card(&fixture, VISA).await?;
    let invoice = fixture.invoice(&tester, 1_000).await?;
    let stripe = fixture.cloud.stripe();
    stripe.fail_operation("create_payment_intent", Effect::Reset { after_doing: false }, 1)?;
    ensure!(!fixture.pay(invoice, now()).await?, "the outcome isn't known");
    // All look-ups but the last are behind it, and that one finds nothing out.
    let sql = "UPDATE invoice_payments SET lookups = 3, next_lookup_at = created_at, asked_until = NULL, \
               created_at = created_at - interval '2 days' WHERE invoice_id = $1";
    sqlx::query(sql)
        .bind(invoice)
        .execute(fixture.database.pool())
        .await?;
    let refusal = Effect::Refuse {
        status: 400,
        error_code: "parameter_unknown".to_owned(),
        message: "Received unknown parameter".to_owned(),
    };
    stripe.fail_operation("list_payment_intents", refusal, 100)?;
    // It can't compare either, and says so.
    ensure!(
        fixture.bill("reconcile_billing", now()).await.is_err(),
        "it listed"
    );
    ensure_eq!(statuses(&fixture.attempts(invoice).await?), ["unknown"]);
    let charge: i64 = sqlx::query_scalar("SELECT id FROM invoice_payments WHERE invoice_id = $1")
        .bind(invoice)
        .fetch_one(fixture.database.pool())
        .await?;
    let subject = format!("charge-{charge}");
    let review = fixture
        .review_reaches("charge-outcome-unknown", &subject, "open")
        .await?;
    stripe.clear_faults();
    fixture
        .decide("ada", &review, "look-up-again", json!({}))
        .await?
        .expect(202)?;
    fixture.invoice_reaches(invoice, "paid").await?;
    fixture
        .review_reaches("charge-outcome-unknown", &subject, "applied")
        .await?;
    eventually("it was charged once", async || {
        ensure_eq!(fixture.charged(invoice), 1);
        Ok(())
    })
    .await
}
