//! Batches: all or none, or each by itself; keys, repetitions, and the same outcome as one by one.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::{WalletClient, new_key, settled_batch, wallet_rows};
use end_to_end::{Answer, Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        each_transfer_of_a_batch_has_its_own_result,
        alone(atomic_batch_is_done_whole_or_not_at_all),
        same_key_twice_in_a_batch_pays_once,
        batch_and_its_transfers_share_their_keys,
        key_of_a_batch_covers_all_of_it,
        key_covers_a_batch_of_which_nothing_can_be_asked_for,
        keys_of_a_batch_and_of_its_items_never_meet,
        copies_of_a_batch_at_once_pay_once,
        own_key_is_kept_by_the_item_that_is_made,
        batch_does_what_its_transfers_one_by_one_would,
        batch_beyond_its_limits_is_refused,
    ]
}

async fn send(client: &WalletClient, key: &str, mode: &str, transfers: &[Value]) -> Result<Answer> {
    let body = json!({ "mode": mode, "transfers": transfers });
    let answer = client.service.post("/transfers/batch", key, &body).await?;
    settled_batch(&client.service, answer).await
}

fn item(payer: &WalletClient, currency: &str, receiver: &WalletClient, more: Value) -> Result<Value> {
    let mut item = payer.order(currency, receiver, more)?;
    item["client_id"] = json!(payer.id);
    Ok(item)
}

fn codes(answer: &Answer) -> Result<Vec<String>> {
    let items = answer.body["items"].as_array().context("no items")?;
    let code = |item: &Value| match item["problem"]["code"].as_str() {
        Some(code) => code.to_owned(),
        None if item["replayed"] == true => "replayed".to_owned(),
        None => "done".to_owned(),
    };
    Ok(items.iter().map(code).collect())
}

async fn each_transfer_of_a_batch_has_its_own_result(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("BRL", "MXN", "3.5").await?;
    let alice = fixture.wallet_client(&[("BRL", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("BRL", 0)]).await?;
    let clara = fixture.wallet_client(&[("MXN", 0)]).await?;
    let transfers = [
        item(&alice, "BRL", &bob, json!({ "amount": 600 }))?,
        item(&alice, "BRL", &bob, json!({ "amount": 600 }))?,
        // What the first brought is there already.
        item(&bob, "BRL", &clara, json!({ "amount": 600 }))?,
        item(&alice, "BRL", &clara, json!({ "receiver_amount": 350 }))?,
        item(&alice, "BRL", &alice, json!({ "amount": 1 }))?,
        item(&alice, "BRL", &bob, json!({ "amount": 0 }))?,
        item(
            &alice,
            "BRL",
            &bob,
            json!({ "amount": 300, "receiver_currency": "EUR" }),
        )?,
    ];
    let key = new_key();
    let answer = send(&alice, &key, "each", &transfers).await?.expect(200)?;
    let expected = [
        "done",
        "insufficient-funds",
        "done",
        "done",
        "same-wallet",
        "amount-not-positive",
        "receiver-wallet-not-found",
    ];
    ensure_eq!(codes(&answer)?, expected);
    ensure_eq!(answer.body["items"][1]["problem"]["status"], json!(402));
    ensure_eq!(answer.body["items"][2]["payment"]["partner_amount"], json!(2_100));
    ensure_eq!((alice.balance("BRL").await?, bob.balance("BRL").await?), (300, 0));
    ensure_eq!(clara.balance("MXN").await?, 2_450);
    // Sent again, the whole is answered as it was, what was refused too.
    ensure_eq!(answer.header("idempotency-replayed"), "");
    alice.recharge("BRL", 1_000).await?.expect(201)?;
    let again = send(&alice, &key, "each", &transfers).await?.expect(200)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    let expected_again = [
        "replayed",
        "insufficient-funds",
        "replayed",
        "replayed",
        "same-wallet",
        "amount-not-positive",
        "receiver-wallet-not-found",
    ];
    ensure_eq!(codes(&again)?, expected_again);
    for position in 0..transfers.len() {
        for part in ["payment", "problem"] {
            ensure_eq!(
                without_instance(&again.body["items"][position][part]),
                without_instance(&answer.body["items"][position][part])
            );
        }
    }
    ensure_eq!(
        (alice.balance("BRL").await?, bob.balance("BRL").await?),
        (1_300, 0)
    );
    // What was refused is tried again under a new key; what has a key of its own is made once under it all the same.
    let own = new_key();
    let mut mixed = [transfers[1].clone(), transfers[1].clone()];
    mixed[0]["idempotency_key"] = json!(own);
    for (codes_of_run, balance) in [
        (["done", "done"], 1_200),
        (["replayed", "insufficient-funds"], 1_200),
    ] {
        let answer = send(&alice, &new_key(), "each", &mixed).await?.expect(200)?;
        ensure_eq!(codes(&answer)?, codes_of_run);
        ensure_eq!(bob.balance("BRL").await?, balance);
    }
    Ok(())
}

fn without_instance(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("instance");
        fields.remove("correlation_id");
    }
    value
}

/// Two payers' transfers under one key, in the other order or another mode: it is another batch.
async fn key_of_a_batch_covers_all_of_it(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let clara = fixture.wallet_client(&[("USD", 0)]).await?;
    let items = [
        item(&alice, "USD", &clara, json!({ "amount": 10 }))?,
        item(&bob, "USD", &clara, json!({ "amount": 10 }))?,
    ];
    for mode in ["atomic", "each"] {
        let key = new_key();
        let before = clara.balance("USD").await?;
        let first = send(&alice, &key, mode, &items).await?.expect(200)?;
        let others = [
            (mode, vec![items[1].clone(), items[0].clone()]),
            (if mode == "each" { "atomic" } else { "each" }, items.to_vec()),
            (mode, vec![items[0].clone()]),
        ];
        for (mode, items) in others {
            let refused = send(&alice, &key, mode, &items).await?;
            refused.expect_problem(422, "idempotency-key-reused")?;
        }
        let again = send(&alice, &key, mode, &items).await?.expect(200)?;
        ensure_eq!(again.header("idempotency-replayed"), "true");
        ensure_eq!(
            again.body["items"][0]["payment"],
            first.body["items"][0]["payment"]
        );
        ensure_eq!(clara.balance("USD").await? - before, 20);
    }
    Ok(())
}

/// Each of its transfers is refused by its shape alone.
async fn key_covers_a_batch_of_which_nothing_can_be_asked_for(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let shapeless = [item(&alice, "USD", &bob, json!({ "amount": 0 }))?];
    let good = [item(&alice, "USD", &bob, json!({ "amount": 10 }))?];
    for replayed in ["", "true"] {
        let answer = send(&alice, &key, "each", &shapeless).await?.expect(200)?;
        ensure_eq!(codes(&answer)?, ["amount-not-positive"]);
        ensure_eq!(answer.header("idempotency-replayed"), replayed);
    }
    let other = send(&alice, &key, "each", &good).await?;
    other.expect_problem(422, "idempotency-key-reused")?;
    let key = new_key();
    send(&alice, &key, "each", &good).await?.expect(200)?;
    let other = send(&alice, &key, "each", &shapeless).await?;
    other.expect_problem(422, "idempotency-key-reused")?;
    ensure_eq!(bob.balance("USD").await?, 10);
    Ok(())
}

/// Under the keys that were once derived from a batch's (K#0, K#1) something else may be paid.
async fn keys_of_a_batch_and_of_its_items_never_meet(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let order = |amount: i64, own: Option<String>| {
        item(
            &alice,
            "USD",
            &bob,
            json!({ "amount": amount, "idempotency_key": own }),
        )
    };
    let batch = [
        order(10, None)?,
        order(10, None)?,
        order(10, Some(format!("{key}#1")))?,
    ];
    let answer = send(&alice, &key, "each", &batch).await?.expect(200)?;
    ensure_eq!(codes(&answer)?, ["done", "done", "done"]);
    let body = alice.order("USD", &bob, json!({ "amount": 10 }))?;
    for own in [format!("{key}#0"), key] {
        let single = alice.service.post(&alice.path("transfers"), &own, &body).await?;
        let single = alice.settled(single).await?.expect(201)?;
        ensure_eq!(single.header("idempotency-replayed"), "");
    }
    ensure_eq!(bob.balance("USD").await?, 50);
    Ok(())
}

async fn copies_of_a_batch_at_once_pay_once(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let items = vec![item(&alice, "USD", &bob, json!({ "amount": 1 }))?; 20];
    let answers = try_join_all((0..20).map(|_| send(&alice, &key, "each", &items))).await?;
    ensure!(answers.iter().any(|answer| answer.status == 200), "none was done");
    for answer in &answers {
        let in_flight = answer.status == 409 && answer.body["code"] == "request-in-flight";
        ensure!(answer.status == 200 || in_flight, "{}", answer.text);
    }
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (980, 20)
    );
    Ok(())
}

/// An own key of a refused item is free for the next one, which keeps it.
async fn own_key_is_kept_by_the_item_that_is_made(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 100)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let order = |amount: i64| {
        item(
            &alice,
            "USD",
            &bob,
            json!({ "amount": amount, "idempotency_key": key }),
        )
    };
    let items = [order(500)?, order(60)?, order(60)?, order(30)?];
    let answer = send(&alice, &new_key(), "each", &items).await?.expect(200)?;
    ensure_eq!(
        codes(&answer)?,
        ["insufficient-funds", "done", "replayed", "idempotency-key-reused"]
    );
    ensure_eq!(bob.balance("USD").await?, 60);
    Ok(())
}

async fn atomic_batch_is_done_whole_or_not_at_all(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let good = [
        item(&alice, "USD", &bob, json!({ "amount": 400 }))?,
        item(&bob, "USD", &alice, json!({ "amount": 100 }))?,
    ];
    let bad = item(&alice, "USD", &bob, json!({ "amount": 701 }))?;
    fixture.rest().await?;
    let before = wallet_rows(fixture.database.pool()).await?;
    let key = new_key();
    let refused = send(&alice, &key, "atomic", &[good[0].clone(), good[1].clone(), bad]).await?;
    let refused = refused.expect_problem(402, "insufficient-funds")?;
    ensure_eq!(refused.body["errors"][0]["field"], json!("transfers[2].amount"));
    ensure_eq!(
        wallet_rows(fixture.database.pool()).await?,
        before,
        "rows of the wallets"
    );
    // The keys of what was not done are free.
    let done = send(&alice, &key, "atomic", &good).await?.expect(200)?;
    ensure_eq!(codes(&done)?, ["done", "done"]);
    let again = send(&alice, &key, "atomic", &good).await?.expect(200)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(codes(&again)?, ["replayed", "replayed"]);
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (700, 300)
    );
    Ok(())
}

async fn same_key_twice_in_a_batch_pays_once(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let transfers = [
        item(
            &alice,
            "USD",
            &bob,
            json!({ "amount": 10, "idempotency_key": key }),
        )?,
        item(
            &alice,
            "USD",
            &bob,
            json!({ "amount": 10, "idempotency_key": key }),
        )?,
        item(
            &alice,
            "USD",
            &bob,
            json!({ "amount": 11, "idempotency_key": key }),
        )?,
        item(&alice, "USD", &bob, json!({ "amount": 10 }))?,
    ];
    let answer = send(&alice, &new_key(), "each", &transfers).await?.expect(200)?;
    ensure_eq!(
        codes(&answer)?,
        ["done", "replayed", "idempotency-key-reused", "done"]
    );
    ensure_eq!(
        answer.body["items"][0]["payment"],
        answer.body["items"][1]["payment"]
    );
    ensure_eq!(bob.balance("USD").await?, 20);
    let refused = send(&alice, &new_key(), "atomic", &transfers).await?;
    let refused = refused.expect_problem(422, "idempotency-key-reused")?;
    ensure_eq!(
        refused.body["errors"][0]["field"],
        json!("transfers[2].idempotency_key")
    );
    // A refused transfer and its copy are refused alike.
    let key = new_key();
    let order = item(
        &alice,
        "USD",
        &bob,
        json!({ "amount": 5_000, "idempotency_key": key }),
    )?;
    let answer = send(&alice, &new_key(), "each", &[order.clone(), order])
        .await?
        .expect(200)?;
    ensure_eq!(codes(&answer)?, ["insufficient-funds", "insufficient-funds"]);
    Ok(())
}

async fn batch_and_its_transfers_share_their_keys(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let body = alice.order("USD", &bob, json!({ "amount": 10 }))?;
    let single = alice.service.post(&alice.path("transfers"), &key, &body).await?;
    let single = alice.settled(single).await?.expect(201)?;
    let order = item(
        &alice,
        "USD",
        &bob,
        json!({ "amount": 10, "idempotency_key": key }),
    )?;
    let answer = send(&alice, &new_key(), "each", &[order]).await?.expect(200)?;
    ensure_eq!(codes(&answer)?, ["replayed"]);
    ensure_eq!(answer.body["items"][0]["payment"], single.body);
    ensure_eq!(bob.balance("USD").await?, 10);
    Ok(())
}

/// The part of a payment that two runs have in common.
fn essence(payment: &Value) -> Value {
    let fields = [
        "currency",
        "amount",
        "partner_currency",
        "partner_amount",
        "exchange_rate",
        "balance_after",
    ];
    fields.iter().map(|field| payment[*field].clone()).collect()
}

async fn batch_does_what_its_transfers_one_by_one_would(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("THB", "SGD", "0.0385").await?;
    fixture.set_rate("SGD", "THB", "25.97").await?;
    let orders = [
        (0, 1, json!({ "amount": 700 })),
        (1, 2, json!({ "amount": 650 })),
        (2, 0, json!({ "amount": 12 })),
        (0, 2, json!({ "receiver_amount": 20 })),
        (1, 2, json!({ "receiver_amount": 9 })),
        (2, 1, json!({ "receiver_amount": 260 })),
        (0, 1, json!({ "amount": 5_000 })),
        (2, 0, json!({ "amount": 40 })),
    ];
    let currencies = ["THB", "THB", "SGD"];
    let people = async || {
        let first = fixture.wallet_client(&[("THB", 1_000)]).await?;
        let second = fixture.wallet_client(&[("THB", 0)]).await?;
        let third = fixture.wallet_client(&[("SGD", 0)]).await?;
        Result::<_>::Ok([first, second, third])
    };
    let singly = people().await?;
    let mut outcomes = Vec::new();
    for (payer, receiver, more) in &orders {
        // By a service as the batch is, which is told why somebody can't be paid.
        let payer_client = &singly[*payer];
        let body = payer_client.order(currencies[*payer], &singly[*receiver], more.clone())?;
        let path = payer_client.path("transfers");
        let answer = payer_client.service.post(&path, &new_key(), &body).await?;
        outcomes.push(match answer.status {
            201 => essence(&answer.body),
            _ => answer.body["code"].clone(),
        });
    }
    let together = people().await?;
    let items: Vec<Value> = orders
        .iter()
        .map(|(payer, receiver, more)| {
            item(
                &together[*payer],
                currencies[*payer],
                &together[*receiver],
                more.clone(),
            )
        })
        .collect::<Result<_>>()?;
    let answer = send(&together[0], &new_key(), "each", &items)
        .await?
        .expect(200)?;
    for (position, expected) in outcomes.iter().enumerate() {
        let item = &answer.body["items"][position];
        let seen = match &item["payment"] {
            Value::Null => item["problem"]["code"].clone(),
            payment => essence(payment),
        };
        ensure_eq!(seen, *expected, "transfer {position}");
    }
    ensure!(outcomes.iter().any(Value::is_string), "none was refused");
    Ok(())
}

async fn batch_beyond_its_limits_is_refused(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let order = item(&alice, "USD", &bob, json!({ "amount": 1 }))?;
    for size in [0, 501] {
        let refused = send(&alice, &new_key(), "each", &vec![order.clone(); size]).await?;
        let refused = refused.expect_problem(422, "invalid-value")?;
        ensure_eq!(refused.body["errors"][0]["field"], json!("transfers"));
    }
    let answer = send(&alice, &new_key(), "atomic", &vec![order; 500])
        .await?
        .expect(200)?;
    ensure!(
        codes(&answer)?.iter().all(|code| code == "done"),
        "{}",
        answer.text
    );
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (500, 500)
    );
    Ok(())
}
