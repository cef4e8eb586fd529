//! The reconciler as the schedule runs it: what events never told is found, goes the usual way, and is reported.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{FAILED, Fixture, Result, SUCCEEDED, Scenario, Tester, broker, ensure_eq, scenarios};
use local_cloud::sandboxes::drivewealth::{Payment, status};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

const RECONCILER: &str = "reconcile_trading";
const FOREIGN: &str = "foreign-payment";

pub(crate) fn scenarios() -> Vec<Scenario> {
    // Each run looks at everybody, so that the scenarios run one after the other.
    scenarios![
        alone(outcome_of_lost_events_is_found),
        alone(return_that_no_event_reported_is_found),
        alone(redemption_that_no_event_reported_is_approved),
        alone(account_state_that_no_event_reported_is_found),
        alone(flow_that_lags_behind_its_payment_is_found),
        alone(current_status_at_the_broker_counts_though_its_time_is_old),
        alone(payment_of_another_amount_needs_review),
        alone(payment_that_the_broker_does_not_have_is_reported),
        alone(account_that_is_found_open_is_announced),
        alone(accounts_compared_longest_ago_come_first),
        alone(payment_that_no_flow_made_is_reported),
        alone(account_that_can_not_be_compared_stops_no_other),
        alone(flows_that_are_not_due_are_left_alone),
        alone(two_runs_at_once_and_an_event_count_once),
        alone(run_without_input_takes_the_schedules_input),
    ]
}

async fn reconcile(fixture: &Fixture, scope: &str) -> Result<Value> {
    let report = fixture.run(RECONCILER, json!({ "scope": scope })).await?.payload;
    ensure!(
        report["failed"] == 0 && report["not_compared"] == 0 && report["left_over"] == 0,
        "the report is {report}"
    );
    Ok(report)
}

fn newest_deposit(fixture: &Fixture, tester: &Tester) -> Result<Payment> {
    fixture
        .deposits_of(tester)
        .pop()
        .context("the broker has no deposit")
}

async fn outcome_of_lost_events_is_found(fixture: Arc<Fixture>) -> Result {
    // What earlier scenarios have left to be found is no part of the figures below.
    fixture.run(RECONCILER, json!({ "scope": "all" })).await?;
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let arrives = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    let arrived = newest_deposit(&fixture, &tester)?;
    let fails = tester.deposit(20_000).await?.expect(201)?.number("id")?;
    let failed = newest_deposit(&fixture, &tester)?;
    let leaves = tester.withdraw(30_000).await?.expect(201)?.number("id")?;
    let left = fixture
        .redemptions_of(&tester)
        .pop()
        .context("the broker has no redemption")?;
    let waits = tester.deposit(40_000).await?.expect(201)?.number("id")?;
    fixture
        .cloud
        .drivewealth()
        .advance(&arrived.id, status::SUCCESSFUL)?;
    fixture
        .cloud
        .drivewealth()
        .fail_with(&failed.id, status::REJECTED, "R01")?;
    fixture
        .cloud
        .drivewealth()
        .advance(&left.id, status::SUCCESSFUL)?;

    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(3), "{report}");
    ensure!(report["compared"].as_i64() >= Some(4), "the report is {report}");
    fixture.outbox_has(arrives, &SUCCEEDED).await?;
    fixture.outbox_has(fails, &FAILED).await?;
    fixture.outbox_has(leaves, &SUCCEEDED).await?;
    ensure_eq!(tester.flow(waits).await?["status"], json!("pending"));
    tester.feed_reaches(3).await?;
    ensure_eq!(tester.profile().await?["withdrawable_cash_cents"], json!(80_000));

    // Nothing is left to be found, and the events, when they come after all, tell nothing new.
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(0), "{report}");
    fixture.cloud.drivewealth().hold_events(false);
    fixture.cloud.drivewealth().release_events().await;
    fixture.queue_reaches("drivewealth-events", 0).await?;
    for (flow, told) in [
        (arrives, &SUCCEEDED[..]),
        (fails, &FAILED[..]),
        (leaves, &SUCCEEDED[..]),
    ] {
        fixture.outbox_has(flow, told).await?;
    }
    ensure_eq!(tester.feed().await?.len(), 3);
    Ok(())
}

async fn return_that_no_event_reported_is_found(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    tester.flow_reaches(id, "success").await?;
    // Banks take deposits back weeks later.
    let age = "UPDATE trading_money_flow SET settled_at = now() - interval '50 days' WHERE id = $1";
    fixture.database.change(age, id).await?;
    fixture.by_hand();
    let deposit = newest_deposit(&fixture, &tester)?;
    fixture.cloud.drivewealth().return_deposit(&deposit.id)?;
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(1), "{report}");
    let flow = tester.flow(id).await?;
    ensure_eq!(
        (&flow["status"], &flow["failure_code"]),
        (&json!("failed"), &json!("returned-by-bank"))
    );
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(true));
    tester.feed_reaches(3).await?;
    Ok(())
}

/// The approval that follows the answer fails and the event is lost: the look-up approves.
async fn redemption_that_no_event_reported_is_approved(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let reset = Effect::Reset { after_doing: false };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("PATCH", "/funding/redemptions", reset).times(3));
    let id = tester.withdraw(10_000).await?.expect(201)?.number("id")?;
    let redemption = fixture
        .redemptions_of(&tester)
        .pop()
        .context("the broker has no redemption")?;
    ensure_eq!(redemption.path, [status::RIA_PENDING]);
    ensure!(
        fixture.database.flow(id).await?.next_lookup_at.is_some(),
        "nobody looks after it"
    );
    fixture.database.make_due(id).await?;
    let report = reconcile(&fixture, "due").await?;
    ensure_eq!(report["looked_up"], json!(1), "{report}");
    let redemption = fixture
        .redemptions_of(&tester)
        .pop()
        .context("the broker has no redemption")?;
    ensure_eq!(redemption.path, [status::RIA_PENDING, status::RIA_APPROVED]);
    ensure_eq!(tester.flow(id).await?["status"], json!("approved"));
    Ok(())
}

async fn account_state_that_no_event_reported_is_found(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    tester.deposit(10_000).await?.expect(201)?;
    let account = &tester.customer.drivewealth_account_id;
    fixture
        .cloud
        .drivewealth()
        .set_account_status(account, "FROZEN")?;
    ensure_eq!(tester.profile().await?["account_status"], json!("open"));
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(1), "{report}");
    ensure_eq!(tester.profile().await?["account_status"], json!("frozen"));
    Ok(())
}

/// The payment is known to have arrived, and its flow is not: nothing differs between the two payments.
async fn flow_that_lags_behind_its_payment_is_found(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    let deposit = newest_deposit(&fixture, &tester)?;
    fixture
        .cloud
        .drivewealth()
        .advance(&deposit.id, status::SUCCESSFUL)?;
    let known = "UPDATE drivewealth_deposits SET status_code = 2, finality = 1, \
                 status_updated_at = now() + interval '1 hour' WHERE money_flow_id = $1";
    fixture.database.change(known, id).await?;
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(1), "{report}");
    ensure_eq!(tester.flow(id).await?["status"], json!("success"));
    fixture.outbox_has(id, &SUCCEEDED).await
}

/// The broker doesn't always give a redemption a new time when it is approved.
async fn current_status_at_the_broker_counts_though_its_time_is_old(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let id = tester.withdraw(10_000).await?.expect(201)?.number("id")?;
    ensure_eq!(tester.flow(id).await?["status"], json!("approved"));
    let waits = "WITH flow AS (UPDATE trading_money_flow SET status = 'pending' WHERE id = $1) \
                 UPDATE drivewealth_redemptions SET status_code = 11 WHERE money_flow_id = $1";
    ensure_eq!(fixture.database.change(waits, id).await?, 1);
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(1), "{report}");
    ensure_eq!(tester.flow(id).await?["status"], json!("approved"));
    Ok(())
}

async fn payment_of_another_amount_needs_review(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    let other = "UPDATE drivewealth_deposits SET amount_cents = 10001 WHERE money_flow_id = $1";
    fixture.database.change(other, id).await?;
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(0), "{report}");
    let flow = fixture.database.flow(id).await?;
    ensure_eq!(
        (flow.status.as_str(), flow.provider_state.as_str()),
        ("pending", "parked")
    );
    Ok(())
}

async fn payment_that_the_broker_does_not_have_is_reported(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    let before = reconcile(&fixture, "all").await?["missing"]
        .as_i64()
        .unwrap_or_default();
    let lost = "UPDATE drivewealth_deposits SET ref_id = ref_id || 'X' WHERE money_flow_id = $1";
    fixture.database.change(lost, id).await?;
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["missing"], json!(before + 1), "{report}");
    ensure_eq!(tester.flow(id).await?["status"], json!("pending"));
    Ok(())
}

async fn account_that_is_found_open_is_announced(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    tester.withdraw(10_000).await?.expect(201)?;
    let pending = "WITH account AS (UPDATE trading_accounts SET opened_at = NULL WHERE id = $1) \
                   UPDATE drivewealth_accounts SET status = 'pending', status_updated_at = now() - interval '1 day' \
                   WHERE trading_account_id = $1";
    fixture
        .database
        .change(pending, tester.customer.trading_account_id)
        .await?;
    for _ in 0..2 {
        reconcile(&fixture, "all").await?;
        ensure_eq!(tester.profile().await?["account_status"], json!("open"));
        let told = fixture
            .database
            .outbox_of_key(&format!("profile-{}", tester.customer.profile_id))
            .await?;
        let opened = told.iter().filter(|row| row.kind == "trading-account.opened");
        ensure_eq!(opened.count(), 2, "one for each listener");
    }
    Ok(())
}

async fn accounts_compared_longest_ago_come_first(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let testers = [fixture.customer().await?, fixture.customer().await?];
    for tester in &testers {
        tester.deposit(10_000).await?.expect(201)?;
    }
    let [new, old] = &testers;
    let ago = "UPDATE drivewealth_users SET reconciled_at = now() - interval '1 year' WHERE profile_id = $1";
    fixture.database.change(ago, old.customer.profile_id).await?;
    reconcile(&fixture, "all").await?;
    let earlier = "SELECT count(*) FROM drivewealth_users AS earlier JOIN drivewealth_users AS later \
                   ON earlier.reconciled_at < later.reconciled_at WHERE later.profile_id = $1";
    // Nobody had looked at the new one yet, so that it came before all others.
    ensure_eq!(
        fixture
            .database
            .count(
                "SELECT count(*) FROM drivewealth_users WHERE profile_id = $1 AND reconciled_at IS NOT NULL",
                new.customer.profile_id
            )
            .await?,
        1
    );
    let before_new = fixture.database.count(earlier, new.customer.profile_id).await?;
    let before_old = fixture.database.count(earlier, old.customer.profile_id).await?;
    ensure!(
        before_new < before_old,
        "{before_new} came before the new one, {before_old} before the old one"
    );
    Ok(())
}

async fn payment_that_no_flow_made_is_reported(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    tester.deposit(10_000).await?.expect(201)?;
    let before = reconcile(&fixture, "all").await?["foreign"]
        .as_i64()
        .unwrap_or_default();
    let deposit = broker::make_payment(&fixture, &tester, "/funding/deposits", 5_000).await?;
    let redemption = broker::make_payment(&fixture, &tester, "/funding/redemptions", 6_000).await?;
    fixture
        .cloud
        .drivewealth()
        .advance(&deposit, status::SUCCESSFUL)?;
    // Found every time, until a person has looked at it.
    for _ in 0..2 {
        let report = reconcile(&fixture, "all").await?;
        ensure_eq!(report["foreign"], json!(before + 2), "{report}");
        ensure_eq!(report["differences"], json!(0), "{report}");
    }
    let subject = format!("payment-{deposit}");
    let review = fixture.review_of(FOREIGN, &subject).await?;
    ensure_eq!(
        (&review["state"], &review["seen"]),
        (&json!("open"), &json!(2)),
        "{review}"
    );
    fixture
        .decide("operator", &review, "keep-payment", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(FOREIGN, &subject, "applied").await?;
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["foreign"], json!(before + 1), "{report}");
    let redemption = fixture
        .cloud
        .drivewealth()
        .payment(&redemption)
        .context("it is gone")?;
    ensure_eq!(redemption.path, [status::RIA_PENDING]);
    ensure_eq!(tester.flows().await?.len(), 1);
    Ok(())
}

async fn account_that_can_not_be_compared_stops_no_other(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let (broken, sound) = (fixture.customer().await?, fixture.customer().await?);
    let mut flows = Vec::new();
    for tester in [&broken, &sound] {
        flows.push(tester.deposit(10_000).await?.expect(201)?.number("id")?);
        let deposit = newest_deposit(&fixture, tester)?;
        fixture
            .cloud
            .drivewealth()
            .advance(&deposit.id, status::SUCCESSFUL)?;
    }
    let refuse = Effect::Refuse {
        status: 400,
        error_code: "E030".to_owned(),
        message: "user not found".to_owned(),
    };
    let path = format!("/users/{}/funding/deposits", broken.customer.drivewealth_user_id);
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("GET", &path, refuse));
    let report = fixture.run(RECONCILER, json!({ "scope": "all" })).await?.payload;
    ensure_eq!(
        (&report["not_compared"], &report["differences"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    ensure_eq!(broken.flow(flows[0]).await?["status"], json!("pending"));
    ensure_eq!(sound.flow(flows[1]).await?["status"], json!("success"));
    let report = reconcile(&fixture, "all").await?;
    ensure_eq!(report["differences"], json!(1), "{report}");
    ensure_eq!(broken.flow(flows[0]).await?["status"], json!("success"));
    Ok(())
}

async fn flows_that_are_not_due_are_left_alone(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let reset = Effect::Reset { after_doing: true };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/funding/deposits", reset).times(3));
    let id = tester.deposit(10_000).await?.expect(202)?.number("id")?;
    let report = reconcile(&fixture, "due").await?;
    ensure_eq!(report["looked_up"], json!(0), "{report}");
    let flow = fixture.database.flow(id).await?;
    ensure_eq!((flow.provider_state.as_str(), flow.lookups), ("unknown", 0));
    fixture.database.make_due(id).await?;
    let report = reconcile(&fixture, "due").await?;
    ensure_eq!(report["looked_up"], json!(1), "{report}");
    let flow = fixture.database.flow(id).await?;
    ensure_eq!(
        (flow.provider_state.as_str(), flow.next_lookup_at),
        ("accepted", None)
    );
    Ok(())
}

/// The event and the reconciler, which also runs by hand beside its schedule, tell the same at the same time.
async fn two_runs_at_once_and_an_event_count_once(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let id = tester.deposit(10_000).await?.expect(201)?.number("id")?;
    let deposit = newest_deposit(&fixture, &tester)?;
    fixture
        .cloud
        .drivewealth()
        .advance(&deposit.id, status::SUCCESSFUL)?;
    let events = fixture.cloud.drivewealth().events_of(&deposit.id);
    let (run, failed) = futures::future::join(
        fixture.run(RECONCILER, json!({ "scope": "all" })),
        fixture.deliver("apply_drivewealth_event", &events),
    )
    .await;
    run?;
    ensure_eq!(failed?, Vec::<usize>::new());
    fixture.outbox_has(id, &SUCCEEDED).await?;
    tester.feed_reaches(1).await?;
    Ok(())
}

async fn run_without_input_takes_the_schedules_input(fixture: Arc<Fixture>) -> Result {
    let result = fixture.cloud.run_schedule(RECONCILER, None).await?;
    ensure!(result.function_error.is_none(), "{:?}", result.function_error);
    ensure_eq!(result.payload["failed"], json!(0), "{}", result.payload);
    // A run that was asked for wrongly does nothing and says so.
    let result = fixture
        .cloud
        .run_schedule(RECONCILER, Some(json!({ "scope": "some" })))
        .await?;
    ensure!(result.function_error.is_some(), "it ran: {}", result.payload);
    Ok(())
}
