//! What becomes of a deposit whose answer from the broker was lost, or comes in another order than its events.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Fixture, Result, Scenario, Tester, ensure_eq, eventually, scenarios};
use futures::future::{join, join_all, try_join_all};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::json;

use super::{arrived_once, only_deposit};

const AT_THE_BROKER: &str = "/funding/deposits";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(deposit_whose_response_was_lost_once_is_requested_again),
        alone(deposit_whose_response_comes_after_the_timeout_is_requested_again),
        alone(broker_that_asks_for_a_pause_gets_it),
        alone(repeated_request_finds_the_outcome_of_the_deposit),
        alone(refusal_that_may_concern_an_earlier_attempt_declines_nothing),
        alone(refusal_after_the_first_process_died_declines_nothing),
        alone(refusal_that_is_no_fault_of_the_customer_declines_nothing),
        alone(requests_at_once_ask_the_broker_one_at_a_time),
        alone(payment_of_a_declined_deposit_needs_review),
        alone(reconciler_finds_the_outcome_of_the_deposit),
        alone(deposit_stays_pending_while_the_broker_is_out_of_reach),
        alone(broker_session_that_ends_meanwhile_is_renewed),
        alone(deposit_that_stays_unknown_needs_review),
        alone(key_that_the_broker_may_have_forgotten_is_not_used_again),
        alone(event_may_come_before_the_response),
        alone(response_may_come_before_the_events),
    ]
}

/// The ways in which an answer is lost though the deposit is made.
fn losses() -> [Effect; 4] {
    [
        Effect::Hang {
            for_ms: 300,
            after_doing: true,
        },
        Effect::Reset { after_doing: true },
        Effect::FailAfter { status: 500 },
        Effect::Truncate,
    ]
}

/// Loses the next answers to deposits, each in one of the ways in turn.
fn lose_answers(fixture: &Fixture, rounds: usize) {
    for effect in std::iter::repeat_n(losses(), rounds).flatten() {
        fixture
            .cloud
            .drivewealth()
            .fault(Fault::new("POST", AT_THE_BROKER, effect));
    }
}

async fn deposit_whose_response_was_lost_once_is_requested_again(fixture: Arc<Fixture>) -> Result {
    let testers = try_join_all(losses().map(|_| fixture.customer())).await?;
    lose_answers(&fixture, 1);
    let answers = join_all(testers.iter().map(|tester| tester.deposit(4_200))).await;
    for (tester, answer) in testers.iter().zip(answers) {
        let id = answer?.expect(201)?.number("id")?;
        arrived_once(&fixture, tester, id, 4_200).await?;
    }
    Ok(())
}

async fn deposit_whose_response_comes_after_the_timeout_is_requested_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // Longer than the 5 s that one attempt waits.
    let slow = Effect::Hang {
        for_ms: 6_000,
        after_doing: true,
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, slow));
    let id = tester.deposit(4_300).await?.expect(201)?.number("id")?;
    arrived_once(&fixture, &tester, id, 4_300).await
}

async fn broker_that_asks_for_a_pause_gets_it(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let limited = Effect::RateLimit { retry_after_s: 0 };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, limited).times(2));
    let id = tester.deposit(4_400).await?.expect(201)?.number("id")?;
    arrived_once(&fixture, &tester, id, 4_400).await
}

/// Four deposits whose answers are lost three times each, which is as often as a request asks.
async fn unknown_deposits(fixture: &Fixture) -> Result<Vec<(Tester, i64)>> {
    let testers = try_join_all(losses().map(|_| fixture.customer())).await?;
    lose_answers(fixture, 3);
    let answers = join_all(testers.iter().map(|tester| tester.deposit_under("key", 5_000))).await;
    let mut unknown = Vec::new();
    for (tester, answer) in testers.into_iter().zip(answers) {
        let answer = answer?.expect(202)?;
        ensure_eq!(answer.body["status"], json!("pending"));
        let id = answer.number("id")?;
        ensure_eq!(fixture.database.flow(id).await?.provider_state, "unknown");
        only_deposit(fixture, &tester)?;
        unknown.push((tester, id));
    }
    Ok(unknown)
}

/// A refusal like DriveWealth's own.
fn refusal(status: u16) -> Effect {
    Effect::Refuse {
        status,
        error_code: "E032".to_owned(),
        message: "refused".to_owned(),
    }
}

/// One that is about the customer.
fn over_the_limit() -> Effect {
    Effect::Refuse {
        status: 400,
        error_code: "E032".to_owned(),
        message: "Deposit transaction exceeds maximum daily ACH deposit transaction limit".to_owned(),
    }
}

/// Ends unknown, though the last that was heard is a refusal; asked again, the broker tells what it has.
async fn stays_unknown(fixture: &Fixture, effects: Vec<Effect>, is_made: bool) -> Result<(Tester, i64)> {
    let tester = fixture.customer().await?;
    let context = format!("{effects:?}");
    for effect in effects {
        fixture
            .cloud
            .drivewealth()
            .fault(Fault::new("POST", AT_THE_BROKER, effect));
    }
    let answer = tester.deposit_under("key", 5_100).await?;
    fixture.cloud.drivewealth().clear_faults();
    ensure_eq!(answer.status, 202, "{context}: {}", answer.text);
    let id = answer.number("id")?;
    let flow = fixture.database.flow(id).await?;
    ensure_eq!(
        (flow.status.as_str(), flow.provider_state.as_str()),
        ("pending", "unknown"),
        "{context}"
    );
    ensure_eq!(
        fixture.deposits_of(&tester).len(),
        usize::from(is_made),
        "{context}"
    );
    Ok((tester, id))
}

async fn refusal_that_may_concern_an_earlier_attempt_declines_nothing(fixture: Arc<Fixture>) -> Result {
    let lost = Effect::Reset { after_doing: true };
    let gateway = |status, after_doing| Effect::Gateway { status, after_doing };
    for effects in [
        vec![lost.clone(), refusal(400)],
        vec![gateway(403, true), gateway(403, false), refusal(422)],
        vec![Effect::FailAfter { status: 409 }, refusal(409), refusal(409)],
        vec![gateway(400, true), gateway(400, false), gateway(400, false)],
    ] {
        let (tester, id) = stays_unknown(&fixture, effects, true).await?;
        let answer = tester.deposit_under("key", 5_100).await?.expect(201)?;
        ensure_eq!(answer.number("id")?, id);
        arrived_once(&fixture, &tester, id, 5_100).await?;
    }
    // Not even a plain refusal of a later request says what became of the first.
    let never = Effect::Reset { after_doing: false };
    let (tester, id) = stays_unknown(&fixture, vec![never; 3], false).await?;
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, refusal(400)));
    tester.deposit_under("key", 5_100).await?.expect(202)?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "unknown");
    tester.deposit_under("key", 5_100).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 5_100).await
}

/// A deposit that is written down and surely not made.
async fn intended(fixture: &Fixture) -> Result<(Tester, i64)> {
    let tester = fixture.customer().await?;
    let limited = Fault::new("POST", AT_THE_BROKER, Effect::RateLimit { retry_after_s: 0 });
    fixture.cloud.drivewealth().fault(limited.times(3));
    let answer = tester.deposit_under("key", 5_300).await?.expect(202)?;
    let id = answer.number("id")?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "intended");
    Ok((tester, id))
}

async fn refusal_after_the_first_process_died_declines_nothing(fixture: Arc<Fixture>) -> Result {
    let refuse = || {
        let fault = Fault::new("POST", AT_THE_BROKER, over_the_limit());
        fixture.cloud.drivewealth().fault(fault);
    };
    let (tester, id) = intended(&fixture).await?;
    let died = "UPDATE trading_money_flow SET asked_until = now() - interval '1 second' WHERE id = $1";
    fixture.database.change(died, id).await?;
    refuse();
    tester.deposit_under("key", 5_300).await?.expect(202)?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "unknown");
    tester.deposit_under("key", 5_300).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 5_300).await?;

    // When nobody has died, the broker's word counts.
    let (tester, id) = intended(&fixture).await?;
    refuse();
    let answer = tester.deposit_under("key", 5_300).await?;
    answer.expect_problem(422, "daily-deposit-limit")?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "declined");
    Ok(())
}

/// A wrong parameter, or a code that is new to us: nobody is told that the bank declined.
async fn refusal_that_is_no_fault_of_the_customer_declines_nothing(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let refuse = Fault::new("POST", AT_THE_BROKER, refusal(400));
    fixture.cloud.drivewealth().fault(refuse);
    let answer = tester.deposit_under("key", 5_400).await?.expect(202)?;
    let id = answer.number("id")?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "unknown");
    ensure_eq!(fixture.database.outbox_of_flow(id).await?.len(), 0);
    // Once the fault is mended, the same request goes through.
    fixture.cloud.drivewealth().clear_faults();
    tester.deposit_under("key", 5_400).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 5_400).await
}

async fn requests_at_once_ask_the_broker_one_at_a_time(fixture: Arc<Fixture>) -> Result {
    let (tester, id) = intended(&fixture).await?;
    let asked = calls_for_deposits(&fixture);
    let asking = "UPDATE trading_money_flow SET asked_until = now() + interval '1 hour', \
                  next_lookup_at = now() WHERE id = $1";
    fixture.database.change(asking, id).await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    tester.deposit_under("key", 5_300).await?.expect(202)?;
    ensure_eq!(calls_for_deposits(&fixture), asked, "calls for deposits");
    ensure_eq!(fixture.database.flow(id).await?.lookups, 0);
    // Whoever waits gets the answer of the one who asks.
    let soon = "UPDATE trading_money_flow SET asked_until = now() + interval '1 second' WHERE id = $1";
    fixture.database.change(soon, id).await?;
    tester.deposit_under("key", 5_300).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 5_300).await
}

/// The broker says that it has a payment of a flow which is written down as declined.
async fn payment_of_a_declined_deposit_needs_review(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let tester = fixture.customer().await?;
    let slow = Effect::Hang {
        for_ms: 1_500,
        after_doing: true,
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, slow));
    let declined = async {
        eventually("the deposit is made", async || only_deposit(&fixture, &tester)).await?;
        let decline = "UPDATE trading_money_flow SET provider_state = 'declined', status = 'failed', \
                       settled_at = now() WHERE profile_id = $1";
        fixture.database.change(decline, tester.customer.profile_id).await
    };
    let (answer, declined) = join(tester.deposit(5_200), declined).await;
    declined?;
    let answer = answer?.expect(202)?;
    ensure_eq!(answer.body["under_review"], json!(true));
    let flow = fixture.database.flow(answer.number("id")?).await?;
    ensure_eq!(
        (flow.status.as_str(), flow.provider_state.as_str()),
        ("failed", "parked")
    );
    ensure!(flow.failure_reason.is_some(), "no reason: {flow:?}");
    Ok(())
}

async fn repeated_request_finds_the_outcome_of_the_deposit(fixture: Arc<Fixture>) -> Result {
    for (tester, id) in unknown_deposits(&fixture).await? {
        let answer = tester.deposit_under("key", 5_000).await?.expect(201)?;
        ensure_eq!(answer.number("id")?, id);
        let again = tester.deposit_under("key", 5_000).await?;
        ensure_eq!((again.status, &again.text), (201, &answer.text));
        arrived_once(&fixture, &tester, id, 5_000).await?;
    }
    Ok(())
}

async fn reconciler_finds_the_outcome_of_the_deposit(fixture: Arc<Fixture>) -> Result {
    let unknown = unknown_deposits(&fixture).await?;
    for (_, id) in &unknown {
        let due = fixture.database.flow(*id).await?.next_lookup_at;
        ensure!(due.is_some(), "flow {id} is never looked up");
        fixture.database.make_due(*id).await?;
    }
    let report = fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?
        .payload;
    ensure!(
        report["looked_up"].as_i64() >= Some(4) && report["failed"] == 0,
        "the report is {report}"
    );
    for (tester, id) in unknown {
        arrived_once(&fixture, &tester, id, 5_000).await?;
        let answer = tester.deposit_under("key", 5_000).await?.expect(201)?;
        ensure_eq!(answer.number("id")?, id);
        only_deposit(&fixture, &tester)?;
    }
    Ok(())
}

async fn deposit_stays_pending_while_the_broker_is_out_of_reach(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let base = format!("{}/drivewealth", fixture.cloud.sandboxes_url());
    let set = |base: &str| {
        fixture
            .cloud
            .set_function_environment("deposit_funds", "DRIVEWEALTH_API_BASE", base)
    };
    // Nobody listens on port 1.
    set("http://127.0.0.1:1")?;
    let answer = tester.deposit_under("key", 6_000).await;
    set(&base)?;
    let id = answer?.expect(202)?.number("id")?;
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "intended");
    ensure_eq!(fixture.deposits_of(&tester).len(), 0);
    let profile = tester.profile().await?;
    ensure_eq!(profile["pending_cash_cents"], json!(6_000));
    tester.deposit_under("key", 6_000).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 6_000).await
}

async fn broker_session_that_ends_meanwhile_is_renewed(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    // The new account's own events are out of the way: whoever takes them has a session too, and may renew it.
    fixture.rest().await?;
    let sessions = |fixture: &Fixture| {
        let calls = fixture.cloud.drivewealth().calls();
        calls.iter().filter(|call| call.path == "/auth").count()
    };
    let before = sessions(&fixture);
    let expire = Effect::ExpireToken;
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", AT_THE_BROKER, expire));
    let id = tester.deposit(4_500).await?.expect(201)?.number("id")?;
    ensure_eq!(sessions(&fixture), before + 1);
    arrived_once(&fixture, &tester, id, 4_500).await
}

/// The last look-up finds nothing out either.
async fn deposit_that_stays_unknown_needs_review(fixture: Arc<Fixture>) -> Result {
    let (tester, forgotten) = (fixture.customer().await?, fixture.customer().await?);
    let reset = |after_doing, times| {
        let fault = Fault::new("POST", AT_THE_BROKER, Effect::Reset { after_doing });
        fixture.cloud.drivewealth().fault(fault.times(times));
    };
    reset(false, 6);
    let deposits = join(
        tester.deposit_under("key", 3_000),
        forgotten.deposit_under("key", 3_100),
    )
    .await;
    let id = deposits.0?.expect(202)?.number("id")?;
    let too_late = deposits.1?.expect(202)?.number("id")?;
    let last = "UPDATE trading_money_flow SET lookups = 2, next_lookup_at = now() WHERE id = $1";
    fixture.database.change(last, id).await?;
    // The broker forgets a request's key after some days: asked again, it would make another deposit.
    let old = "UPDATE trading_money_flow SET created_at = now() - interval '10 days', lookups = 1, \
               next_lookup_at = now() WHERE id = $1";
    fixture.database.change(old, too_late).await?;
    let asked = calls_for_deposits(&fixture);
    reset(false, 3);
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    ensure_eq!(
        calls_for_deposits(&fixture),
        asked + 3,
        "calls for deposits, all for the first"
    );
    for flow in [id, too_late] {
        let flow = fixture.database.flow(flow).await?;
        ensure_eq!(
            (flow.status.as_str(), flow.provider_state.as_str()),
            ("pending", "parked")
        );
        ensure_eq!(flow.next_lookup_at, None);
        ensure!(flow.failure_reason.is_some(), "no reason: {flow:?}");
    }

    // Nothing is asked any more, by nobody: a person decides.
    let answer = tester.deposit_under("key", 3_000).await?.expect(202)?;
    ensure_eq!(answer.body["status"], json!("pending"));
    ensure_eq!(answer.body["under_review"], json!(true));
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    ensure_eq!(calls_for_deposits(&fixture), asked + 3, "calls for deposits");
    ensure_eq!(
        fixture.deposits_of(&tester).len() + fixture.deposits_of(&forgotten).len(),
        0
    );
    ensure_eq!(tester.flow(id).await?["status"], json!("pending"));
    ensure_eq!(tester.profile().await?["pending_cash_cents"], json!(3_000));
    // The broker confirms that it won't come: it has failed, and the customer is told.
    let (kind, subject) = ("money-flow-in-doubt", format!("money-flow-{id}"));
    let review = fixture.review_of(kind, &subject).await?;
    fixture
        .decide("ada", &review, "record-not-made", json!({}))
        .await?
        .expect(202)?;
    fixture.review_reaches(kind, &subject, "applied").await?;
    ensure_eq!(tester.flow(id).await?["status"], json!("failed"));
    fixture.outbox_has(id, &end_to_end::FAILED).await?;
    Ok(())
}

/// The customer asks again when the broker has forgotten the key: it would make another deposit.
async fn key_that_the_broker_may_have_forgotten_is_not_used_again(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let lost = Fault::new("POST", AT_THE_BROKER, Effect::Reset { after_doing: true });
    fixture.cloud.drivewealth().fault(lost.times(3));
    let id = tester
        .deposit_under("key", 3_200)
        .await?
        .expect(202)?
        .number("id")?;
    let old = "UPDATE trading_money_flow SET created_at = now() - interval '4 days' WHERE id = $1";
    fixture.database.change(old, id).await?;
    let asked = calls_for_deposits(&fixture);
    let answer = tester.deposit_under("key", 3_200).await?.expect(202)?;
    ensure_eq!(answer.body["under_review"], json!(true));
    ensure_eq!(calls_for_deposits(&fixture), asked, "calls for deposits");
    ensure_eq!(fixture.database.flow(id).await?.provider_state, "parked");
    linked_by_an_operator(&fixture, &tester, id).await?;
    tester.deposit_under("key", 3_200).await?.expect(201)?;
    arrived_once(&fixture, &tester, id, 3_200).await
}

/// What a person does who has found a parked flow's payment at the broker.
async fn linked_by_an_operator(fixture: &Fixture, tester: &Tester, flow: i64) -> Result {
    let payment = only_deposit(fixture, tester)?.id;
    let (kind, subject) = ("money-flow-in-doubt", format!("money-flow-{flow}"));
    let review = fixture.review_reaches(kind, &subject, "open").await?;
    // Another's payment, and none at all, are refused, and the review stays open.
    let wrong = json!({ "payment_id": "nowhere" });
    fixture
        .decide("ada", &review, "link-payment", wrong)
        .await?
        .expect(202)?;
    eventually("the wrong payment is refused", async || {
        let review = fixture.review_of(kind, &subject).await?;
        ensure!(!review["refusal"].is_null(), "{review}");
        ensure_eq!(review["state"], json!("open"));
        Ok(())
    })
    .await?;
    let known = "SELECT count(*) FROM drivewealth_deposits WHERE ref_id = $1";
    eventually("the payment is known by its events", async || {
        let count: i64 = sqlx::query_scalar(known)
            .bind(payment.as_str())
            .fetch_one(fixture.database.pool())
            .await?;
        ensure_eq!(count, 1);
        Ok(())
    })
    .await?;
    fixture
        .decide("ada", &review, "link-payment", json!({ "payment_id": payment }))
        .await?
        .expect(202)?;
    fixture.review_reaches(kind, &subject, "applied").await?;
    fixture
        .run("reconcile_trading", json!({ "scope": "due" }))
        .await?;
    Ok(())
}

fn calls_for_deposits(fixture: &Fixture) -> usize {
    let calls = fixture.cloud.drivewealth().calls();
    let of_deposits = |method: &str, path: &str| method == "POST" && path == AT_THE_BROKER;
    calls
        .iter()
        .filter(|call| of_deposits(&call.method, &call.path))
        .count()
}

/// The broker makes the deposit and brings it to success, and tells so by events, before its answer is there.
async fn event_may_come_before_the_response(fixture: Arc<Fixture>) -> Result {
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
        eventually("all events are taken while the answer is still out", async || {
            let deposit = only_deposit(&fixture, &tester)?;
            ensure!(deposit.events.len() == 3, "its events are {:?}", deposit.events);
            for event in &deposit.events {
                let id = event["id"].as_str().unwrap_or_default();
                ensure!(
                    fixture.database.inbox(id).await?.is_some(),
                    "not taken yet: {event}"
                );
            }
            Ok(())
        })
        .await?;
        let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
        ensure_eq!(flows[0].provider_state, "intended", "the answer is still out");
        Ok(())
    };
    let (answer, told) = join(tester.deposit(8_000), told).await;
    told?;
    let answer = answer?.expect(201)?;
    // What the events told is known when the answer comes.
    ensure_eq!(answer.body["status"], json!("success"));
    arrived_once(&fixture, &tester, answer.number("id")?, 8_000).await
}

async fn response_may_come_before_the_events(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    fixture.cloud.drivewealth().hold_events(true);
    let answer = tester.deposit(8_100).await?.expect(201)?;
    let id = answer.number("id")?;
    eventually("the broker is done", async || {
        let deposit = only_deposit(&fixture, &tester)?;
        ensure!(deposit.settled, "it is {deposit:?}");
        Ok(())
    })
    .await?;
    ensure_eq!(tester.flow(id).await?["status"], json!("pending"));
    fixture.cloud.drivewealth().release_events().await;
    arrived_once(&fixture, &tester, id, 8_100).await
}
