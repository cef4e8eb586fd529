//! Transfers: the signs of both sides, the receiver's wallet, what is refused, and idempotency.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::{WalletClient, new_key, wallet_rows};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, scenarios};
use futures::future::try_join_all;
use serde_json::{Value, json};

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        both_sides_of_a_transfer_mirror_each_other,
        receiving_wallet_is_found_by_the_rules,
        refusal_tells_a_client_nothing_of_others,
        alone(refused_transfer_writes_nothing),
        transfer_repeated_under_its_key_gets_the_same_answer,
        alone(key_in_flight_is_reported),
        alone(forty_copies_at_once_pay_once),
        transfer_is_published_for_payer_and_receiver,
        client_is_registered_once_per_reference,
    ]
}

/// The two payments of a transaction, the payer's first.
pub(crate) async fn sides(
    payer: &WalletClient,
    receiver: &WalletClient,
    transaction: &Value,
) -> Result<(Value, Value)> {
    let of = async |client: &WalletClient| {
        let payments = client.payments().await?;
        let found = payments
            .into_iter()
            .find(|payment| payment["transaction_id"] == *transaction);
        found.context("the transaction is not in the list")
    };
    Ok((of(payer).await?, of(receiver).await?))
}

pub(crate) fn mirrored(payer: &Value, receiver: &Value) -> Result {
    for (one, other) in [(payer, receiver), (receiver, payer)] {
        ensure_eq!(one["client_id"], other["partner_client_id"]);
        ensure_eq!(one["wallet_id"], other["partner_wallet_id"]);
        ensure_eq!(one["currency"], other["partner_currency"]);
        ensure_eq!(one["amount"], other["partner_amount"]);
    }
    ensure_eq!(payer["transaction_id"], receiver["transaction_id"]);
    ensure_eq!(payer["exchange_rate"], receiver["exchange_rate"]);
    ensure!(
        payer["amount"].as_i64() < Some(0) && payer["partner_amount"].as_i64() > Some(0),
        "{payer}"
    );
    ensure!(
        receiver["amount"].as_i64() > Some(0) && receiver["partner_amount"].as_i64() < Some(0),
        "{receiver}"
    );
    for side in [payer, receiver] {
        ensure_eq!(side["payment_type"], json!("transfer"));
        ensure_eq!(side["payment_status"], json!("done"));
    }
    Ok(())
}

async fn both_sides_of_a_transfer_mirror_each_other(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 500)]).await?;
    let answer = alice
        .transfer("USD", &bob, json!({ "amount": 2_500 }))
        .await?
        .expect(201)?;
    ensure_eq!(answer.body["amount"], json!(-2_500));
    ensure_eq!(answer.body["partner_amount"], json!(2_500));
    ensure_eq!(answer.body["exchange_rate"], json!("1"));
    ensure_eq!(answer.body["balance_after"], json!(7_500));
    let (payer, receiver) = sides(&alice, &bob, &answer.body["transaction_id"]).await?;
    mirrored(&payer, &receiver)?;
    ensure_eq!(payer, answer.body, "the answer is the payer's payment");
    ensure_eq!(receiver["balance_after"], json!(3_000));
    ensure_eq!(alice.balance("USD").await?, 7_500);
    ensure_eq!(bob.balance("USD").await?, 3_000);
    // UUID version 7, so that transactions sort by time.
    let transaction = answer.body["transaction_id"].as_str().context("no transaction")?;
    ensure_eq!(uuid::Uuid::parse_str(transaction)?.get_version_num(), 7);
    Ok(())
}

async fn receiving_wallet_is_found_by_the_rules(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("PLN", "CZK", "5.8").await?;
    let payer = fixture.wallet_client(&[("PLN", 10_000)]).await?;
    let both = fixture.wallet_client(&[("CZK", 0), ("PLN", 0)]).await?;
    // The same currency, though the other wallet is older.
    payer
        .transfer("PLN", &both, json!({ "amount": 100 }))
        .await?
        .expect(201)?;
    ensure_eq!((both.balance("PLN").await?, both.balance("CZK").await?), (100, 0));
    // The one that is named.
    payer
        .transfer("PLN", &both, json!({ "amount": 100, "receiver_currency": "CZK" }))
        .await?
        .expect(201)?;
    ensure_eq!(both.balance("CZK").await?, 580);
    // The only one.
    let only = fixture.wallet_client(&[("CZK", 0)]).await?;
    payer
        .transfer("PLN", &only, json!({ "amount": 100 }))
        .await?
        .expect(201)?;
    ensure_eq!(only.balance("CZK").await?, 580);
    // Several and none of the payer's currency: it has to be named, and to be there. A service is told so.
    let several = fixture.wallet_client(&[("CZK", 0), ("RON", 0)]).await?;
    let service_pays = async |more: Value| {
        let body = payer.order("PLN", &several, more)?;
        payer
            .service
            .post(&payer.path("transfers"), &new_key(), &body)
            .await
    };
    let answer = service_pays(json!({ "amount": 100 })).await?;
    answer.expect_problem(422, "receiver-currency-needed")?;
    let answer = service_pays(json!({ "amount": 100, "receiver_currency": "PLN" })).await?;
    answer.expect_problem(404, "receiver-wallet-not-found")?;
    // One's own other wallet.
    let own = fixture.wallet_client(&[("PLN", 1_000), ("CZK", 0)]).await?;
    own.transfer("PLN", &own, json!({ "amount": 100, "receiver_currency": "CZK" }))
        .await?
        .expect(201)?;
    ensure_eq!((own.balance("PLN").await?, own.balance("CZK").await?), (900, 580));
    Ok(())
}

/// Whatever a client asks of receivers that exist and that don't, it is refused alike.
async fn refusal_tells_a_client_nothing_of_others(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("HKD", "PHP", "7.4").await?;
    let payer = fixture.wallet_client(&[("HKD", 1_000)]).await?;
    let several = fixture.wallet_client(&[("PHP", 0), ("IDR", 0)]).await?;
    let foreign = fixture.wallet_client(&[("IDR", 0)]).await?;
    let nobody = WalletClient {
        id: 987_654_321,
        ..foreign.clone()
    };
    let requests = [
        json!({ "amount": 100 }),
        json!({ "amount": 5_000 }),
        json!({ "receiver_amount": 100 }),
        json!({ "receiver_amount": 5_000 }),
        json!({ "amount": 100, "receiver_currency": "EUR" }),
        json!({ "amount": 100, "receiver_currency": "HKD" }),
        json!({ "amount": 5_000, "receiver_currency": "HKD" }),
    ];
    for request in requests {
        let mut seen = Vec::new();
        for receiver in [&several, &foreign, &nobody] {
            let answer = payer.transfer("HKD", receiver, request.clone()).await?;
            ensure!(answer.status >= 400, "{}", answer.text);
            let mut body = answer.body.clone();
            body["instance"] = Value::Null;
            body["correlation_id"] = Value::Null;
            seen.push((answer.status, body));
        }
        ensure!(
            seen.iter().all(|one| *one == seen[2]),
            "{request} tells who exists: {seen:?}"
        );
    }
    Ok(())
}

async fn refused_transfer_writes_nothing(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture
        .wallet_client(&[("USD", i64::MAX - 10), ("TRY", 0)])
        .await?;
    let empty = fixture.wallet_client(&[]).await?;
    let bobs_wallet = bob.wallet("USD")?;
    let cases = [
        (&bob, json!({ "amount": 1_001 }), 402, "insufficient-funds"),
        (&bob, json!({ "amount": 0 }), 422, "amount-not-positive"),
        (&bob, json!({ "amount": -1 }), 422, "amount-not-positive"),
        (&bob, json!({ "receiver_amount": 0 }), 422, "amount-not-positive"),
        (&bob, json!({}), 422, "one-amount-needed"),
        (
            &bob,
            json!({ "amount": 1, "receiver_amount": 1 }),
            422,
            "one-amount-needed",
        ),
        (&bob, json!({ "amount": 11 }), 422, "amount-too-large"),
        (
            &bob,
            json!({ "amount": 1, "receiver_currency": "TRY" }),
            422,
            "no-exchange-rate",
        ),
        // No rate, whether bob has such a wallet or not.
        (
            &bob,
            json!({ "amount": 1, "receiver_currency": "XCG" }),
            422,
            "no-exchange-rate",
        ),
        (&alice, json!({ "amount": 1 }), 422, "same-wallet"),
        (&empty, json!({ "amount": 1 }), 404, "receiver-not-found"),
        (
            &bob,
            json!({ "amount": 1, "receiver_client_id": 987_654_321 }),
            404,
            "receiver-not-found",
        ),
        // Another's wallet is none of the payer's.
        (
            &bob,
            json!({ "amount": 1, "wallet_id": bobs_wallet }),
            404,
            "wallet-not-found",
        ),
        (
            &bob,
            json!({ "amount": 1, "wallet_id": 987_654_321 }),
            404,
            "wallet-not-found",
        ),
    ];
    fixture.rest().await?;
    let before = wallet_rows(fixture.database.pool()).await?;
    for (receiver, more, status, code) in cases {
        let answer = alice.transfer("USD", receiver, more.clone()).await?;
        let answer = answer
            .expect_problem(status, code)
            .with_context(|| more.to_string())?;
        if code == "insufficient-funds" {
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            ensure!(detail.contains("USD 10.00"), "the balance is not told: {detail}");
        }
    }
    // Beyond what a number can be.
    let path = alice.path("transfers");
    let body = format!(
        r#"{{"wallet_id":{},"receiver_client_id":{},"amount":9223372036854775808}}"#,
        alice.wallet("USD")?,
        bob.id
    );
    let key = new_key();
    let headers = [
        ("idempotency-key", key.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = alice.api.post_raw(&path, &headers, body.into_bytes()).await?;
    let answer = answer.expect_problem(400, "malformed-request")?;
    ensure!(answer.text.contains("9223372036854775807"), "{}", answer.text);
    ensure_eq!(
        wallet_rows(fixture.database.pool()).await?,
        before,
        "rows of the wallets"
    );
    ensure_eq!(alice.balance("USD").await?, 1_000);
    Ok(())
}

async fn transfer_repeated_under_its_key_gets_the_same_answer(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let first = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 900 }))
        .await?
        .expect(201)?;
    ensure_eq!(first.header("idempotency-replayed"), "");
    // What is left wouldn't be enough; the same request is answered as it was all the same.
    let again = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 900 }))
        .await?
        .expect(201)?;
    ensure_eq!(again.header("idempotency-replayed"), "true");
    ensure_eq!(again.body, first.body);
    let other = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 901 }))
        .await?;
    other.expect_problem(422, "idempotency-key-reused")?;
    ensure_eq!(alice.balance("USD").await?, 100);
    // A key belongs to its client.
    bob.transfer_under(&key, "USD", &alice, json!({ "amount": 1 }))
        .await?
        .expect(201)?;
    // A refused request leaves its key free.
    let key = new_key();
    let refused = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 500 }))
        .await?;
    refused.expect_problem(402, "insufficient-funds")?;
    alice.recharge("USD", 1_000).await?.expect(201)?;
    alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 500 }))
        .await?
        .expect(201)?;
    let path = alice.path("transfers");
    let missing = alice.api.post_raw(
        &path,
        &[("content-type", "application/json")],
        alice
            .order("USD", &bob, json!({ "amount": 1 }))?
            .to_string()
            .into_bytes(),
    );
    let missing = missing.await?.expect_problem(400, "malformed-request")?;
    ensure_eq!(missing.body["errors"][0]["field"], json!("Idempotency-Key"));
    Ok(())
}

async fn key_in_flight_is_reported(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    // Somebody holds the wallet, so that the first copy waits in the middle of its work.
    let mut holder = fixture.database.pool().begin().await?;
    sqlx::query("SELECT FROM wallets WHERE client_id = $1 FOR UPDATE")
        .bind(alice.id)
        .execute(&mut *holder)
        .await?;
    let first = alice.transfer_under(&key, "USD", &bob, json!({ "amount": 100 }));
    let second = async {
        eventually("the first copy waits for the wallet", async || {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%transfer_between_wallets%'",
            )
            .fetch_one(fixture.database.pool())
            .await?;
            ensure!(waiting > 0, "nobody waits");
            Ok(())
        })
        .await?;
        let second = alice
            .transfer_under(&key, "USD", &bob, json!({ "amount": 100 }))
            .await;
        holder.rollback().await?;
        second
    };
    let (first, second) = futures::try_join!(first, second)?;
    let first = first.expect(201)?;
    second.expect_problem(409, "request-in-flight")?;
    let third = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 100 }))
        .await?
        .expect(201)?;
    ensure_eq!(third.body, first.body);
    ensure_eq!(bob.balance("USD").await?, 100);
    Ok(())
}

async fn forty_copies_at_once_pay_once(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let answers =
        try_join_all((0..40).map(|_| alice.transfer_under(&key, "USD", &bob, json!({ "amount": 30 }))))
            .await?;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    ensure!(!done.is_empty(), "none was done");
    for answer in &answers {
        let in_flight = answer.status == 409 && answer.body["code"] == "request-in-flight";
        ensure!(answer.status == 201 || in_flight, "{}", answer.text);
    }
    for answer in &done {
        ensure_eq!(answer.body, done[0].body);
    }
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (970, 30)
    );
    Ok(())
}

async fn transfer_is_published_for_payer_and_receiver(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("USD", "QAR", "3.641").await?;
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("QAR", 0)]).await?;
    let answer = alice
        .transfer("USD", &bob, json!({ "amount": 300 }))
        .await?
        .expect(201)?;
    let (_, received) = sides(&alice, &bob, &answer.body["transaction_id"]).await?;
    let events = [
        (
            &alice,
            "transfer.done",
            &["recharge.done", "transfer.done"][..],
            &answer.body,
        ),
        (&bob, "transfer.received", &["transfer.received"], &received),
    ];
    let mut ids = Vec::new();
    for (client, kind, kinds, payment) in events {
        let key = format!("client-{}", client.id);
        eventually("the transfer's event is published", async || {
            let rows = fixture.database.outbox_of_key(&key).await?;
            let seen: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
            ensure_eq!(seen, kinds);
            ensure!(
                rows.iter().all(|row| row.published_at.is_some()),
                "not published yet"
            );
            ensure!(
                rows.iter().all(|row| row.destination == "wallets.events"),
                "{rows:?}"
            );
            Ok(())
        })
        .await?;
        let rows = fixture.database.outbox_of_key(&key).await?;
        let row = rows.last().context("no event")?;
        let event = &row.payload;
        ensure_eq!(event["type"], json!(kind));
        ensure_eq!(event["id"], json!(row.event_id.to_string()));
        ensure_eq!(event["key"], json!(key));
        ensure_eq!(
            event["occurred_at"]
                .as_str()
                .map(|at| at.parse::<chrono::DateTime<chrono::Utc>>()),
            payment["created_at"].as_str().map(str::parse)
        );
        ensure_eq!(event["correlation_id"], json!(answer.header("x-correlation-id")));
        let expected = json!({
            "transaction_id": answer.body["transaction_id"], "exchange_rate": "3.641",
            "payer_client_id": alice.id, "payer_wallet_id": alice.wallet("USD")?, "payer_currency": "USD", "payer_amount": 300,
            "receiver_client_id": bob.id, "receiver_wallet_id": bob.wallet("QAR")?, "receiver_currency": "QAR",
            "receiver_amount": 1_092,
        });
        ensure_eq!(event["data"], expected);
        ids.push(row.event_id);
    }
    ensure!(ids[0] != ids[1], "two events of one id");
    Ok(())
}

async fn client_is_registered_once_per_reference(fixture: Arc<Fixture>) -> Result {
    let service = fixture.wallets_service()?;
    let reference = new_key();
    let register = async |currencies: Value| {
        let body = json!({ "external_ref": reference, "currencies": currencies });
        service.post("/clients", &new_key(), &body).await
    };
    let answers = try_join_all((0..8).map(|_| register(json!(["USD"])))).await?;
    let ids: Vec<i64> = answers
        .iter()
        .map(|answer| answer.number("client_id"))
        .collect::<Result<_>>()?;
    ensure!(
        ids.iter().all(|id| *id == ids[0]),
        "several clients of one reference: {ids:?}"
    );
    ensure_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    let more = register(json!(["EUR", "USD"])).await?.expect(200)?;
    let wallets = more.body["wallets"].as_array().context("no wallets")?;
    let currencies: Vec<&Value> = wallets.iter().map(|wallet| &wallet["currency"]).collect();
    ensure_eq!(currencies, [&json!("USD"), &json!("EUR")]);
    // Opening a wallet again gives the one there is.
    let path = format!("/clients/{}/wallets", ids[0]);
    let again = service
        .post(&path, &new_key(), &json!({ "currency": "USD" }))
        .await?
        .expect(200)?;
    ensure_eq!(again.body, wallets[0]);
    service
        .post(&path, &new_key(), &json!({ "currency": "JPY" }))
        .await?
        .expect(201)?;
    let unknown = service
        .post(
            "/clients/987654321/wallets",
            &new_key(),
            &json!({ "currency": "JPY" }),
        )
        .await?;
    unknown.expect_problem(404, "client-not-found")?;
    Ok(())
}
