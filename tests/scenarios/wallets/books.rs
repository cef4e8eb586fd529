//! The daily comparison finds what was tampered with, to the cent, and repairs nothing.

use std::sync::Arc;

use anyhow::{Context, ensure};
use end_to_end::wallets::WalletClient;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, scenarios};
use serde_json::{Value, json};
use sqlx::PgPool;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(planted_cent_is_found_and_named),
        alone(every_kind_of_difference_is_found),
    ]
}

/// A statement past the triggers, as only somebody with the tables' owner's rights could do it.
async fn tamper(pool: &PgPool, statement: &'static str, client: i64) -> Result {
    let mut transaction = pool.begin().await?;
    for toggle in ["DISABLE", "ENABLE"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "ALTER TABLE payments {toggle} TRIGGER payments_stay; ALTER TABLE payments {toggle} TRIGGER payments_are_kept"
        )))
        .execute(&mut *transaction)
        .await?;
        if toggle == "DISABLE" {
            let changed = sqlx::query(statement)
                .bind(client)
                .execute(&mut *transaction)
                .await?;
            ensure_eq!(changed.rows_affected(), 1, "{statement}");
        }
    }
    transaction.commit().await?;
    Ok(())
}

async fn reconcile(fixture: &Fixture) -> Result<Value> {
    Ok(fixture.run("reconcile_wallets", json!({})).await?.payload)
}

async fn differences(
    fixture: &Fixture,
    client: i64,
) -> Result<Vec<(i64, Option<i64>, String, String, String)>> {
    Ok(sqlx::query_as(
        "SELECT wallet_id, payment_id, kind, expected, found FROM wallet_differences WHERE client_id = $1 ORDER BY id",
    )
    .bind(client)
    .fetch_all(fixture.database.pool())
    .await?)
}

/// The reconciliation finds nothing about these clients.
pub(crate) async fn agree(fixture: &Fixture, clients: &[&WalletClient]) -> Result {
    let report = reconcile(fixture).await?;
    ensure_eq!(report["clients_left"], json!(0));
    for client in clients {
        ensure_eq!(
            differences(fixture, client.id).await?,
            [],
            "differences of client {}",
            client.id
        );
    }
    Ok(())
}

async fn planted_cent_is_found_and_named(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    let paid = alice
        .pay("USD", &bob, json!({ "amount": 2_500 }))
        .await?
        .expect(201)?;
    let clean = reconcile(&fixture).await?;
    ensure_eq!(
        (clean["differences"].clone(), clean["clients_left"].clone()),
        (json!(0), json!(0))
    );
    ensure!(clean["clients"].as_i64() >= Some(2), "{clean}");

    let statement = "UPDATE wallets SET balance = balance + 1 WHERE client_id = $1";
    sqlx::query(statement)
        .bind(alice.id)
        .execute(fixture.database.pool())
        .await?;
    let report = reconcile(&fixture).await?;
    ensure_eq!(
        (report["differences"].clone(), report["new_differences"].clone()),
        (json!(1), json!(1))
    );
    let found = differences(&fixture, alice.id).await?;
    let payment = paid.number("id")?;
    let expected = (
        alice.wallet("USD")?,
        Some(payment),
        "balance".to_owned(),
        "7500".to_owned(),
        "7501".to_owned(),
    );
    ensure_eq!(found, [expected]);
    // Told by metric and event, once as new; and changed by nobody.
    let is_counted = |line: &str| line.contains("\"WalletDifferences\":1");
    fixture
        .logs_reach("reconcile_wallets", 1, is_counted)
        .await
        .context("no metric")?;
    let rows = fixture
        .database
        .outbox_of_key(&format!("client-{}", alice.id))
        .await?;
    let told: Vec<_> = rows.iter().filter(|row| row.kind == "wallet.differs").collect();
    ensure_eq!(told.len(), 1);
    ensure_eq!(told[0].payload["data"]["payment_id"], json!(payment));
    ensure_eq!(told[0].payload["data"]["wallet_id"], json!(alice.wallet("USD")?));
    ensure_eq!(alice.balance("USD").await?, 7_501, "nothing is repaired");
    let again = reconcile(&fixture).await?;
    ensure_eq!(
        (again["differences"].clone(), again["new_differences"].clone()),
        (json!(1), json!(0))
    );
    ensure_eq!(differences(&fixture, alice.id).await?.len(), 1);

    sqlx::query("UPDATE wallets SET balance = balance - 1 WHERE client_id = $1")
        .bind(alice.id)
        .execute(fixture.database.pool())
        .await?;
    ensure_eq!(reconcile(&fixture).await?["differences"], json!(0));
    Ok(())
}

async fn every_kind_of_difference_is_found(fixture: Arc<Fixture>) -> Result {
    let cases: [(&'static str, &[&str]); 4] = [
        (
            "UPDATE payments SET amount = amount + 1, balance_after = balance_after + 1 \
             WHERE client_id = $1 AND payment_type = 3 AND amount < 0",
            &["balance", "sides-differ"],
        ),
        (
            "UPDATE payments SET balance_after = balance_after + 1 WHERE client_id = $1 AND payment_type = 3 AND amount < 0",
            &["balance-after"],
        ),
        (
            "UPDATE payments SET exchange_rate = 2 WHERE client_id = $1 AND payment_type = 3 AND amount < 0",
            &["sides-differ"],
        ),
        (
            "DELETE FROM payments WHERE client_id = $1 AND payment_type = 1",
            &["balance", "missing-entry"],
        ),
    ];
    for (statement, kinds) in cases {
        let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
        let bob = fixture.wallet_client(&[("USD", 0)]).await?;
        alice
            .pay("USD", &bob, json!({ "amount": 2_500 }))
            .await?
            .expect(201)?;
        tamper(fixture.database.pool(), statement, alice.id).await?;
        reconcile(&fixture).await?;
        let mut seen: Vec<String> = differences(&fixture, alice.id)
            .await?
            .into_iter()
            .map(|one| one.2)
            .collect();
        seen.sort();
        seen.dedup();
        for kind in kinds {
            ensure!(
                seen.iter().any(|one| one == kind),
                "{statement}: found {seen:?}, not {kind}"
            );
        }
    }
    // The other side of a transfer is gone: the one that is left is named.
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    alice
        .pay("USD", &bob, json!({ "amount": 2_500 }))
        .await?
        .expect(201)?;
    tamper(
        fixture.database.pool(),
        "DELETE FROM payments WHERE client_id = $1",
        bob.id,
    )
    .await?;
    reconcile(&fixture).await?;
    let found = differences(&fixture, alice.id).await?;
    let one = found.first().context("nothing was found")?;
    ensure_eq!((one.2.as_str(), one.4.as_str()), ("one-sided", "nothing"));
    Ok(())
}
