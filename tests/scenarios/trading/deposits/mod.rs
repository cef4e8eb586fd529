//! Deposits from outside: the whole way from the request to the phone, the same request again, what is refused, and
//! what becomes of a deposit whose answer from the broker was lost.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, and a missing deposit fails the scenario"
)]

pub(crate) mod lost_answers;

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::customers::NewCustomer;
use end_to_end::{
    Answer, FAILED, Fixture, Result, SUCCEEDED, Scenario, Tester, ensure_eq, eventually, scenarios,
    topic_messages,
};
use futures::future::try_join_all;
use local_cloud::sandboxes::drivewealth::{Decline, status};
use local_cloud::sandboxes::{Effect, Fault};
use serde_json::{Value, json};

const DEPOSIT: &str = "/trading/deposits";
const BALANCE: &str = "/accounts/balance/get";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        deposit_goes_from_the_request_to_the_phone,
        deposit_request_repeated_gets_the_same_answer,
        idempotency_key_belongs_to_its_profile,
        alone(deposit_is_made_once_by_twenty_requests_with_one_key),
        idempotency_key_missing_or_malformed_is_refused,
        accounts_of_others_are_not_found,
        deposit_above_the_bank_balance_is_refused_with_the_figure,
        alone(bank_is_asked_so_often_a_day_and_not_again_for_what_was_refused),
        alone(deposits_at_once_do_not_count_the_same_balance_twice),
        deposit_above_the_limit_is_refused,
        deposit_of_a_suspended_profile_is_refused,
        deposit_to_an_account_that_is_not_open_is_refused,
        deposit_is_refused_when_the_bank_wants_a_new_sign_in,
        alone(deposit_without_a_response_of_the_bank_writes_nothing),
        deposit_fails_at_the_brokers_daily_limit,
        alone(deposit_to_an_account_closed_at_the_broker_names_the_account),
        alone(bank_account_that_the_broker_can_not_reach_is_noted),
        deposit_that_the_bank_rejects_fails_later,
    ]
}

/// The one deposit that the broker has for the customer.
fn only_deposit(fixture: &Fixture, tester: &Tester) -> Result<local_cloud::sandboxes::drivewealth::Payment> {
    let mut deposits = fixture.deposits_of(tester);
    ensure!(
        deposits.len() == 1,
        "the broker has {} deposits: {deposits:?}",
        deposits.len()
    );
    deposits.pop().context("there is none")
}

async fn nothing_written(fixture: &Fixture, tester: &Tester) -> Result {
    let flows = fixture.database.flows_of(tester.customer.profile_id).await?;
    ensure!(flows.is_empty(), "flows were written: {flows:?}");
    let keys = "SELECT count(*) FROM idempotency_keys WHERE owner = 'profile:' || $1::BIGINT";
    ensure_eq!(fixture.database.count(keys, tester.customer.profile_id).await?, 0);
    ensure_eq!(fixture.deposits_of(tester).len(), 0);
    Ok(())
}

/// Success, everywhere where it shows: once each.
async fn arrived_once(fixture: &Fixture, tester: &Tester, flow: i64, amount_cents: i64) -> Result {
    tester.flow_reaches(flow, "success").await?;
    fixture.outbox_has(flow, &SUCCEEDED).await?;
    let feed = tester.feed_reaches(1).await?;
    ensure_eq!(feed[0]["title"], json!("Deposit received"));
    let deposit = only_deposit(fixture, tester)?;
    ensure_eq!(deposit.amount_cents, amount_cents);
    ensure_eq!(
        fixture.cash_of(tester)?,
        NewCustomer::default().cash_cents + amount_cents
    );
    Ok(())
}

async fn deposit_goes_from_the_request_to_the_phone(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let answer = tester.deposit(25_000).await?.expect(201)?;
    ensure_eq!(answer.header("content-type"), "application/json");
    let id = answer.number("id")?;
    let mut expected = tester.request(25_000);
    // The broker may have approved it before its answer was written down.
    let status = &answer.body["status"];
    ensure!(*status == "pending" || *status == "approved", "{}", answer.text);
    let told = json!({
        "id": id, "direction": "deposit", "currency": "USD", "status": status, "failure_code": null,
        "under_review": false,
        "created_at": answer.body["created_at"], "updated_at": answer.body["updated_at"],
    });
    if let (Some(expected), Value::Object(told)) = (expected.as_object_mut(), told) {
        expected.extend(told);
    }
    ensure_eq!(answer.body, expected);

    arrived_once(&fixture, &tester, id, 25_000).await?;
    let feed = tester.feed().await?;
    ensure_eq!(feed[0]["body"], json!("$250.00 has arrived in your account."));
    ensure_eq!(feed[0]["data"]["money_flow_id"], json!(id.to_string()));
    eventually("the phone has one message", async || {
        let messages = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token);
        ensure!(messages.len() == 1, "it has {messages:?}");
        Ok(())
    })
    .await?;
    eventually("the portfolio's targets follow", async || {
        let account = &tester.customer.drivewealth_account_id;
        let portfolio = fixture.cloud.drivewealth().portfolio(account).unwrap_or_default();
        // The broker tells actual shares cut off at four decimals.
        ensure!(
            portfolio["totalDrift"]
                .as_f64()
                .is_some_and(|drift| drift < 0.000_5),
            "the portfolio is {portfolio}"
        );
        let profile = tester.profile().await?;
        ensure!(profile["cash_cents"] == 125_000, "the profile is {profile}");
        ensure!(profile["pending_cash_cents"] == 0, "the profile is {profile}");
        Ok(())
    })
    .await?;
    on_the_topic_once(&fixture, id, "money-flow.succeeded").await
}

async fn on_the_topic_once(fixture: &Fixture, flow: i64, kind: &str) -> Result {
    let messages = topic_messages(fixture.cloud.kafka_brokers(), "trading.events").await?;
    let mut about = messages
        .iter()
        .filter(|message| message.payload["data"]["money_flow_id"] == flow);
    let message = about.next().context("the topic has nothing of the flow")?;
    ensure!(
        about.next().is_none(),
        "the topic has more than one message of the flow"
    );
    ensure_eq!(message.payload["type"], json!(kind));
    ensure_eq!(
        message.key,
        format!("profile-{}", message.payload["data"]["profile_id"])
    );
    Ok(())
}

async fn deposit_request_repeated_gets_the_same_answer(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let first = tester.deposit_under("a-key", 12_345).await?.expect(201)?;
    ensure_eq!(first.header("idempotency-replayed"), "");
    let again = tester.deposit_under("a-key", 12_345).await?.expect(201)?;
    ensure_eq!(again.text, first.text);
    ensure_eq!(again.header("idempotency-replayed"), "true");

    // What means the same is the same: the order of the fields and white space don't count.
    let request = tester.request(12_345);
    let reordered = format!(
        "{{ \"bank_account_id\":{},\n \"amount_cents\":12345, \"trading_account_id\":{} }}",
        request["bank_account_id"], request["trading_account_id"]
    );
    let headers = [("Idempotency-Key", "a-key"), ("Content-Type", "application/json")];
    let reordered = tester
        .api
        .post_raw(DEPOSIT, &headers, reordered.into_bytes())
        .await?;
    ensure_eq!(reordered.expect(201)?.text, first.text);

    let other = tester.deposit_under("a-key", 12_346).await?;
    let other = other.expect_problem(422, "idempotency-key-reused")?;
    ensure_eq!(other.body["errors"][0]["field"], json!("Idempotency-Key"));

    // Even after the status has changed, the answer stays what it was.
    tester.flow_reaches(first.number("id")?, "success").await?;
    ensure_eq!(tester.deposit_under("a-key", 12_345).await?.text, first.text);
    only_deposit(&fixture, &tester)?;
    ensure_eq!(tester.flows().await?.len(), 1);
    Ok(())
}

async fn idempotency_key_belongs_to_its_profile(fixture: Arc<Fixture>) -> Result {
    let (one, two) = (fixture.customer().await?, fixture.customer().await?);
    let first = one.deposit_under("shared-key", 1_000).await?.expect(201)?;
    let second = two.deposit_under("shared-key", 2_000).await?.expect(201)?;
    ensure!(
        first.number("id")? != second.number("id")?,
        "both got {}",
        first.text
    );
    let withdrawal = one.withdraw_under("shared-key", 1_000).await?.expect(201)?;
    ensure_eq!(withdrawal.body["direction"], json!("withdrawal"));
    only_deposit(&fixture, &one)?;
    only_deposit(&fixture, &two)?;
    Ok(())
}

async fn deposit_is_made_once_by_twenty_requests_with_one_key(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let requests = (0..20).map(|_| tester.deposit_under("one-key", 7_700));
    let answers: Vec<Answer> = try_join_all(requests).await?;
    let first = answers.first().context("no answers")?;
    for answer in &answers {
        ensure_eq!(
            (answer.status, &answer.text),
            (201, &first.text),
            "answers to one key"
        );
    }
    ensure_eq!(
        fixture.database.flows_of(tester.customer.profile_id).await?.len(),
        1
    );
    arrived_once(&fixture, &tester, first.number("id")?, 7_700).await
}

async fn idempotency_key_missing_or_malformed_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let long = "k".repeat(129);
    let keys: [&[(&str, &str)]; 4] = [
        &[],
        &[("Idempotency-Key", "")],
        &[("Idempotency-Key", &long)],
        &[("Idempotency-Key", "two words")],
    ];
    for headers in keys {
        let body = tester.request(1_000).to_string().into_bytes();
        let answer = tester.api.post_raw(DEPOSIT, headers, body).await?;
        let problem = answer.expect_problem(400, "malformed-request")?;
        ensure_eq!(problem.body["errors"][0]["field"], json!("Idempotency-Key"));
    }
    nothing_written(&fixture, &tester).await
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
            let answer = tester.api.post(DEPOSIT, &format!("{field}-{id}"), &body).await?;
            answers.push(answer.expect_problem(404, code)?.text);
        }
        ensure_eq!(answers[0], answers[1], "another's {field} answers like none");
    }
    nothing_written(&fixture, &tester).await?;
    nothing_written(&fixture, &other).await
}

async fn deposit_above_the_bank_balance_is_refused_with_the_figure(fixture: Arc<Fixture>) -> Result {
    let poor = NewCustomer {
        bank_balance_cents: 12_345,
        ..NewCustomer::default()
    };
    let tester = fixture.customer_with(&poor).await?;
    let answer = tester
        .deposit(12_346)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("123.45"), "the figure is missing: {detail}");
    nothing_written(&fixture, &tester).await?;
    tester.deposit(12_345).await?.expect(201)?;
    Ok(())
}

/// Plaid bills each look at a bank.
async fn bank_is_asked_so_often_a_day_and_not_again_for_what_was_refused(fixture: Arc<Fixture>) -> Result {
    let poor = NewCustomer {
        bank_balance_cents: 12_345,
        ..NewCustomer::default()
    };
    let tester = fixture.customer_with(&poor).await?;
    let looks = || {
        let calls = fixture.cloud.plaid().calls();
        calls.iter().filter(|call| call.path == BALANCE).count()
    };
    let before = looks();
    for _ in 0..3 {
        let answer = tester.deposit(12_346).await?;
        answer.expect_problem(409, "insufficient-funds")?;
    }
    ensure_eq!(looks() - before, 1, "looks at the bank");
    let used_up = "UPDATE paid_calls SET calls = 200 WHERE profile_id = $1";
    fixture
        .database
        .change(used_up, tester.customer.profile_id)
        .await?;
    tester
        .deposit(1_000)
        .await?
        .expect_problem(409, "bank-request-limit-reached")?;
    ensure_eq!(looks() - before, 1, "looks at the bank");
    tester.api.get("/trading/bank-accounts").await?.expect(200)?;
    nothing_written(&fixture, &tester).await?;
    let yesterday = "UPDATE paid_calls SET day = day - 1 WHERE profile_id = $1";
    fixture
        .database
        .change(yesterday, tester.customer.profile_id)
        .await?;
    tester.deposit(1_000).await?.expect(201)?;
    Ok(())
}

async fn deposits_at_once_do_not_count_the_same_balance_twice(fixture: Arc<Fixture>) -> Result {
    fixture.by_hand();
    let poor = NewCustomer {
        bank_balance_cents: 10_000,
        ..NewCustomer::default()
    };
    let tester = fixture.customer_with(&poor).await?;
    let answers: Vec<Answer> = try_join_all((0..4).map(|_| tester.deposit(6_000))).await?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    ensure_eq!(statuses, [201, 409, 409, 409]);
    // What the broker has approved, or brought to its end less than three banking days ago, may not be taken off the shown
    // balance yet: it counts all the same.
    let id = tester.flows().await?[0]["id"].as_i64().context("no flow")?;
    let deposit = only_deposit(&fixture, &tester)?;
    fixture
        .cloud
        .drivewealth()
        .advance(&deposit.id, status::APPROVED)?;
    fixture.cloud.drivewealth().release_events().await;
    tester.flow_reaches(id, "approved").await?;
    tester
        .deposit(6_000)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    fixture
        .cloud
        .drivewealth()
        .advance(&deposit.id, status::SUCCESSFUL)?;
    fixture.cloud.drivewealth().release_events().await;
    tester.flow_reaches(id, "success").await?;
    tester
        .deposit(6_000)
        .await?
        .expect_problem(409, "insufficient-funds")?;
    // Three banking days later, which a weekend and a holiday make a week, the bank shows it.
    let shown = "UPDATE trading_money_flow SET settled_at = settled_at - interval '9 days' WHERE id = $1";
    fixture.database.change(shown, id).await?;
    tester.deposit(6_000).await?.expect(201)?;
    Ok(())
}

async fn bank_account_that_the_broker_can_not_reach_is_noted(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let refuse = Effect::Refuse {
        status: 400,
        error_code: "K110".to_owned(),
        message: "Plaid processor token is not valid".to_owned(),
    };
    fixture
        .cloud
        .drivewealth()
        .fault(Fault::new("POST", "/funding/deposits", refuse).times(2));
    tester
        .deposit(1_000)
        .await?
        .expect_problem(422, "bank-account-needs-reauth")?;
    // It is DriveWealth's word, not Plaid's: Plaid's good answers don't clear it, and Plaid isn't asked any more.
    fixture.cloud.drivewealth().clear_faults();
    let asked = fixture.cloud.plaid().calls().len();
    tester
        .deposit(1_000)
        .await?
        .expect_problem(409, "bank-account-needs-reauth")?;
    ensure_eq!(fixture.cloud.plaid().calls().len(), asked, "calls of Plaid");
    let noted = "SELECT count(*) FROM drivewealth_bank_accounts JOIN bank_accounts \
                 ON bank_accounts.id = bank_account_id WHERE profile_id = $1 AND token_invalid_since IS NOT NULL";
    let profile = tester.customer.profile_id;
    ensure_eq!(fixture.database.count(noted, profile).await?, 1);
    let signed_out =
        "SELECT count(*) FROM plaid_items WHERE profile_id = $1 AND needs_reauth_since IS NOT NULL";
    ensure_eq!(fixture.database.count(signed_out, profile).await?, 0);
    Ok(())
}

async fn deposit_to_an_account_closed_at_the_broker_names_the_account(fixture: Arc<Fixture>) -> Result {
    fixture.cloud.drivewealth().hold_events(true);
    let tester = fixture.customer().await?;
    let account = &tester.customer.drivewealth_account_id;
    fixture
        .cloud
        .drivewealth()
        .set_account_status(account, "CLOSED")?;
    let answer = tester.deposit(1_000).await;
    fixture.cloud.drivewealth().hold_events(false);
    fixture.cloud.drivewealth().release_events().await;
    let answer = answer?.expect_problem(422, "trading-account-not-open")?;
    ensure_eq!(answer.body["errors"][0]["field"], json!("trading_account_id"));
    Ok(())
}

async fn deposit_above_the_limit_is_refused(fixture: Arc<Fixture>) -> Result {
    let rich = NewCustomer {
        bank_balance_cents: 100_000_000,
        ..NewCustomer::default()
    };
    let tester = fixture.customer_with(&rich).await?;
    let answer = tester
        .deposit(5_000_001)
        .await?
        .expect_problem(422, "amount-above-limit")?;
    ensure_eq!(answer.body["errors"][0]["field"], json!("amount_cents"));
    nothing_written(&fixture, &tester).await?;
    tester.deposit(5_000_000).await?.expect(201)?;
    Ok(())
}

async fn deposit_of_a_suspended_profile_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let suspend = "UPDATE profiles SET deposits_suspended_at = now(), deposits_suspended_reason = 'by hand' WHERE id = $1";
    fixture
        .database
        .change(suspend, tester.customer.profile_id)
        .await?;
    tester
        .deposit(1_000)
        .await?
        .expect_problem(409, "deposits-suspended")?;
    nothing_written(&fixture, &tester).await?;
    let profile = tester.profile().await?;
    ensure_eq!(profile["deposits_suspended"], json!(true));
    tester.withdraw(1_000).await?.expect(201)?;
    Ok(())
}

async fn deposit_to_an_account_that_is_not_open_is_refused(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    for (status, name) in [
        ("FROZEN", "frozen"),
        ("CLOSED", "closed"),
        ("OPEN_NO_NEW_TRADES", "open_no_new_trades"),
    ] {
        let account = &tester.customer.drivewealth_account_id;
        fixture.cloud.drivewealth().set_account_status(account, status)?;
        eventually("the account's state is known", async || {
            let profile = tester.profile().await?;
            ensure!(profile["account_status"] == name, "the profile is {profile}");
            Ok(())
        })
        .await?;
        tester
            .deposit(1_000)
            .await?
            .expect_problem(409, "trading-account-not-open")?;
    }
    nothing_written(&fixture, &tester).await
}

async fn deposit_is_refused_when_the_bank_wants_a_new_sign_in(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let token = &tester.customer.plaid_access_token;
    fixture
        .cloud
        .plaid()
        .set_item_error(token, Some("ITEM_LOGIN_REQUIRED"))?;
    let answer = tester.deposit_under("key", 1_000).await?;
    answer.expect_problem(409, "bank-account-needs-reauth")?;
    nothing_written(&fixture, &tester).await?;
    let noted = "SELECT count(*) FROM plaid_items WHERE profile_id = $1 AND needs_reauth_since IS NOT NULL";
    let profile = tester.customer.profile_id;
    ensure_eq!(fixture.database.count(noted, profile).await?, 1);
    fixture.cloud.plaid().set_item_error(token, None)?;
    tester.deposit_under("key", 1_000).await?.expect(201)?;
    ensure_eq!(fixture.database.count(noted, profile).await?, 0);
    Ok(())
}

async fn deposit_without_a_response_of_the_bank_writes_nothing(fixture: Arc<Fixture>) -> Result {
    let testers = try_join_all((0..3).map(|_| fixture.customer())).await?;
    let (down, silent, slow) = (&testers[0], &testers[1], &testers[2]);
    let refuse = Effect::Refuse {
        status: 500,
        error_code: "INTERNAL_SERVER_ERROR".to_owned(),
        message: "down".to_owned(),
    };
    for (tester, effect) in [
        (down, refuse),
        (silent, Effect::Reset { after_doing: false }),
        (slow, Effect::Truncate),
    ] {
        fixture
            .cloud
            .plaid()
            .fault(Fault::new("POST", "/", effect).times(2));
        let answer = tester.deposit_under("key", 1_000).await?;
        answer.expect_problem(503, "unavailable")?;
        nothing_written(&fixture, tester).await?;
        tester.deposit_under("key", 1_000).await?.expect(201)?;
    }
    Ok(())
}

async fn deposit_fails_at_the_brokers_daily_limit(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let bank = &tester.customer.drivewealth_bank_account_id;
    fixture
        .cloud
        .drivewealth()
        .decline_bank_account(bank, Decline::DailyLimit);
    let answer = tester.deposit_under("key", 1_000).await?;
    let answer = answer.expect_problem(422, "daily-deposit-limit")?;
    ensure_eq!(answer.body["errors"][0]["field"], json!("amount_cents"));
    let again = tester.deposit_under("key", 1_000).await?;
    ensure_eq!((again.status, &again.text), (422, &answer.text));
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(again.header("content-type"), answer.header("content-type"));

    failed_once(&fixture, &tester, "daily-deposit-limit").await?;
    ensure_eq!(fixture.deposits_of(&tester).len(), 0);
    // Another key is another deposit.
    fixture.cloud.drivewealth().accept_bank_account(bank);
    tester.deposit_under("another-key", 1_000).await?.expect(201)?;
    Ok(())
}

async fn deposit_that_the_bank_rejects_fails_later(fixture: Arc<Fixture>) -> Result {
    let tester = fixture.customer().await?;
    let bank = &tester.customer.drivewealth_bank_account_id;
    let reason = "R01 insufficient funds".to_owned();
    fixture
        .cloud
        .drivewealth()
        .decline_bank_account(bank, Decline::Rejected { reason });
    let answer = tester.deposit_under("key", 1_000).await?.expect(201)?;
    failed_once(&fixture, &tester, "declined-by-bank-or-broker").await?;
    let again = tester.deposit_under("key", 1_000).await?;
    ensure_eq!((again.status, &again.text), (201, &answer.text));
    ensure_eq!(fixture.cash_of(&tester)?, NewCustomer::default().cash_cents);
    ensure_eq!(tester.profile().await?["deposits_suspended"], json!(false));
    Ok(())
}

/// The customer's only flow has failed, and is told once.
async fn failed_once(fixture: &Fixture, tester: &Tester, code: &str) -> Result {
    let flows = tester.flows().await?;
    let id = flows[0]["id"].as_i64().context("the history has no flow")?;
    let flow = tester.flow_reaches(id, "failed").await?;
    ensure_eq!(flow["failure_code"], json!(code));
    fixture.outbox_has(id, &FAILED).await?;
    let reason = &fixture.database.outbox_of_flow(id).await?[0].payload["data"]["reason"];
    ensure_eq!(*reason, json!(code));
    let feed = tester.feed_reaches(1).await?;
    ensure_eq!(feed[0]["title"], json!("Deposit failed"));
    eventually("the phone has one message", async || {
        let messages = fixture
            .cloud
            .firebase()
            .messages_to(&tester.customer.device_token);
        ensure!(messages.len() == 1, "it has {messages:?}");
        Ok(())
    })
    .await
}
