//! Withdrawals from outside: the way with our approval, the cash that is never exceeded, what is refused, and what
//! becomes of a withdrawal whose answer from the broker was lost.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, and a missing redemption fails the scenario"
)]

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::{
    FAILED, Fixture, Result, SUCCEEDED, Scenario, Tester, broker, ensure_eq, eventually, scenarios,
};
use futures::future::{join_all, try_join_all};
use local_cloud::sandboxes::drivewealth::{Payment, status};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::json;

const AT_THE_BROKER: &str = "/funding/redemptions";
const CASH_CENTS: i64 = 100_000;
const WHOLE_WAY: [i32; 5] = [
    status::RIA_PENDING,
    status::RIA_APPROVED,
    status::PENDING,
    status::APPROVED,
    status::SUCCESSFUL,
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        withdrawal_is_approved_and_arrives,
        // Twenty requests have the machine to themselves.
        alone(withdrawal_request_repeated_gets_the_same_answer),
        withdrawal_above_the_withdrawable_cash_is_refused_with_the_figure,
        unsettled_cash_can_not_be_withdrawn,
        account_without_new_trades_pays_out_and_a_frozen_one_does_not,
        accounts_of_others_are_not_found,
        redemption_that_no_flow_made_is_never_approved,
        alone(fifty_withdrawals_at_once_never_exceed_the_cash),
        alone(fifty_withdrawals_while_they_settle_never_exceed_the_cash),
        alone(failed_withdrawal_frees_what_it_held),
        alone(returned_withdrawal_is_in_the_account_again),
        alone(withdrawal_of_unknown_outcome_holds_its_cash_until_it_is_known),
        alone(withdrawal_that_needs_review_holds_its_cash),
        alone(redemption_of_a_declined_flow_is_never_approved),
        alone(event_for_approval_may_come_before_the_response),
        alone(response_may_come_before_the_events),
        alone(approval_that_fails_is_made_up_for_by_the_event),
    ]
}

fn only_redemption(fixture: &Fixture, tester: &Tester) -> Result<Payment> {
    let mut redemptions = fixture.redemptions_of(tester);
    ensure!(
        redemptions.len() == 1,
        "the broker has {} redemptions: {redemptions:?}",
        redemptions.len()
    );
    redemptions.pop().context("there is none")
}

async fn paid_out_once(fixture: &Fixture, tester: &Tester, flow: i64, amount_cents: i64) -> Result {
    tester.flow_reaches(flow, "success").await?;
    fixture.outbox_has(flow, &SUCCEEDED).await?;
    let feed = tester.feed_reaches(1).await?;
    ensure_eq!(feed[0]["title"], json!("Withdrawal sent"));
    let redemption = only_redemption(fixture, tester)?;
    ensure_eq!(redemption.path, WHOLE_WAY);
    ensure_eq!(fixture.cash_of(tester)?, CASH_CENTS - amount_cents);
    Ok(())
}

async fn withdrawal_is_approved_and_arrives(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let answer = tester.withdraw(12_500).await?.expect(201)?;
    ensure_eq!(answer.body["direction"], json!("withdrawal"));
    ensure_eq!(answer.body["amount_cents"], json!(12_500));
    let id = answer.number("id")?;
    paid_out_once(&fixture, &tester, id, 12_500).await?;
    ensure_eq!(fixture.database.flow(id).await?.amount_cents, -12_500);
    eventually("the profile follows", async || {
        let profile = tester.profile().await?;
        ensure!(profile["cash_cents"] == 87_500, "the profile is {profile}");
        ensure!(
            profile["withdrawable_cash_cents"] == 87_500,
            "the profile is {profile}"
        );
        ensure!(
            profile["pending_withdrawals_cents"] == 0,
            "the profile is {profile}"
        );
        Ok(())
    })
    .await
}

async fn withdrawal_request_repeated_gets_the_same_answer(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let requests = (0..20).map(|_| tester.withdraw_under("one-key", 70_000));
    let answers = try_join_all(requests).await?;
    for answer in &answers {
        ensure_eq!((answer.status, &answer.text), (201, &answers[0].text));
    }
    let other = tester.withdraw_under("one-key", 60_000).await?;
    other.expect_problem(422, "idempotency-key-reused")?;
    paid_out_once(&fixture, &tester, answers[0].number("id")?, 70_000).await
}

async fn withdrawal_above_the_withdrawable_cash_is_refused_with_the_figure(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let answer = tester
        .withdraw(CASH_CENTS + 1)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("1000.00"), "the figure is missing: {detail}");
    ensure_eq!(answer.body["errors"][0]["field"], json!("amount_cents"));
    ensure_eq!(tester.flows().await?.len(), 0);
    ensure_eq!(fixture.redemptions_of(&tester).len(), 0);
    tester.withdraw(CASH_CENTS).await?.expect(201)?;
    Ok(())
}

async fn unsettled_cash_can_not_be_withdrawn(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let account = &tester.customer.drivewealth_account_id;
    fixture
        .cloud
        .drivewealth()
        .set_cash(account, CASH_CENTS, 30_000)?;
    let answer = tester
        .withdraw(30_001)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("300.00"), "the figure is missing: {detail}");
    tester.withdraw(30_000).await?.expect(201)?;
    Ok(())
}

async fn account_without_new_trades_pays_out_and_a_frozen_one_does_not(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // The broker's sandbox takes payments of open accounts only; our own word is what this is about.
    let set = "UPDATE drivewealth_accounts SET status = 'open_no_new_trades' WHERE trading_account_id = $1";
    fixture
        .database
        .change(set, tester.customer.trading_account_id)
        .await?;
    tester
        .deposit(1_000)
        .await?
        .expect_problem(409, "trading-account-not-open")?;
    tester.withdraw(1_000).await?.expect(201)?;
    let set = "UPDATE drivewealth_accounts SET status = 'frozen' WHERE trading_account_id = $1";
    fixture
        .database
        .change(set, tester.customer.trading_account_id)
        .await?;
    tester
        .withdraw(1_000)
        .await?
        .expect_problem(409, "trading-account-not-open")?;
    let set = "UPDATE drivewealth_accounts SET status = 'SOMETHING_NEW' WHERE trading_account_id = $1";
    fixture
        .database
        .change(set, tester.customer.trading_account_id)
        .await?;
    tester
        .withdraw(1_000)
        .await?
        .expect_problem(409, "trading-account-not-open")?;
    only_redemption(&fixture, &tester)?;
    Ok(())
}

async fn accounts_of_others_are_not_found(fixture: Arc<Fixture>) -> Result {
    let (tester, other) = (fixture.customer().await?, fixture.customer().await?);
    let fields = [
        (
            "trading_account_id",
            "trading-account-not-found",
            other.customer.trading_account_id,
        ),
        (
            "bank_account_id",
            "bank-account-not-found",
            other.customer.bank_account_id,
        ),
    ];
    for (field, code, of_other) in fields {
        let mut answers = Vec::new();
        for id in [of_other, 999_999_999] {
            let mut body = tester.request(1_000);
            body[field] = json!(id);
            let key = format!("{field}-{id}");
            let answer = tester.api.post("/trading/withdrawals", &key, &body).await?;
            answers.push(answer.expect_problem(404, code)?.text);
        }
        ensure_eq!(answers[0], answers[1], "another's {field} answers like none");
    }
    ensure_eq!(
        fixture.redemptions_of(&tester).len() + fixture.redemptions_of(&other).len(),
        0
    );
    Ok(())
}

/// Somebody else makes a redemption at the broker, for one of our accounts.
async fn redemption_that_no_flow_made_is_never_approved(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = broker::make_payment(&fixture, &tester, AT_THE_BROKER, 9_900).await?;
    let payment = fixture
        .cloud
        .drivewealth()
        .payment(&id)
        .context("the payment is gone")?;
    let event = payment.events[0]["id"].as_str().unwrap_or_default();
    eventually("the event is taken", async || {
        ensure!(fixture.database.inbox(event).await?.is_some(), "not yet");
        Ok(())
    })
    .await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "all" }))
        .await?;
    let payment = fixture
        .cloud
        .drivewealth()
        .payment(&id)
        .context("the payment is gone")?;
    ensure_eq!(payment.path, [status::RIA_PENDING]);
    ensure_eq!(tester.flows().await?.len(), 0);
    ensure_eq!(tester.feed().await?.len(), 0);
    Ok(())
}

async fn fifty_withdrawals_at_once_never_exceed_the_cash(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let before = fixture.cloud.drivewealth().counters().redemptions_without_cash;
    let answers = try_join_all((0..50).map(|_| tester.withdraw(3_000))).await?;
    let passed = answers.iter().filter(|answer| answer.status == 201).count();
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.expect_problem(409, "insufficient-funds")?;
    }
    // As many as fit: 33 × $30.00 of $1,000.00.
    ensure_eq!(passed, 33);
    let redemptions = fixture.redemptions_of(&tester);
    ensure_eq!(redemptions.len(), 33);
    let sum: i64 = redemptions
        .iter()
        .map(|redemption| redemption.amount_cents.abs())
        .sum();
    ensure_eq!(sum, 99_000);
    ensure_eq!(
        fixture.cloud.drivewealth().counters().redemptions_without_cash,
        before
    );
    ensure_eq!(tester.profile().await?["withdrawable_cash_cents"], json!(1_000));
    tester
        .withdraw(1_001)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    tester.withdraw(1_000).await?.expect(201)?;
    Ok(())
}

/// The broker's cash falls while others still reserve it: what settles meanwhile may be counted twice, but never not.
async fn fifty_withdrawals_while_they_settle_never_exceed_the_cash(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let pace = std::time::Duration::from_millis(5);
    fixture.cloud.drivewealth().auto_advance(Some(pace));
    let answers = try_join_all((0..50).map(|_| tester.withdraw(3_000))).await?;
    for answer in answers {
        ensure!(
            matches!(answer.status, 201 | 409),
            "{} {}",
            answer.status,
            answer.text
        );
    }
    let redemptions = fixture.redemptions_of(&tester);
    let sum: i64 = redemptions
        .iter()
        .map(|redemption| redemption.amount_cents.abs())
        .sum();
    ensure!(
        (30_000..=CASH_CENTS).contains(&sum),
        "redemptions of {sum} cents from {CASH_CENTS}"
    );
    for flow in tester.flows().await? {
        tester
            .flow_reaches(flow["id"].as_i64().unwrap_or_default(), "success")
            .await?;
    }
    ensure_eq!(fixture.cash_of(&tester)?, CASH_CENTS - sum);
    Ok(())
}

async fn failed_withdrawal_frees_what_it_held(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.drivewealth().auto_advance(None);
    let tester = fixture.customer().await?;
    let id = tester.withdraw(80_000).await?.expect(201)?.number("id")?;
    tester
        .withdraw(20_001)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    let redemption = only_redemption(&fixture, &tester)?;
    fixture
        .cloud
        .drivewealth()
        .fail_with(&redemption.id, status::FAILED, "R03 no account")?;
    let flow = tester.flow_reaches(id, "failed").await?;
    ensure_eq!(flow["failure_code"], json!("declined-by-bank-or-broker"));
    fixture.outbox_has(id, &FAILED).await?;
    ensure_eq!(
        tester.feed_reaches(1).await?[0]["title"],
        json!("Withdrawal failed")
    );
    tester.withdraw(CASH_CENTS).await?.expect(201)?;
    Ok(())
}

async fn returned_withdrawal_is_in_the_account_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let id = tester.withdraw(80_000).await?.expect(201)?.number("id")?;
    paid_out_once(&fixture, &tester, id, 80_000).await?;
    let redemption = only_redemption(&fixture, &tester)?;
    fixture
        .cloud
        .drivewealth()
        .fail_with(&redemption.id, status::RETURNED, "R03 no account")?;
    let flow = tester.flow_reaches(id, "failed").await?;
    ensure_eq!(flow["failure_code"], json!("returned-by-bank"));
    let mut both = [&FAILED[..], &SUCCEEDED[..], &SUCCEEDED[2..]].concat();
    both.sort_unstable();
    fixture.outbox_has(id, &both).await?;
    ensure_eq!(
        tester.feed_reaches(2).await?[0]["title"],
        json!("Withdrawal failed")
    );
    // A withdrawal that comes back says nothing about the customer's deposits.
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    ensure_eq!(fixture.cash_of(&tester)?, CASH_CENTS);
    tester.withdraw(CASH_CENTS).await?.expect(201)?;
    Ok(())
}

/// The ways in which an answer is lost though the redemption is made.
fn lose_answers(fixture: &Fixture, rounds: usize) {
    let losses = [
        Effect::Hang {
            for_ms: 300,
            after_doing: true,
        },
        Effect::Reset { after_doing: true },
        Effect::FailAfter { status: 500 },
        Effect::Truncate,
    ];
    for effect in std::iter::repeat_n(losses, rounds).flatten() {
        fixture
            .cloud
            .drivewealth()
            .fault(Fault::new("POST", AT_THE_BROKER, effect));
    }
}

/// The redemption is there, its answer never came: nobody approves it and nobody else gets its cash, until the same
/// request or the reconciler has found out.
async fn withdrawal_of_unknown_outcome_holds_its_cash_until_it_is_known(fixture: Arc<Fixture>) -> Result {
    let testers = try_join_all((0..4).map(|_| fixture.customer())).await?;
    lose_answers(&fixture, 3);
    let answers = join_all(testers.iter().map(|tester| tester.withdraw_under("key", 60_000))).await;
    let mut ids = Vec::new();
    for (tester, answer) in testers.iter().zip(answers) {
        ids.push(answer?.expect(202)?.number("id")?);
        ensure_eq!(only_redemption(&fixture, tester)?.path, [status::RIA_PENDING]);
        tester
            .withdraw(40_001)
            .await?
            .expect_problem(409, "insufficient-funds")?;
    }
    for ((index, tester), id) in testers.iter().enumerate().zip(ids) {
        if index % 2 == 0 {
            tester.withdraw_under("key", 60_000).await?.expect(201)?;
        } else {
            fixture.database.make_due(id).await?;
            fixture
                .run("reconcile_trading", json!({ "scope": "due" }))
                .await?;
        }
        paid_out_once(&fixture, tester, id, 60_000).await?;
    }
    Ok(())
}

async fn withdrawal_that_needs_review_holds_its_cash(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let hang = Effect::Reset { after_doing: false };
    let lose = |fixture: &Fixture| {
        let fault = Fault::new("POST", AT_THE_BROKER, hang.clone());
        fixture.cloud.drivewealth().fault(fault.times(3));
    };
    lose(&fixture);
    let id = tester
        .withdraw_under("key", 60_000)
        .await?
        .expect(202)?
        .number("id")?;
    fixture
        .database
        .change("UPDATE trading_money_flow SET lookups = 2 WHERE id = $1", id)
        .await?;
    fixture.database.make_due(id).await?;
    lose(&fixture);
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    let flow = fixture.database.flow(id).await?;
    ensure_eq!(
        (flow.status.as_str(), flow.provider_state.as_str()),
        ("pending", "parked")
    );
    ensure_eq!(flow.next_lookup_at, None);
    ensure_eq!(tester.flow(id).await?["status"], json!("pending"));
    let answer = tester
        .withdraw(40_001)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("400.00"), "the figure is missing: {detail}");
    ensure_eq!(fixture.redemptions_of(&tester).len(), 0);
    ensure_eq!(fixture.database.outbox_of_flow(id).await?, Vec::new());
    Ok(())
}

/// The broker's event that asks for approval is taken while its answer, which tells whose it is, is still out.
/// The flow is written down as declined while the broker makes its redemption.
async fn redemption_of_a_declined_flow_is_never_approved(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let slow = Effect::Hang {
        for_ms: 4_000,
        after_doing: true,
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, slow));
    let declined = async {
        eventually("the redemption is made", async || {
            only_redemption(&fixture, &tester)
        })
        .await?;
        let decline = "UPDATE trading_money_flow SET provider_state = 'declined', status = 'failed', \
                       settled_at = now() WHERE profile_id = $1";
        fixture.database.change(decline, tester.customer.profile_id).await
    };
    let (answer, declined) = futures::future::join(tester.withdraw(10_000), declined).await;
    declined?;
    let answer = answer?.expect(202)?;
    ensure_eq!(answer.body["under_review"], json!(true));
    // Nor is it approved when its event comes.
    fixture.cloud.drivewealth().release_events().await;
    fixture.queue_reaches("drivewealth-events", 0).await?;
    ensure_eq!(only_redemption(&fixture, &tester)?.path, [status::RIA_PENDING]);
    let flow = fixture.database.flow(answer.number("id")?).await?;
    ensure_eq!(flow.provider_state, "parked");
    Ok(())
}

async fn event_for_approval_may_come_before_the_response(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let hang = Effect::Hang {
        for_ms: 4_000,
        after_doing: true,
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, hang));
    let told = async {
        eventually("the event is taken while the answer is still out", async || {
            let redemption = only_redemption(&fixture, &tester)?;
            let event = redemption.events[0]["id"].as_str().unwrap_or_default();
            ensure!(fixture.database.inbox(event).await?.is_some(), "not taken yet");
            Ok(())
        })
        .await?;
        ensure_eq!(only_redemption(&fixture, &tester)?.path, [status::RIA_PENDING]);
        let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
        ensure_eq!(flows[0].provider_state, "intended", "the answer is still out");
        Ok(())
    };
    let (answer, told) = futures::future::join(tester.withdraw(8_000), told).await;
    told?;
    paid_out_once(&fixture, &tester, answer?.expect(201)?.number("id")?, 8_000).await
}

async fn response_may_come_before_the_events(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    fixture.cloud.drivewealth().hold_events(true);
    let id = tester.withdraw(8_100).await?.expect(201)?.number("id")?;
    eventually("the broker is done", async || {
        let redemption = only_redemption(&fixture, &tester)?;
        ensure!(redemption.settled, "it is {redemption:?}");
        Ok(())
    })
    .await?;
    ensure!(
        tester.flow(id).await?["status"] != "success",
        "told before the events"
    );
    fixture.cloud.drivewealth().release_events().await;
    paid_out_once(&fixture, &tester, id, 8_100).await
}

/// The broker refuses the approval that follows the answer; the event comes and it is approved then.
async fn approval_that_fails_is_made_up_for_by_the_event(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    fixture.cloud.drivewealth().hold_events(true);
    let busy = Effect::Reset { after_doing: false };
    let fault = Fault::new("PATCH", AT_THE_BROKER, busy);
    fixture.cloud.drivewealth().fault(fault.times(3));
    let id = tester.withdraw(8_200).await?.expect(201)?.number("id")?;
    ensure_eq!(only_redemption(&fixture, &tester)?.path, [status::RIA_PENDING]);
    let due = fixture.database.flow(id).await?.next_lookup_at;
    ensure!(due.is_some(), "nobody looks after the approval");
    fixture.cloud.drivewealth().hold_events(false);
    fixture.cloud.drivewealth().release_events().await;
    paid_out_once(&fixture, &tester, id, 8_200).await
}
