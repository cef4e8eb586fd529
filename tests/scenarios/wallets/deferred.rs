//! Transfers that are deferred: the money leaves at once and arrives when it is settled.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::new_key;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use local_cloud::Options;
use serde_json::{Value, json};

use crate::books;
use crate::transfers::{mirrored, sides};

/// What settles transfers.
const SETTLEMENT: &str = "settle_transfers";
/// Its wake-ups.
const NUDGES: &str = "transfer-nudges";

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        deferred_transfer_is_settled_by_its_wake_up,
        alone(deferred_transfer_is_pending_until_it_is_settled),
        alone(lost_wake_up_is_made_up_for_by_the_schedule),
        alone(deferred_batch_waits_as_its_transfers_do),
        alone(refused_transfer_is_an_entry_and_its_return),
        refusal_before_the_money_is_taken_is_as_ever,
    ]
}

pub(crate) fn options() -> Options {
    let mut options = end_to_end::options();
    for function in ["transfer", "transfer_batch"] {
        options
            .function_environment
            .entry(function.to_owned())
            .or_default()
            .insert("TRANSFER_MODE".to_owned(), "deferred".to_owned());
    }
    options
}

pub(crate) async fn settle(fixture: &Fixture) -> Result<Value> {
    eventually("the settlement has its turn", async || {
        let result = fixture.cloud.run_schedule(SETTLEMENT, None).await?;
        ensure!(result.function_error.is_none(), "{:?}", result.payload);
        ensure!(result.payload["left_to_another"] == false, "{}", result.payload);
        Ok(result.payload)
    })
    .await
}

async fn deferred_transfer_is_settled_by_its_wake_up(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 500)]).await?;
    let made = alice
        .pay("USD", &bob, json!({ "amount": 2_500 }))
        .await?
        .expect(202)?;
    ensure_eq!(made.body["payment_status"], json!("pending"));
    ensure_eq!(made.body["balance_after"], json!(7_500));
    eventually(
        "the receiver has the money, and the payer's side is done",
        async || {
            let (payer, receiver) = sides(&alice, &bob, &made.body["transaction_id"]).await?;
            mirrored(&payer, &receiver)
        },
    )
    .await?;
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (7_500, 3_000)
    );
    eventually("both are told", async || {
        for (client, kind) in [(&alice, "transfer.done"), (&bob, "transfer.received")] {
            let rows = fixture
                .database
                .outbox_of_key(&format!("client-{}", client.id))
                .await?;
            let told = rows
                .iter()
                .filter(|row| row.kind == kind && row.published_at.is_some());
            ensure_eq!(told.count(), 1, "{kind}");
        }
        Ok(())
    })
    .await
}

async fn deferred_transfer_is_pending_until_it_is_settled(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    fixture.cloud.pause_event_source(NUDGES, true).await?;
    let key = new_key();
    let order = json!({ "amount": 2_500 });
    let made = alice
        .pay_under(&key, "USD", &bob, order.clone())
        .await?
        .expect(202)?;
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (7_500, 0)
    );
    let pending = alice
        .api
        .get(&alice.path("payments?status=pending"))
        .await?
        .expect(200)?;
    ensure_eq!(pending.body["items"], json!([made.body]));
    let payment = alice.path(&format!("payments/{}", made.body["id"]));
    ensure_eq!(alice.api.get(&payment).await?.expect(200)?.body, made.body);
    ensure_eq!(bob.payments().await?, Vec::<Value>::new());
    let again = alice
        .pay_under(&key, "USD", &bob, order.clone())
        .await?
        .expect(202)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(again.body, made.body);
    alice
        .pay_under(&key, "USD", &bob, json!({ "amount": 2_501 }))
        .await?
        .expect_problem(422, "idempotency-key-reused")?;
    let report = books::reconcile(&fixture).await?;
    ensure_eq!(
        (report["differences"].clone(), report["pending"].clone()),
        (json!(0), json!(1))
    );

    ensure_eq!(settle(&fixture).await?["settled"], json!(1));
    fixture.cloud.pause_event_source(NUDGES, false).await?;
    let again = alice.pay_under(&key, "USD", &bob, order).await?.expect(201)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(again.body["id"], made.body["id"]);
    ensure_eq!(again.body["payment_status"], json!("done"));
    ensure_eq!(alice.api.get(&payment).await?.expect(200)?.body, again.body);
    let (payer, receiver) = sides(&alice, &bob, &made.body["transaction_id"]).await?;
    mirrored(&payer, &receiver)?;
    let report = books::reconcile(&fixture).await?;
    ensure_eq!(
        (report["differences"].clone(), report["pending"].clone()),
        (json!(0), json!(0))
    );
    Ok(())
}

async fn lost_wake_up_is_made_up_for_by_the_schedule(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    fixture.cloud.pause_event_source(NUDGES, true).await?;
    for _ in 0..3 {
        alice
            .pay("USD", &bob, json!({ "amount": 100 }))
            .await?
            .expect(202)?;
    }
    ensure_eq!(settle(&fixture).await?["settled"], json!(3));
    fixture.cloud.pause_event_source(NUDGES, false).await?;
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (9_700, 300)
    );
    Ok(())
}

async fn deferred_batch_waits_as_its_transfers_do(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    fixture.cloud.pause_event_source(NUDGES, true).await?;
    let item = |amount: i64| {
        let mut item = alice.order("USD", &bob, json!({ "amount": amount }))?;
        item["client_id"] = json!(alice.id);
        Result::<_>::Ok(item)
    };
    let send = async |key: &str, mode: &str, amounts: &[i64]| {
        let transfers = amounts
            .iter()
            .map(|amount| item(*amount))
            .collect::<Result<Vec<_>>>()?;
        let body = json!({ "mode": mode, "transfers": transfers });
        alice.service.post("/transfers/batch", key, &body).await
    };
    let key = new_key();
    send(&key, "atomic", &[600, 500])
        .await?
        .expect_problem(402, "insufficient-funds")?;
    ensure_eq!(alice.balance("USD").await?, 1_000);
    let made = send(&key, "each", &[600, 500, 300]).await?.expect(200)?;
    let status = |answer: &Value, n: usize| answer["items"][n]["payment"]["payment_status"].clone();
    ensure_eq!(
        [0, 1, 2].map(|n| status(&made.body, n)),
        [json!("pending"), Value::Null, json!("pending")]
    );
    ensure_eq!(
        made.body["items"][1]["problem"]["code"],
        json!("insufficient-funds")
    );
    ensure_eq!(alice.balance("USD").await?, 100);
    ensure_eq!(settle(&fixture).await?["settled"], json!(2));
    fixture.cloud.pause_event_source(NUDGES, false).await?;
    let again = send(&key, "each", &[600, 500, 300]).await?.expect(200)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(
        [0, 2].map(|n| status(&again.body, n)),
        [json!("done"), json!("done")]
    );
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (100, 900)
    );
    Ok(())
}

async fn refused_transfer_is_an_entry_and_its_return(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let full = fixture.wallet_client(&[("USD", i64::MAX - 100)]).await?;
    let key = new_key();
    let order = json!({ "amount": 200 });
    let made = alice
        .pay_under(&key, "USD", &full, order.clone())
        .await?
        .expect(202)?;
    eventually("the money is back", async || {
        ensure_eq!(alice.balance("USD").await?, 1_000);
        Ok(())
    })
    .await?;
    let again = alice.pay_under(&key, "USD", &full, order).await?.expect(201)?;
    ensure_eq!(again.body["id"], made.body["id"]);
    ensure_eq!(again.body["payment_status"], json!("failed"));
    ensure_eq!(full.balance("USD").await?, i64::MAX - 100);
    let path = format!("wallets/{}/statement", alice.wallet("USD")?);
    let statement = alice.api.get(&alice.path(&path)).await?.expect(200)?;
    let lines = statement.body["lines"].as_array().context("no lines")?;
    let amounts: Vec<_> = lines.iter().map(|line| line["amount"].as_i64()).collect();
    ensure_eq!(amounts, [Some(1_000), Some(-200), Some(200)], "lines");
    let rows = fixture
        .database
        .outbox_of_key(&format!("client-{}", alice.id))
        .await?;
    let failed: Vec<_> = rows.iter().filter(|row| row.kind == "transfer.failed").collect();
    ensure_eq!(failed.len(), 1);
    ensure_eq!(
        failed[0].payload["data"]["transaction_id"],
        made.body["transaction_id"]
    );
    ensure_eq!(books::reconcile(&fixture).await?["differences"], json!(0));
    Ok(())
}

async fn refusal_before_the_money_is_taken_is_as_ever(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let pay = async |receiver, more: Value| alice.pay("USD", receiver, more).await;
    pay(&bob, json!({ "amount": 1_001 }))
        .await?
        .expect_problem(402, "insufficient-funds")?;
    pay(&alice, json!({ "amount": 1 }))
        .await?
        .expect_problem(422, "same-wallet")?;
    pay(&bob, json!({ "amount": 0 }))
        .await?
        .expect_problem(422, "amount-not-positive")?;
    // A client isn't told who else there is; a service is.
    let nobody = fixture.wallet_client(&[]).await?;
    pay(&nobody, json!({ "amount": 1 }))
        .await?
        .expect_problem(404, "receiver-not-found")?;
    pay(&bob, json!({ "amount": 1, "receiver_currency": "EUR" }))
        .await?
        .expect_problem(422, "no-exchange-rate")?;
    let body = alice.order("USD", &bob, json!({ "amount": 1, "receiver_currency": "EUR" }))?;
    let told = alice
        .service
        .post(&alice.path("transfers"), &new_key(), &body)
        .await?;
    told.expect_problem(404, "receiver-wallet-not-found")?;
    ensure_eq!(alice.balance("USD").await?, 1_000);
    Ok(())
}
