//! Keys and references belong to whoever gives them, to the operation and to the client.

use std::sync::Arc;

use anyhow::ensure;
use end_to_end::wallets::new_key;
use end_to_end::{Answer, Api, Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::try_join_all;
use platform::idempotency::request_hash;
use serde_json::{Value, json};
use wallets::movement::MovementRequest;
use wallets::transfer::TransferRequest;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        order_number_of_another_service_is_another_key,
        client_does_not_block_the_keys_of_a_service,
        used_key_with_an_unknown_wallet_is_refused_as_reused,
        same_key_in_two_header_lines_is_one_key,
        reference_belongs_to_the_service_that_gives_it,
        registration_without_a_reference_needs_a_key,
        opposite_lists_of_currencies_never_deadlock,
        alone(key_from_before_callers_were_kept_counts_for_the_same_request),
    ]
}

fn another_service(fixture: &Fixture) -> Result<Api> {
    fixture.api(Some(json!({ "scope": "wallets", "sub": "another-shop" })))
}

async fn order_number_of_another_service_is_another_key(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 0)]).await?;
    let other = another_service(&fixture)?;
    let order_number = new_key();
    let body = json!({ "wallet_id": client.wallet("USD")?, "amount": 100 });
    let recharge = async |service: &Api| {
        let path = client.path("recharges");
        service.post(&path, &order_number, &body).await?.expect(201)
    };
    for service in [&client.service, &other] {
        ensure_eq!(recharge(service).await?.header("idempotency-replayed"), "");
        ensure_eq!(recharge(service).await?.header("idempotency-replayed"), "true");
    }
    ensure_eq!(client.balance("USD").await?, 200);
    Ok(())
}

async fn client_does_not_block_the_keys_of_a_service(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 1 }))
        .await?
        .expect(201)?;
    let body = alice.order("USD", &bob, json!({ "amount": 500 }))?;
    let path = alice.path("transfers");
    let paid = alice.service.post(&path, &key, &body).await?;
    alice.settled(paid).await?.expect(201)?;
    let withdrawal = json!({ "wallet_id": alice.wallet("USD")?, "amount": 100 });
    for api in [&alice.api, &alice.service] {
        let answer = api.post(&alice.path("withdrawals"), &key, &withdrawal).await?;
        ensure_eq!(answer.expect(201)?.header("idempotency-replayed"), "");
    }
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (299, 501)
    );
    Ok(())
}

async fn used_key_with_an_unknown_wallet_is_refused_as_reused(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 1 }))
        .await?
        .expect(201)?;
    let unknown = json!({ "amount": 1, "wallet_id": 987_654_321 });
    let refused = alice.transfer_under(&key, "USD", &bob, unknown).await?;
    refused.expect_problem(422, "idempotency-key-reused")?;
    Ok(())
}

async fn same_key_in_two_header_lines_is_one_key(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let key = new_key();
    let pay = async |lines: usize| {
        let path = alice.path("transfers");
        let body = alice.order("USD", &bob, json!({ "amount": 10 }))?;
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(vec![("idempotency-key", key.as_str()); lines]);
        let answer = alice.api.post_raw(&path, &headers, body.to_string().into_bytes());
        alice.settled(answer.await?).await?.expect(201)
    };
    let first = pay(2).await?;
    for lines in [1, 2, 3] {
        let again = pay(lines).await?;
        ensure_eq!(again.header("idempotency-replayed"), "true");
        ensure_eq!(again.body, first.body);
    }
    ensure_eq!(bob.balance("USD").await?, 10);
    Ok(())
}

async fn reference_belongs_to_the_service_that_gives_it(fixture: Arc<Fixture>) -> Result {
    let service = fixture.wallets_service()?;
    let other = another_service(&fixture)?;
    let body = json!({ "external_ref": new_key(), "currencies": ["USD"] });
    let register = async |service: &Api| service.post("/clients", &new_key(), &body).await;
    let own = register(&service).await?.expect(201)?;
    let others = register(&other).await?.expect(201)?;
    ensure!(
        own.body["client_id"] != others.body["client_id"],
        "one client of two services"
    );
    ensure_eq!(
        register(&service).await?.expect(200)?.body["client_id"],
        own.body["client_id"]
    );
    Ok(())
}

async fn registration_without_a_reference_needs_a_key(fixture: Arc<Fixture>) -> Result {
    let service = fixture.wallets_service()?;
    let body = json!({ "currencies": ["USD"] });
    let keyless = service.post_raw(
        "/clients",
        &[("content-type", "application/json")],
        body.to_string().into_bytes(),
    );
    let keyless = keyless.await?.expect_problem(422, "invalid-value")?;
    ensure_eq!(keyless.body["errors"][0]["field"], json!("external_ref"));
    let detail = keyless.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("Idempotency-Key"), "{detail}");
    let key = new_key();
    let answers = try_join_all((0..8).map(|_| service.post("/clients", &key, &body))).await?;
    let id = |answer: &Answer| answer.body["client_id"].clone();
    for answer in &answers {
        ensure_eq!((answer.status, id(answer)), (201, id(&answers[0])));
    }
    let replayed = |answer: &&Answer| answer.header("idempotency-replayed") == "true";
    ensure_eq!(answers.iter().filter(replayed).count(), 7);
    let reused = service
        .post("/clients", &key, &json!({ "currencies": ["EUR"] }))
        .await?;
    reused.expect_problem(422, "idempotency-key-reused")?;
    let others = another_service(&fixture)?.post("/clients", &key, &body).await?;
    ensure!(
        id(&others.expect(201)?) != id(&answers[0]),
        "one client of two services"
    );
    Ok(())
}

async fn opposite_lists_of_currencies_never_deadlock(fixture: Arc<Fixture>) -> Result {
    let service = fixture.wallets_service()?;
    let currencies = ["USD", "EUR", "JPY", "KWD", "CHF", "GBP"];
    let opposite: Vec<&str> = currencies.into_iter().rev().collect();
    for _ in 0..5 {
        let reference = new_key();
        fixture.register_client(&reference, &[]).await?;
        let register = async |list: Value| {
            let body = json!({ "external_ref": reference, "currencies": list });
            service.post("/clients", &new_key(), &body).await?.expect(200)
        };
        let lists = (0..8).map(|n| {
            if n % 2 == 0 {
                json!(currencies)
            } else {
                json!(opposite)
            }
        });
        let answers = try_join_all(lists.map(register)).await?;
        let last = answers
            .iter()
            .filter_map(|answer| answer.body["wallets"].as_array());
        ensure_eq!(last.map(Vec::len).max(), Some(currencies.len()));
    }
    Ok(())
}

/// As the release before left them: without a caller, under the client and the operation.
async fn key_from_before_callers_were_kept_counts_for_the_same_request(fixture: Arc<Fixture>) -> Result {
    let pool = fixture.database.pool();
    let alice = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let paid = alice
        .transfer("USD", &bob, json!({ "amount": 10 }))
        .await?
        .expect(201)?;
    let recharged = alice.recharge("USD", 5).await?.expect(201)?;
    let key = new_key();
    let transfer: TransferRequest =
        serde_json::from_value(alice.order("USD", &bob, json!({ "amount": 10 }))?)?;
    let movement = json!({ "wallet_id": alice.wallet("USD")?, "amount": 5 });
    let recharge: MovementRequest = serde_json::from_value(movement.clone())?;
    let of_batch = format!("{key}#0");
    let kept = [
        (3_i16, &key, request_hash(&transfer)?, paid.number("id")?),
        (3, &of_batch, request_hash(&transfer)?, paid.number("id")?),
        (1, &key, request_hash(&recharge)?, recharged.number("id")?),
    ];
    for (operation, key, hash, payment) in kept {
        sqlx::query(
            "INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(alice.id)
        .bind(operation)
        .bind(key)
        .bind(hash)
        .bind(payment)
        .execute(pool)
        .await?;
    }
    // What the migration makes where there are such keys.
    sqlx::raw_sql(
        "CREATE OR REPLACE FUNCTION earlier_keys_count_until() RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE AS \
         $$SELECT 'infinity'::TIMESTAMPTZ$$",
    )
    .execute(pool)
    .await?;
    let path = alice.path("recharges");
    let again = alice.service.post(&path, &key, &movement).await?.expect(201)?;
    ensure_eq!(again.body["id"], recharged.body["id"]);
    let again = alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 10 }))
        .await?;
    let again = again.expect(201)?;
    ensure_eq!(
        (again.body["id"].clone(), again.header("idempotency-replayed")),
        (paid.body["id"].clone(), "true")
    );
    let mut item = alice.order("USD", &bob, json!({ "amount": 10 }))?;
    item["client_id"] = json!(alice.id);
    let batch = json!({ "mode": "each", "transfers": [item] });
    let again = alice
        .service
        .post("/transfers/batch", &key, &batch)
        .await?
        .expect(200)?;
    ensure_eq!(again.body["items"][0]["replayed"], json!(true));
    ensure_eq!(again.body["items"][0]["payment"]["id"], paid.body["id"]);
    ensure_eq!(
        (alice.balance("USD").await?, bob.balance("USD").await?),
        (995, 10)
    );
    // It blocks nobody's other request.
    alice
        .transfer_under(&key, "USD", &bob, json!({ "amount": 11 }))
        .await?
        .expect(201)?;
    sqlx::raw_sql(
        "CREATE OR REPLACE FUNCTION earlier_keys_count_until() RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE AS \
         $$SELECT '-infinity'::TIMESTAMPTZ$$",
    )
    .execute(pool)
    .await?;
    Ok(())
}
