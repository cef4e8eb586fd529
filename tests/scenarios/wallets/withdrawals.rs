//! Money in and out: recharges, withdrawals and their settlement.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::new_key;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use futures::future::try_join_all;
use serde_json::json;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        recharge_is_done_at_once,
        withdrawal_leaves_the_balance_and_waits,
        failed_withdrawal_is_back_in_the_balance,
        withdrawal_is_settled_one_way_only,
        alone(thirty_withdrawals_at_once_never_exceed_the_balance),
    ]
}

async fn recharge_is_done_at_once(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("KWD", 0)]).await?;
    let path = client.path("recharges");
    let (key, body) = (
        new_key(),
        json!({ "wallet_id": client.wallet("KWD")?, "amount": 1_250 }),
    );
    let answer = client.service.post(&path, &key, &body).await?.expect(201)?;
    ensure_eq!(answer.body["payment_type"], json!("recharge"));
    ensure_eq!(answer.body["payment_status"], json!("done"));
    ensure_eq!(answer.body["partner_client_id"], json!(null));
    ensure_eq!(
        (
            answer.body["amount"].clone(),
            answer.body["partner_amount"].clone()
        ),
        (json!(1_250), json!(-1_250))
    );
    let again = client.service.post(&path, &key, &body).await?.expect(201)?;
    ensure_eq!(again.body, answer.body);
    ensure_eq!(again.header("idempotency-replayed"), "true");
    let other = json!({ "wallet_id": client.wallet("KWD")?, "amount": 1 });
    client
        .service
        .post(&path, &key, &other)
        .await?
        .expect_problem(422, "idempotency-key-reused")?;
    client
        .recharge("KWD", 0)
        .await?
        .expect_problem(422, "amount-not-positive")?;
    client
        .recharge("KWD", i64::MAX)
        .await?
        .expect_problem(422, "amount-too-large")?;
    ensure_eq!(client.balance("KWD").await?, 1_250);
    // A client doesn't bring in money on its own word.
    let refused = client.api.post(&path, &new_key(), &body).await?;
    ensure_eq!(refused.status, 403, "{}", refused.text);
    Ok(())
}

async fn withdrawal_leaves_the_balance_and_waits(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let key = new_key();
    let body = json!({ "wallet_id": client.wallet("USD")?, "amount": 400 });
    let asked = client
        .api
        .post(&client.path("withdrawals"), &key, &body)
        .await?
        .expect(201)?;
    ensure_eq!(asked.body["payment_status"], json!("pending"));
    ensure_eq!(asked.body["amount"], json!(-400));
    ensure_eq!(client.balance("USD").await?, 600);
    let settled = client
        .settle(&asked.body["transaction_id"], "done")
        .await?
        .expect(200)?;
    ensure_eq!(settled.body["payment_status"], json!("done"));
    ensure_eq!(client.balance("USD").await?, 600);
    // Twice is the same answer.
    let again = client
        .settle(&asked.body["transaction_id"], "done")
        .await?
        .expect(200)?;
    ensure_eq!(again.body, settled.body);
    // The request itself is answered as it was.
    let replayed = client
        .api
        .post(&client.path("withdrawals"), &key, &body)
        .await?
        .expect(201)?;
    ensure_eq!(replayed.body, asked.body);
    let too_much = client
        .withdraw("USD", 601)
        .await?
        .expect_problem(402, "insufficient-funds")?;
    let detail = too_much.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("USD 6.00"), "the balance is not told: {detail}");
    Ok(())
}

async fn failed_withdrawal_is_back_in_the_balance(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let asked = client.withdraw("USD", 400).await?.expect(201)?;
    client.recharge("USD", 50).await?.expect(201)?;
    let settled = client
        .settle(&asked.body["transaction_id"], "failed")
        .await?
        .expect(200)?;
    ensure_eq!(settled.body["payment_status"], json!("failed"));
    ensure_eq!(client.balance("USD").await?, 1_050);
    let again = client
        .settle(&asked.body["transaction_id"], "failed")
        .await?
        .expect(200)?;
    ensure_eq!(again.body, settled.body);
    ensure_eq!(client.balance("USD").await?, 1_050, "given back once");
    let payments = client
        .api
        .get(&client.path("payments?status=failed&type=withdraw"))
        .await?
        .expect(200)?;
    ensure_eq!(payments.body["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

async fn withdrawal_is_settled_one_way_only(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let other = fixture.wallet_client(&[("USD", 1_000)]).await?;
    for (first, second) in [("done", "failed"), ("failed", "done")] {
        let asked = client.withdraw("USD", 100).await?.expect(201)?;
        let transaction = &asked.body["transaction_id"];
        client.settle(transaction, first).await?.expect(200)?;
        let balance = client.balance("USD").await?;
        client
            .settle(transaction, second)
            .await?
            .expect_problem(409, "withdrawal-settled-otherwise")?;
        ensure_eq!(client.balance("USD").await?, balance);
    }
    // Two settlements at once: one way or the other, never both.
    let asked = client.withdraw("USD", 100).await?.expect(201)?;
    let transaction = &asked.body["transaction_id"];
    let balance = client.balance("USD").await?;
    let answers =
        try_join_all(["done", "failed", "done", "failed"].map(|way| client.settle(transaction, way))).await?;
    let kept: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    ensure_eq!(kept.len(), 2);
    ensure_eq!(kept[0].body, kept[1].body);
    let back = if kept[0].body["payment_status"] == "failed" {
        100
    } else {
        0
    };
    ensure_eq!(client.balance("USD").await?, balance + back);
    // Not another's, and not a transfer.
    other
        .settle(transaction, "done")
        .await?
        .expect_problem(404, "withdrawal-not-found")?;
    let transfer = client
        .transfer("USD", &other, json!({ "amount": 1 }))
        .await?
        .expect(201)?;
    let refused = client.settle(&transfer.body["transaction_id"], "failed").await?;
    refused.expect_problem(404, "withdrawal-not-found")?;
    // A client doesn't settle its own.
    let path = format!(
        "withdrawals/{}/settlement",
        transaction.as_str().context("no transaction")?
    );
    let refused = client
        .api
        .post(&client.path(&path), &new_key(), &json!({ "outcome": "failed" }))
        .await?;
    ensure_eq!(refused.status, 403, "{}", refused.text);
    Ok(())
}

async fn thirty_withdrawals_at_once_never_exceed_the_balance(fixture: Arc<Fixture>) -> Result {
    let client = fixture.wallet_client(&[("USD", 1_000)]).await?;
    let answers = try_join_all((0..30).map(|_| client.withdraw("USD", 60))).await?;
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    ensure!(
        answers.iter().all(|answer| [201, 402].contains(&answer.status)),
        "{answers:?}"
    );
    ensure_eq!(taken, 16);
    ensure_eq!(client.balance("USD").await?, 40);
    Ok(())
}
