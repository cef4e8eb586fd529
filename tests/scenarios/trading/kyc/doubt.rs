//! A submission whose answer stays missing: it is left to a person, and goes on as the person rules.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, newcomer::Newcomer, scenarios};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::json;
use uuid::Uuid;

const KIND: &str = "kyc-submission-in-doubt";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(submission_that_never_arrived_is_made_anew_by_a_person),
        alone(user_that_the_broker_has_is_linked_by_a_person),
        alone(second_user_at_the_broker_is_left_to_a_person),
    ]
}

/// Somebody whose submission had no answer for four days, and is left to a person; gives the review's subject.
async fn in_doubt(fixture: &Fixture, is_done: bool) -> Result<(Newcomer, String)> {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(fixture, "Example").await?;
    let effect = Effect::Reset { after_doing: is_done };
    let lost = Fault::new("POST", "/users", effect).times(3);
    fixture.cloud.drivewealth().fault(lost);
    let submitted = newcomer.submit().await?.expect(202)?;
    ensure_eq!(submitted.body["status"], "processing");
    let old = "UPDATE kyc_forms SET submitted_at = now() - interval '4 days' WHERE profile_id = $1";
    fixture.database.change(old, newcomer.profile_id).await?;
    for _ in 0..2 {
        newcomer.submit().await?.expect_problem(409, "kyc-under-review")?;
    }
    let form = newcomer.form().await?;
    ensure_eq!(form["status"], "processing", "the form is still being checked");
    newcomer
        .put_form(&json!({ "last_name": "Other" }))
        .await?
        .expect_problem(409, "kyc-form-locked")?;
    let subject = format!("profile-{}", newcomer.profile_id);
    Ok((newcomer, subject))
}

/// What the reconciler does when everything is due.
async fn reconcile(fixture: &Fixture, newcomer: &Newcomer) -> Result {
    let due = "UPDATE kyc_forms SET asked_until = now() - interval '6 minutes' \
               WHERE profile_id = $1 AND submission_state = 'intended'";
    fixture.database.change(due, newcomer.profile_id).await?;
    let run = fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    ensure!(run.payload["taken_on"].as_i64() >= Some(1), "{}", run.payload);
    Ok(())
}

async fn submission_that_never_arrived_is_made_anew_by_a_person(fixture: Arc<Fixture>) -> Result {
    let (newcomer, subject) = in_doubt(&fixture, false).await?;
    let review = fixture.review_reaches(KIND, &subject, "open").await?;
    fixture
        .decide("ada", &review, "submit-anew", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    reconcile(&fixture, &newcomer).await?;
    newcomer.account_opens().await?;
    newcomer.broker_user(&fixture).await?;
    Ok(())
}

async fn user_that_the_broker_has_is_linked_by_a_person(fixture: Arc<Fixture>) -> Result {
    let other = fixture.customer().await?;
    let (newcomer, subject) = in_doubt(&fixture, true).await?;
    let user = newcomer.broker_user(&fixture).await?;
    let review = fixture.review_reaches(KIND, &subject, "open").await?;
    // Somebody else's user is refused, and the review stays open.
    let others: String = sqlx::query_scalar("SELECT ref_id FROM drivewealth_users WHERE profile_id = $1")
        .bind(other.customer.profile_id)
        .fetch_one(fixture.database.pool())
        .await?;
    fixture
        .decide("ada", &review, "link-user", json!({ "user_id": others }))
        .await?
        .expect(202)?;
    eventually("another's user is refused", async || {
        let review = fixture.review_of(KIND, &subject).await?;
        ensure!(!review["refusal"].is_null(), "{review}");
        ensure_eq!(review["state"], json!("open"));
        Ok(())
    })
    .await?;
    fixture
        .decide("ada", &review, "link-user", json!({ "user_id": user }))
        .await?
        .expect(202)?;
    fixture.review_reaches(KIND, &subject, "applied").await?;
    reconcile(&fixture, &newcomer).await?;
    newcomer.account_opens().await?;
    ensure_eq!(newcomer.broker_user(&fixture).await?, user);
    Ok(())
}

async fn second_user_at_the_broker_is_left_to_a_person(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Example").await?;
    // While the answer is on its way, somebody has linked another user, whom they believe to be the one.
    let late = Effect::Slow {
        for_ms: 3_000,
        done_first: true,
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/users", late));
    let ours = Uuid::new_v4().to_string();
    let linked = async {
        let made = eventually("the broker has made a user", async || {
            newcomer.broker_user(&fixture).await
        });
        let made = made.await?;
        let link = "INSERT INTO drivewealth_users (ref_id, profile_id, status) VALUES ($1, $2, 'APPROVED')";
        sqlx::query(link)
            .bind(&ours)
            .bind(newcomer.profile_id)
            .execute(fixture.database.pool())
            .await?;
        Ok::<_, anyhow::Error>(made)
    };
    let (submitted, made) = tokio::try_join!(newcomer.submit(), linked)?;
    submitted.expect(202)?;
    let subject = format!("profile-{}", newcomer.profile_id);
    let review = fixture
        .review_reaches("second-broker-user", &subject, "open")
        .await?;
    ensure_eq!(review["ours"]["user_id"], json!(ours), "{review}");
    ensure_eq!(review["theirs"]["user_id"], json!(made), "{review}");
    fixture
        .decide("ada", &review, "keep-user", json!({}))
        .await?
        .expect(202)?;
    fixture
        .review_reaches("second-broker-user", &subject, "applied")
        .await?;
    let kept: String = sqlx::query_scalar("SELECT ref_id FROM drivewealth_users WHERE profile_id = $1")
        .bind(newcomer.profile_id)
        .fetch_one(fixture.database.pool())
        .await?;
    ensure_eq!(kept, ours, "our user stays");
    Ok(())
}
