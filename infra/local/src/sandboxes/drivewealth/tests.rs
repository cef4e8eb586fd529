//! Tests of the DriveWealth sandbox, through HTTP as a function would use it.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::backends::{QueueSpec, Sqs};
use crate::keys;
use crate::sandboxes::tests::{answer, client, sandboxes};
use crate::sandboxes::{Effect, Fault, PortfolioDefect, SandboxOptions, Sandboxes};

const ACCOUNT: &str = "5f1d2c60-9a41-4b1e-8a53-0c7d7a4f1e11.1700000000000";
const USER: &str = "5f1d2c60-9a41-4b1e-8a53-0c7d7a4f1e11";

fn seed() -> SeedAccount {
    SeedAccount {
        user_id: USER.to_owned(),
        account_id: ACCOUNT.to_owned(),
        account_no: "MNTA000001".to_owned(),
        cash_cents: 100_000,
        bank_account_id: "bank_1".to_owned(),
        funds: vec![("Clean energy".to_owned(), 2_000)],
    }
}

/// A signed-in client of a sandbox with one account.
struct Caller {
    sandboxes: Sandboxes,
    drivewealth: DriveWealthSandbox,
    token: String,
}

impl Caller {
    async fn new(sandboxes: Sandboxes) -> Self {
        let drivewealth = sandboxes.drivewealth();
        drivewealth.auto_advance(None);
        drivewealth.seed_account(seed()).unwrap();
        let mut caller = Self {
            sandboxes,
            drivewealth,
            token: String::new(),
        };
        caller.sign_in().await;
        caller
    }

    async fn sign_in(&mut self) {
        let body = json!({
            "appTypeID": 4, "username": keys::DRIVEWEALTH_USERNAME, "password": keys::DRIVEWEALTH_PASSWORD,
        });
        let (status, session) = answer(self.request("POST", "/auth").json(&body)).await;
        assert_eq!(status, 200, "{session}");
        self.token = session["authToken"].as_str().unwrap().to_owned();
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        client()
            .request(
                method.parse().unwrap(),
                format!("{}/drivewealth{path}", self.sandboxes.url()),
            )
            .header("dw-client-app-key", keys::DRIVEWEALTH_APP_KEY)
            .header("dw-auth-token", &self.token)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }

    fn pay(&self, topic: &str, amount: Value, key: &str) -> reqwest::RequestBuilder {
        self.request("POST", &format!("/funding/{topic}")).header("Idempotency-Key", key).json(&json!({
            "accountNo": "MNTA000001", "amount": amount, "currency": "USD", "type": "ACH", "bankAccountID": "bank_1",
        }))
    }

    async fn deposit(&self, key: &str) -> String {
        let (status, body) = answer(self.pay("deposits", json!("250.10"), key)).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }
}

fn statuses(events: &[Value]) -> Vec<i64> {
    events
        .iter()
        .map(|event| event["payload"]["status"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_deposit_brings_cash_when_successful_and_takes_it_back_when_returned() {
    let caller = Caller::new(sandboxes().await).await;
    let id = caller.deposit("deposit-key-0000001").await;
    for status in [status::APPROVED, status::SUCCESSFUL] {
        assert_eq!(caller.drivewealth.cash_cents(ACCOUNT), Some(100_000));
        assert_eq!(caller.drivewealth.step(&id).unwrap().status, status);
    }
    assert_eq!(caller.drivewealth.cash_cents(ACCOUNT), Some(125_010));
    let (_, body) = caller.get(&format!("/funding/deposits/{id}")).await;
    assert_eq!(body["amount"].to_string(), "250.1");
    assert_eq!(body["status"]["id"], 2);
    assert_eq!(body["accountDetails"]["accountID"], ACCOUNT);

    caller.drivewealth.return_deposit(&id).unwrap();
    assert_eq!(caller.drivewealth.cash_cents(ACCOUNT), Some(100_000));
    let events = caller.drivewealth.events_of(&id);
    assert_eq!(statuses(&events), [1, 14, 2, 5]);
    assert_eq!(events[0]["type"], "deposits.created");
    assert_eq!(events[3]["type"], "deposits.updated");
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn a_redemption_waits_for_the_adviser_and_takes_cash_when_successful() {
    let caller = Caller::new(sandboxes().await).await;
    let (_, body) = answer(caller.pay("redemptions", json!(2_000.5), "redemption-key-01")).await;
    let id = body["id"].as_str().unwrap();
    assert_eq!(body["status"]["id"], status::RIA_PENDING);
    assert!(caller.drivewealth.step(id).is_err());
    let path = format!("/funding/redemptions/{id}");
    let approval = json!({ "status": "RIA_Approved", "statusComment": "auto" });
    let (status, _) = answer(caller.request("PATCH", &path).json(&approval)).await;
    assert_eq!(status, 200);
    let (status, body) = answer(caller.request("PATCH", &path).json(&approval)).await;
    assert_eq!((status, body["errorCode"].as_str()), (400, Some("E032")));
    for _ in 0..3 {
        let (_, money) = caller.get(&format!("/accounts/{ACCOUNT}/summary/money")).await;
        assert_eq!(money["cash"]["cashAvailableForWithdrawal"].to_string(), "1000");
        caller.drivewealth.step(id).unwrap();
    }
    // It is for the caller to see that there is enough.
    assert_eq!(caller.drivewealth.cash_cents(ACCOUNT), Some(-100_050));
    assert_eq!(caller.drivewealth.counters().redemptions_without_cash, 1);
    let events = caller.drivewealth.events_of(id);
    assert_eq!(statuses(&events), [11, 12, 1, 14, 2]);
    assert_eq!(events[4]["payload"]["amount"].to_string(), "-2000.5");
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_first_answer() {
    let caller = Caller::new(sandboxes().await).await;
    let send = || caller.pay("deposits", json!("10"), "the-same-key-000001").send();
    let (first, second) = tokio::join!(send(), send());
    let (first, second) = (
        first.unwrap().text().await.unwrap(),
        second.unwrap().text().await.unwrap(),
    );
    assert_eq!(first, second);
    assert_eq!(caller.drivewealth.deposits().len(), 1);
    assert_eq!(caller.drivewealth.counters().replays, 1);
    let (status, _) = answer(caller.pay("deposits", json!("10"), "short")).await;
    assert_eq!(status, 400);
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_same_key() {
    let caller = Caller::new(sandboxes().await).await;
    let effects = [
        Effect::Reset { after_doing: true },
        Effect::Hang {
            for_ms: 1,
            after_doing: true,
        },
        Effect::Truncate,
        Effect::FailAfter { status: 500 },
    ];
    for (number, effect) in effects.into_iter().enumerate() {
        caller
            .drivewealth
            .fault(Fault::new("POST", "/funding/deposits", effect));
        let key = format!("a-lost-answer-{number:04}");
        let lost = match caller.pay("deposits", json!(5), &key).send().await {
            Ok(response) => response.status() == 500 || response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(lost);
        let id = answer(caller.pay("deposits", json!(5), &key)).await.1["id"].clone();
        assert_eq!(caller.drivewealth.deposits()[number].id, id);
    }
    assert_eq!(caller.drivewealth.deposits().len(), 4);
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn faults_before_doing_leave_nothing_behind() {
    let caller = Caller::new(sandboxes().await).await;
    let refusal = Effect::Refuse {
        status: 400,
        error_code: "E032".to_owned(),
        message: "no".to_owned(),
    };
    caller.drivewealth.fault(Fault::new("POST", "/funding", refusal));
    caller.drivewealth.fault(Fault::new(
        "POST",
        "/funding",
        Effect::RateLimit { retry_after_s: 7 },
    ));
    let (status, body) = answer(caller.pay("deposits", json!(5), "faulty-key-0000001")).await;
    assert_eq!((status, body["errorCode"].as_str()), (400, Some("E032")));
    let limited = caller
        .pay("deposits", json!(5), "faulty-key-0000001")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            limited.status().as_u16(),
            limited.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert!(limited.headers().contains_key("dw-request-id"));
    assert!(caller.drivewealth.deposits().is_empty());
    caller.deposit("faulty-key-0000001").await;
    let calls = caller.drivewealth.calls();
    let keys = calls
        .iter()
        .filter(|call| call.idempotency_key.as_deref() == Some("faulty-key-0000001"));
    assert_eq!(
        keys.map(|call| call.status).collect::<Vec<_>>(),
        [Some(400), Some(429), Some(200)]
    );
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn sessions_and_the_application_key_are_checked() {
    let mut caller = Caller::new(sandboxes().await).await;
    let path = format!("/accounts/{ACCOUNT}");
    assert_eq!(caller.get(&path).await.1["account"]["accountNo"], "MNTA000001");
    caller
        .drivewealth
        .fault(Fault::new("GET", "/accounts", Effect::ExpireToken));
    let (status, body) = caller.get(&path).await;
    assert_eq!((status, body["errorCode"].as_str()), (401, Some("L025")));
    caller.sign_in().await;
    assert_eq!(caller.get(&path).await.0, 200);
    let url = format!("{}/drivewealth{path}", caller.sandboxes.url());
    let (status, _) = answer(client().get(url).header("dw-auth-token", &caller.token)).await;
    assert_eq!(status, 401);
    caller.drivewealth.session_lifetime(Duration::ZERO);
    caller.sign_in().await;
    assert_eq!(caller.get(&path).await.0, 401);
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn cash_moves_the_actual_weights_and_the_adviser_moves_the_targets() {
    let caller = Caller::new(sandboxes().await).await;
    let path = format!("/accounts/{ACCOUNT}/portfolio");
    let (_, before) = caller.get(&path).await;
    assert_eq!(before["equity"].to_string(), "1250");
    assert_eq!(before["holdings"][0]["target"].to_string(), "0.8");
    caller.drivewealth.set_cash(ACCOUNT, 75_000, 75_000).unwrap();
    let summary = format!("/accounts/{ACCOUNT}/summary/positions");
    let (_, positions) = caller.get(&summary).await;
    assert_eq!(positions["equityValue"].to_string(), "250");
    let (_, after) = caller.get(&path).await;
    assert_eq!(after["holdings"][0]["actual"].to_string(), "0.75");
    assert_eq!(after["holdings"][0]["target"].to_string(), "0.8");

    let portfolio = format!("/managed/portfolios/{}", after["id"].as_str().unwrap());
    let targets = |cash: &str| {
        json!({ "holdings": [
            { "type": "CASH_RESERVE", "target": cash },
            { "type": "FUND", "id": after["holdings"][1]["id"], "target": 0.25 },
        ] })
    };
    let (status, _) = answer(caller.request("PATCH", &portfolio).json(&targets("0.7"))).await;
    assert_eq!(status, 400);
    let (status, _) = answer(caller.request("PATCH", &portfolio).json(&targets("0.75"))).await;
    assert_eq!(status, 200);
    let (_, definition) = caller.get(&portfolio).await;
    assert_eq!(definition["holdings"][1]["target"].to_string(), "0.25");
    assert_eq!(caller.drivewealth.account(ACCOUNT).unwrap().cash_target, 7_500);

    for defect in [
        PortfolioDefect::Negative,
        PortfolioDefect::Sum,
        PortfolioDefect::Nulls,
    ] {
        caller.drivewealth.fault(Fault::new(
            "GET",
            "/accounts/*/portfolio",
            Effect::InvalidPortfolio { defect },
        ));
        assert_ne!(caller.get(&path).await.1["holdings"][0], after["holdings"][0]);
    }
    caller.sandboxes.stop().await;
}

#[tokio::test]
async fn a_declining_bank_account_rejects_or_refuses() {
    let caller = Caller::new(sandboxes().await).await;
    let reason = "NSF".to_owned();
    caller
        .drivewealth
        .decline_bank_account("bank_1", Decline::Rejected { reason });
    let id = caller.deposit("declined-key-00001").await;
    let rejected = caller.drivewealth.step(&id).unwrap();
    assert_eq!(
        (rejected.status, rejected.comment.as_str()),
        (status::REJECTED, "NSF")
    );
    caller
        .drivewealth
        .decline_bank_account("bank_1", Decline::DailyLimit);
    let (status, body) = answer(caller.pay("deposits", json!(5), "declined-key-00002")).await;
    assert_eq!((status, body["errorCode"].as_str()), (400, Some("E032")));
    assert!(body["message"].as_str().unwrap().contains("maximum daily ACH"));
    caller.sandboxes.stop().await;
}

async fn receive(sqs: &Sqs) -> Vec<Value> {
    let url = sqs.url("events").unwrap();
    let receive = sqs
        .client()
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .wait_time_seconds(5);
    let messages = receive.send().await.unwrap().messages.unwrap_or_default();
    messages
        .iter()
        .map(|message| serde_json::from_str(message.body().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn events_reach_the_queue_as_the_modes_say() {
    let sqs = Sqs::start(crate::backends::region()).await.unwrap();
    let queue = QueueSpec {
        name: "events".to_owned(),
        fifo: false,
        visibility_timeout_s: 60,
        message_retention_s: 3600,
        content_based_deduplication: false,
        dead_letter: None,
    };
    sqs.create_queues(&[queue]).await.unwrap();
    let sink = EventSink {
        client: sqs.client().clone(),
        queue_url: sqs.url("events").unwrap(),
    };
    let options = SandboxOptions {
        events: Some(sink),
        ..SandboxOptions::default()
    };
    let caller = Caller::new(Sandboxes::start(options).await.unwrap()).await;
    let drivewealth = &caller.drivewealth;
    drivewealth.flush_events().await;
    assert_eq!(receive(&sqs).await[0]["type"], "accounts.created");

    drivewealth.hold_events(true);
    let id = caller.deposit("events-key-0000001").await;
    drivewealth.step(&id).unwrap();
    drivewealth.hold_events(false);
    drivewealth.flush_events().await;
    // What was held is made, and can be sent in any order.
    let events = drivewealth.events_of(&id);
    drivewealth.send_envelope(&events[1]).await;
    assert_eq!(receive(&sqs).await, [events[1].clone()]);
    drivewealth.release_events().await;
    assert_eq!(receive(&sqs).await, events);

    drivewealth.duplicate_events(true);
    drivewealth.shuffle_events(true);
    drivewealth.step(&id).unwrap();
    drivewealth.flush_events().await;
    let twice = receive(&sqs).await;
    assert_eq!((twice.len(), &twice[0]), (2, &twice[1]));
    caller.sandboxes.stop().await;
    sqs.stop().await;
}

#[tokio::test]
async fn payments_move_by_themselves_and_their_state_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let options = || SandboxOptions {
        state: Some(state.path().to_owned()),
        ..SandboxOptions::default()
    };
    let caller = Caller::new(Sandboxes::start(options()).await.unwrap()).await;
    let id = caller.deposit("restart-key-000001").await;
    caller.sandboxes.stop().await;

    let sandboxes = Sandboxes::start(options()).await.unwrap();
    let drivewealth = sandboxes.drivewealth();
    assert!(!drivewealth.seed_account(seed()).unwrap().created);
    drivewealth.auto_advance(Some(Duration::from_millis(1)));
    for _ in 0..1_000 {
        if drivewealth.payment(&id).unwrap().status == status::SUCCESSFUL {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(drivewealth.payment(&id).unwrap().path, [1, 14, 2]);
    assert_eq!(drivewealth.cash_cents(ACCOUNT), Some(125_010));
    sandboxes.stop().await;
}

#[tokio::test]
async fn a_person_can_drive_it_by_http() {
    let caller = Caller::new(sandboxes().await).await;
    let control = |path: &str| format!("{}/control/drivewealth{path}", caller.sandboxes.url());
    let second = SeedAccount {
        account_id: "second".to_owned(),
        account_no: "MNTA000002".to_owned(),
        ..seed()
    };
    assert_eq!(
        answer(client().post(control("/accounts")).json(&second)).await.1["created"],
        true
    );
    assert_eq!(
        answer(client().post(control("/accounts")).json(&second)).await.1["created"],
        false
    );
    let id = caller.deposit("by-hand-key-000001").await;
    let (_, payment) = answer(client().post(control(&format!("/payments/{id}/step")))).await;
    assert_eq!(payment["status"], 14);
    let advance = json!({ "status": 3, "comment": "by hand" });
    let (_, payment) = answer(
        client()
            .post(control(&format!("/payments/{id}/advance")))
            .json(&advance),
    )
    .await;
    assert_eq!(
        (&payment["status"], &payment["comment"]),
        (&json!(3), &json!("by hand"))
    );
    let modes = json!({ "auto_advance_ms": 5, "hold": true });
    let (_, overview) = answer(client().post(control("/modes")).json(&modes)).await;
    assert_eq!(
        (&overview["auto_advance_ms"], &overview["delivery"]["hold"]),
        (&json!(5), &json!(true))
    );
    let (_, overview) = answer(
        client()
            .post(control("/modes"))
            .json(&json!({ "auto_advance_ms": null })),
    )
    .await;
    assert_eq!(overview["auto_advance_ms"], Value::Null);
    assert_eq!(answer(client().get(control("/nowhere"))).await.0, 404);
    caller.sandboxes.stop().await;
}

/// Makes a fund of two instruments, gives it a half of the account, and lets a run trade for it step by step.
#[tokio::test]
async fn a_run_brings_an_account_to_its_targets_through_drivewealths_states() {
    let caller = Caller::new(sandboxes().await).await;
    caller.drivewealth.run_pace(None);
    let fund = |key: &'static str| {
        let holding = |symbol, target| json!({ "instrumentID": caller.drivewealth.instrument_id(symbol), "target": target });
        let body = json!({
            "userID": RIA_USER_ID, "name": "Technology", "clientFundID": "1_1",
            "holdings": [holding("AAPL", "0.6"), holding("MSFT", "0.4")],
        });
        let request = caller.request("POST", "/managed/funds");
        answer(request.header("Idempotency-Key", key).json(&body))
    };
    let (status, made) = fund("fund-key-0000000001").await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(fund("fund-key-0000000001").await.1, made);
    assert_eq!(fund("fund-key-0000000002").await.0, 400);
    let (_, funds) = caller.get(&format!("/users/{RIA_USER_ID}/managed/funds")).await;
    let named = funds
        .as_array()
        .unwrap()
        .iter()
        .find(|fund| fund["clientFundID"] == "1_1");
    assert_eq!(named.unwrap()["id"], made["id"]);

    let account = caller.drivewealth.account(ACCOUNT).unwrap();
    let targets = json!({ "holdings": [
        { "type": "CASH_RESERVE", "target": "0.3" }, { "type": "FUND", "id": account.funds[0].id, "target": "0.2" },
        { "type": "FUND", "id": made["id"], "target": "0.5" },
    ] });
    let path = format!("/managed/portfolios/{}", account.portfolio_id);
    assert_eq!(answer(caller.request("PATCH", &path).json(&targets)).await.0, 200);
    let body = json!({ "reviewOnly": false, "forceRebalance": true, "subAccounts": [ACCOUNT] });
    let request = caller.request("POST", &format!("/managed/autopilot/{RIA_USER_ID}"));
    let (_, run) = answer(
        request
            .header("Idempotency-Key", "run-key-00000000001")
            .json(&body),
    )
    .await;
    assert_eq!(run["status"], "REBALANCE_NOT_STARTED");
    let run = run["id"].as_str().unwrap().to_owned();
    while caller.drivewealth.step_run(&run).unwrap().status != "SUCCESS" {}
    let (_, ended) = caller.get(&format!("/managed/autopilot/{run}")).await;
    assert_eq!(
        (&ended["status"], &ended["subAccounts"]["error"]),
        (&json!("SUCCESS"), &json!(0))
    );

    // $1,000.00 of cash beside a fund of $250.00.
    let (_, portfolio) = caller.get(&format!("/accounts/{ACCOUNT}/portfolio")).await;
    let values = portfolio["holdings"].as_array().unwrap().iter();
    let values: Vec<String> = values.map(|holding| holding["value"].to_string()).collect();
    assert_eq!(values, ["375", "250", "625"]);
    let trades = caller.drivewealth.trades_of(ACCOUNT);
    let mut trades: Vec<_> = trades
        .iter()
        .map(|trade| (trade.symbol.as_str(), trade.amount_cents))
        .collect();
    trades.sort_unstable();
    assert_eq!(trades, [("AAPL", 37_500), ("MSFT", 25_000)]);
    let (_, positions) = caller
        .get(&format!("/accounts/{ACCOUNT}/summary/positions"))
        .await;
    assert_eq!(positions["equityValue"].to_string(), "875");
}

#[tokio::test]
async fn weights_are_floored_and_a_run_without_accounts_is_for_all_of_them() {
    let caller = Caller::new(sandboxes().await).await;
    caller.drivewealth.set_cash(ACCOUNT, 100_001, 0).unwrap();
    caller
        .drivewealth
        .set_fund_value(ACCOUNT, "Clean energy", 200_000)
        .unwrap();
    let (_, portfolio) = caller.get(&format!("/accounts/{ACCOUNT}/portfolio")).await;
    let actual = |index: usize| portfolio["holdings"][index]["actual"].to_string();
    assert_eq!((actual(0), actual(1)), ("0.3333".to_owned(), "0.6666".to_owned()));
    let body = json!({ "reviewOnly": false, "forceRebalance": true });
    let request = caller.request("POST", &format!("/managed/autopilot/{RIA_USER_ID}"));
    let (status, _) = answer(
        request
            .header("Idempotency-Key", "run-key-00000000002")
            .json(&body),
    )
    .await;
    assert_eq!(status, 200);
    assert!(caller.drivewealth.runs().iter().all(|run| run.is_of_all));
    let (_, listed) = caller.get("/instruments").await;
    let states = listed.as_array().unwrap().iter();
    assert!(states.into_iter().any(|one| one["status"] == "INACTIVE"));
}
