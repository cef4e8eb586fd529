//! Submitting the form, the broker's verdict, and the way to an open account.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, newcomer::Newcomer, scenarios};
use futures::future::join_all;
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        newcomer_is_approved_and_gets_an_open_account,
        form_that_is_not_whole_is_refused_with_all_that_it_lacks,
        submissions_at_once_make_one_user,
        address_that_does_not_match_is_corrected_and_sent_again,
        denied_person_may_try_again,
        manual_review_with_errors_asks_for_corrections,
        by_hand(verdicts_in_any_order_and_twice_end_in_the_newest),
        alone(way_that_no_event_takes_on_is_taken_on_by_the_reconciler),
        alone(account_that_opens_late_gets_its_portfolio),
        alone(events_that_were_only_kept_are_handled_once),
        alone(lost_answers_of_every_step_leave_nothing_twice),
        alone(form_that_the_broker_refuses_may_be_corrected_and_sent_again),
        alone(form_that_never_reached_the_broker_stays_open),
    ]
}

/// How many things the broker has of the person, as (accounts, portfolios).
fn made(fixture: &Fixture, newcomer: &Newcomer, user: &str) -> (usize, usize) {
    let drivewealth = fixture.cloud.drivewealth();
    let name = newcomer.profile_id.to_string();
    let portfolios = drivewealth
        .portfolios()
        .into_iter()
        .filter(|portfolio| portfolio.client_id == name);
    (drivewealth.accounts_of(user).len(), portfolios.count())
}

async fn count(fixture: &Fixture, sql: &'static str, newcomer: &Newcomer) -> Result<i64> {
    fixture.database.count(sql, newcomer.profile_id).await
}

const EVENTS: &str = "SELECT count(*) FROM outbox_messages WHERE destination = 'domain-events' \
     AND kind IN ('kyc.status-changed', 'trading-account.opened') AND (payload -> 'data' ->> 'profile_id')::BIGINT = $1";

async fn newcomer_is_approved_and_gets_an_open_account(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer
        .api
        .get("/trading/profile")
        .await?
        .expect_problem(404, "no-trading-account")?;
    newcomer.fill_in(&fixture, "Example").await?;
    let submitted = newcomer.submit().await?.expect(202)?;
    ensure!(
        ["processing", "approved"].contains(&submitted.body["status"].as_str().unwrap_or_default()),
        "{}",
        submitted.text
    );
    newcomer.status_reaches("approved").await?;
    let profile = newcomer.account_opens().await?;
    ensure_eq!(profile["kyc_status"], "approved");
    let user = newcomer.broker_user(&fixture).await?;
    eventually("the account follows a portfolio", async || {
        ensure_eq!(made(&fixture, &newcomer, &user), (1, 1));
        let account = fixture.cloud.drivewealth().accounts_of(&user);
        let account = account
            .first()
            .and_then(|id| fixture.cloud.drivewealth().account(id));
        let account = account.context("no account")?;
        let known: String = sqlx::query_scalar(
            "SELECT ref_id FROM drivewealth_portfolios WHERE is_assigned AND drivewealth_account_id = $1",
        )
        .bind(&account.id)
        .fetch_one(fixture.database.pool())
        .await?;
        ensure_eq!(account.portfolio_id, known);
        Ok(())
    })
    .await?;
    ensure_eq!(
        count(&fixture, EVENTS, &newcomer).await?,
        2,
        "one for the verdict, one for the account"
    );
    ensure_eq!(
        newcomer.form().await?["form"]["tax_id_value"],
        Value::Null,
        "the tax id is erased"
    );
    newcomer.submit().await?.expect_problem(409, "kyc-form-locked")?;
    Ok(())
}

async fn form_that_is_not_whole_is_refused_with_all_that_it_lacks(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    let refused = newcomer
        .submit()
        .await?
        .expect_problem(422, "incomplete-kyc-form")?;
    ensure_eq!(refused.body["errors"].as_array().map(Vec::len), Some(33));
    let form = end_to_end::newcomer::whole_form(&newcomer.phone, "Example");
    newcomer.put_form(&form).await?.expect(200)?;
    let no_consent = json!({ "disclosures_rule14b": false });
    newcomer.put_form(&no_consent).await?.expect(200)?;
    let refused = newcomer
        .submit()
        .await?
        .expect_problem(422, "incomplete-kyc-form")?;
    let fields: Vec<_> = refused.body["errors"].as_array().into_iter().flatten().collect();
    let fields: Vec<_> = fields
        .iter()
        .filter_map(|error| error["field"].as_str())
        .collect();
    ensure_eq!(fields, ["disclosures_rule14b", "phone_number"]);
    Ok(())
}

async fn submissions_at_once_make_one_user(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Example").await?;
    let answers = join_all((0..8).map(|_| newcomer.submit())).await;
    let mut accepted = 0;
    for answer in answers {
        let answer = answer?;
        ensure!(
            [202, 409].contains(&answer.status),
            "{} {}",
            answer.status,
            answer.text
        );
        accepted += usize::from(answer.status == 202);
    }
    ensure!(accepted > 0, "nobody came through");
    newcomer.account_opens().await?;
    let user = newcomer.broker_user(&fixture).await?;
    ensure_eq!(made(&fixture, &newcomer, &user).0, 1, "accounts");
    Ok(())
}

async fn address_that_does_not_match_is_corrected_and_sent_again(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "ADDRESS_NOT_MATCH").await?;
    newcomer.submit().await?.expect(202)?;
    newcomer.status_reaches("info_required").await?;
    let check = newcomer.check().await?;
    let error = &check["errors"][0];
    ensure_eq!(
        (&error["code"], &error["remedy"]),
        (&json!("ADDRESS_NOT_MATCH"), &json!("correct"))
    );
    ensure!(
        error["fields"]
            .as_array()
            .is_some_and(|fields| fields.contains(&json!("address_street1"))),
        "{check}"
    );
    let corrected = json!({ "last_name": "Example", "address_street1": "1 Other Street" });
    newcomer.put_form(&corrected).await?.expect(200)?;
    let submitted = newcomer.submit().await?.expect(202)?;
    ensure_eq!(
        submitted.body["errors"],
        json!([]),
        "what an earlier check has found is no news"
    );
    newcomer.account_opens().await?;
    newcomer.broker_user(&fixture).await?;
    Ok(())
}

async fn denied_person_may_try_again(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Denied").await?;
    for _ in 0..2 {
        newcomer.submit().await?.expect(202)?;
        newcomer.status_reaches("denied").await?;
    }
    let denials = "SELECT count(*) FROM outbox_messages WHERE destination = 'domain-events' \
         AND kind = 'kyc.status-changed' AND (payload -> 'data' ->> 'profile_id')::BIGINT = $1";
    ensure_eq!(
        count(&fixture, denials, &newcomer).await?,
        2,
        "each denial is told"
    );
    newcomer
        .put_form(&json!({ "last_name": "Example" }))
        .await?
        .expect(200)?;
    newcomer.submit().await?.expect(202)?;
    newcomer.account_opens().await?;
    newcomer.broker_user(&fixture).await?;
    Ok(())
}

async fn manual_review_with_errors_asks_for_corrections(fixture: Arc<Fixture>) -> Result {
    let reviewed = fixture.newcomer().await?;
    reviewed.fill_in(&fixture, "Manual Review").await?;
    reviewed.submit().await?.expect(202)?;
    reviewed.status_reaches("manual_review").await?;
    reviewed
        .put_form(&json!({ "last_name": "Example" }))
        .await?
        .expect_problem(409, "kyc-form-locked")?;
    let listed = fixture.newcomer().await?;
    listed.fill_in(&fixture, "SANCTION_OFAC").await?;
    listed.submit().await?.expect(202)?;
    listed.status_reaches("info_required").await?;
    ensure_eq!(listed.check().await?["errors"][0]["remedy"], "support");
    Ok(())
}

/// A newcomer whose check is under way, with everything by hand.
async fn submitted(fixture: &Fixture) -> Result<(Newcomer, String)> {
    fixture.by_hand();
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(fixture, "Example").await?;
    newcomer.submit().await?.expect(202)?;
    newcomer.status_reaches("processing").await?;
    let user = newcomer.broker_user(fixture).await?;
    Ok((newcomer, user))
}

fn kyc_event(user: &str) -> Value {
    json!({
        "id": format!("event_{}", Uuid::now_v7()), "type": "kyc.updated", "timestamp": chrono::Utc::now(),
        "payload": { "userID": user, "current": { "status": "KYC_DENIED", "details": ["SSN_NOT_MATCH"] } },
    })
}

async fn verdicts_in_any_order_and_twice_end_in_the_newest(fixture: Arc<Fixture>) -> Result {
    let (newcomer, user) = submitted(&fixture).await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.set_kyc(&user, "KYC_DOC_REQUIRED", &["POOR_PHOTO_QUALITY"])?;
    // What the event says isn't what counts: the broker is asked.
    let event = kyc_event(&user);
    fixture
        .deliver("apply_drivewealth_event", &[event.clone(), event])
        .await?;
    newcomer.status_reaches("doc_required").await?;
    drivewealth.set_kyc(&user, "KYC_APPROVED", &[])?;
    let events = [kyc_event(&user), kyc_event(&user)];
    fixture.deliver("apply_drivewealth_event", &events).await?;
    newcomer.status_reaches("approved").await?;
    let failed = fixture
        .deliver("apply_drivewealth_event", &[kyc_event(&user)])
        .await?;
    ensure_eq!(failed, [0_usize; 0]);
    let rows = "SELECT count(*) FROM kyc_statuses WHERE profile_id = $1";
    let reports = count(&fixture, rows, &newcomer).await?;
    ensure!((2..=3).contains(&reports), "{reports} reports");
    Ok(())
}

async fn way_that_no_event_takes_on_is_taken_on_by_the_reconciler(fixture: Arc<Fixture>) -> Result {
    let (newcomer, user) = submitted(&fixture).await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.decide(&user)?;
    for step in ["an account", "the open account with a portfolio"] {
        take_on(&fixture, &user).await.context(step)?;
        for account in drivewealth.accounts_of(&user) {
            drivewealth.set_account_status(&account, "OPEN")?;
        }
    }
    newcomer.account_opens().await?;
    ensure_eq!(made(&fixture, &newcomer, &user), (1, 1));
    let left = "SELECT count(*) FROM drivewealth_users WHERE profile_id = $1 AND next_step_at IS NOT NULL";
    ensure_eq!(
        count(&fixture, left, &newcomer).await?,
        0,
        "nothing is left to do"
    );
    Ok(())
}

/// The user's next step is due, and the reconciler takes it.
async fn take_on(fixture: &Fixture, user: &str) -> Result {
    sqlx::query("UPDATE drivewealth_users SET next_step_at = now() - interval '1 second' WHERE ref_id = $1")
        .bind(user)
        .execute(fixture.database.pool())
        .await?;
    let report = fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    ensure!(
        report.payload["taken_on"].as_i64() >= Some(1),
        "{}",
        report.payload
    );
    Ok(())
}

/// It is frozen before anybody has seen it open.
async fn account_that_opens_late_gets_its_portfolio(fixture: Arc<Fixture>) -> Result {
    let (newcomer, user) = submitted(&fixture).await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.decide(&user)?;
    take_on(&fixture, &user).await?;
    let accounts = drivewealth.accounts_of(&user);
    let account = accounts.first().context("no account")?;
    drivewealth.set_account_status(account, "FROZEN")?;
    take_on(&fixture, &user).await?;
    ensure_eq!(made(&fixture, &newcomer, &user), (1, 0));
    drivewealth.set_account_status(account, "OPEN")?;
    let event = json!({
        "id": format!("event_{}", Uuid::now_v7()), "type": "accounts.updated", "timestamp": chrono::Utc::now(),
        "payload": { "accountID": account, "current": { "status": { "name": "OPEN" } } },
    });
    let failed = fixture.deliver("apply_drivewealth_event", &[event]).await?;
    ensure_eq!(failed, [0_usize; 0]);
    newcomer.account_opens().await?;
    ensure_eq!(made(&fixture, &newcomer, &user), (1, 1));
    Ok(())
}

async fn events_that_were_only_kept_are_handled_once(fixture: Arc<Fixture>) -> Result {
    let (newcomer, user) = submitted(&fixture).await?;
    fixture.cloud.drivewealth().decide(&user)?;
    let id = format!("event_{}", Uuid::now_v7());
    sqlx::query(
        "INSERT INTO inbox_events (source, event_id, kind, occurred_at, payload, received_at, is_unhandled) \
         VALUES ('drivewealth', $1, 'users.updated', now(), $2, now(), true)",
    )
    .bind(&id)
    .bind(json!({ "userID": user }))
    .execute(fixture.database.pool())
    .await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    newcomer.status_reaches("approved").await?;
    let kept: bool = sqlx::query_scalar("SELECT is_unhandled FROM inbox_events WHERE event_id = $1")
        .bind(&id)
        .fetch_one(fixture.database.pool())
        .await?;
    ensure!(!kept, "the event is still kept");
    Ok(())
}

/// The broker does it, and its answer is lost as often as it is asked.
fn lost(method: &str, path: &str) -> Fault {
    Fault::new(method, path, Effect::Reset { after_doing: true }).times(3)
}

async fn lost_answers_of_every_step_leave_nothing_twice(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Example").await?;
    let drivewealth = fixture.cloud.drivewealth();
    drivewealth.fault(lost("POST", "/users"));
    let submitted = newcomer.submit().await?.expect(202)?;
    ensure_eq!(submitted.body["status"], "processing");
    newcomer
        .put_form(&json!({ "last_name": "Other" }))
        .await?
        .expect_problem(409, "kyc-form-locked")?;
    drivewealth.fault(lost("POST", "/accounts"));
    drivewealth.fault(lost("POST", "/managed/portfolios"));
    drivewealth.fault(lost("PATCH", "/accounts"));
    // The key alone is enough: the list of all customers' portfolios may be too long to be read.
    let too_long = Effect::Reset { after_doing: false };
    drivewealth.fault(Fault::new("GET", "/users/*/managed/portfolio", too_long).times(1_000));
    newcomer.submit().await?.expect(202)?;
    newcomer.account_opens().await?;
    let user = newcomer.broker_user(&fixture).await?;
    let done = "SELECT count(*) FROM drivewealth_users JOIN drivewealth_accounts \
         ON drivewealth_user_id = drivewealth_users.ref_id JOIN drivewealth_portfolios \
         ON drivewealth_account_id = drivewealth_accounts.ref_id WHERE is_assigned AND profile_id = $1";
    eventually("every step is taken", async || {
        ensure_eq!(count(&fixture, done, &newcomer).await?, 1);
        Ok(())
    })
    .await?;
    drivewealth.clear_faults();
    ensure_eq!(made(&fixture, &newcomer, &user), (1, 1));
    Ok(())
}

async fn form_that_the_broker_refuses_may_be_corrected_and_sent_again(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Example").await?;
    let effect = Effect::Refuse {
        status: 400,
        error_code: "A035".to_owned(),
        message: "fields are missing".to_owned(),
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/users", effect));
    newcomer.submit().await?.expect_problem(422, "kyc-form-refused")?;
    newcomer
        .put_form(&json!({ "address_city": "Boston" }))
        .await?
        .expect(200)?;
    newcomer.submit().await?.expect(202)?;
    newcomer.account_opens().await?;
    newcomer.broker_user(&fixture).await?;
    Ok(())
}

async fn form_that_never_reached_the_broker_stays_open(fixture: Arc<Fixture>) -> Result {
    let newcomer = fixture.newcomer().await?;
    newcomer.fill_in(&fixture, "Example").await?;
    let effect = Effect::RateLimit { retry_after_s: 60 };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/users", effect));
    newcomer.submit().await?.expect(503)?;
    ensure_eq!(newcomer.form().await?["status"], "not_ready");
    newcomer.submit().await?.expect(202)?;
    newcomer.account_opens().await?;
    Ok(())
}
