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
        alone(reconciliation_goes_on_from_where_it_was),
        alone(pair_with_more_payments_than_a_group_is_compared_to_the_end),
        alone(residue_of_conversions_is_computed_from_the_payments),
        // The last: what it leaves is never compared.
        alone(wallet_that_cannot_be_compared_is_named_and_passed),
    ]
}

/// A statement past the triggers, as only somebody with the tables' owner's rights could do it.
pub(crate) async fn tamper(pool: &PgPool, statement: &'static str, client: i64) -> Result {
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

pub(crate) async fn reconcile(fixture: &Fixture) -> Result<Value> {
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
    // Its events are read from it.
    fixture.rest().await?;
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

async fn reconciliation_goes_on_from_where_it_was(fixture: Arc<Fixture>) -> Result {
    let alice = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    alice
        .pay("USD", &bob, json!({ "amount": 2_500 }))
        .await?
        .expect(201)?;
    reconcile(&fixture).await?;
    ensure_eq!(
        reconcile(&fixture).await?["entries"],
        json!(0),
        "nothing is compared twice"
    );
    for _ in 0..3 {
        alice
            .pay("USD", &bob, json!({ "amount": 10 }))
            .await?
            .expect(201)?;
    }
    let failed = alice.withdraw("USD", 100).await?.expect(201)?;
    alice
        .settle(&failed.body["transaction_id"], "failed")
        .await?
        .expect(200)?;
    // Three for each of the two, the withdrawal and its return.
    ensure_eq!(reconcile(&fixture).await?["entries"], json!(8));
    agree(&fixture, &[&alice, &bob]).await?;
    // What was compared is compared anew after thirty days, and after a difference is resolved.
    let statement =
        "UPDATE payments SET balance_after = balance_after + 1 WHERE client_id = $1 AND entry = 2";
    tamper(fixture.database.pool(), statement, alice.id).await?;
    reconcile(&fixture).await?;
    ensure_eq!(differences(&fixture, alice.id).await?, []);
    let older = "UPDATE wallet_checkpoints SET begun_at = begun_at - INTERVAL '31 days' WHERE client_id = $1";
    sqlx::query(older)
        .bind(alice.id)
        .execute(fixture.database.pool())
        .await?;
    reconcile(&fixture).await?;
    let found = differences(&fixture, alice.id).await?;
    ensure!(found.iter().any(|one| one.2 == "balance-after"), "{found:?}");
    let statement =
        "UPDATE payments SET balance_after = balance_after - 1 WHERE client_id = $1 AND entry = 2";
    tamper(fixture.database.pool(), statement, alice.id).await?;
    let resolved = "UPDATE wallet_differences SET resolved_at = now() WHERE client_id = $1";
    sqlx::query(resolved)
        .bind(alice.id)
        .execute(fixture.database.pool())
        .await?;
    // The recharge, four payments, the withdrawal and its return.
    ensure_eq!(reconcile(&fixture).await?["entries"], json!(7));
    let unresolved = differences(&fixture, alice.id).await?.len();
    ensure_eq!(
        unresolved,
        found.len(),
        "differences that are resolved come no more"
    );
    Ok(())
}

/// Groups are bounded by entries: a pair with more than fit one takes several, in one run and to the end.
async fn pair_with_more_payments_than_a_group_is_compared_to_the_end(fixture: Arc<Fixture>) -> Result {
    const TRANSFERS: i64 = 24_000;
    let alice = fixture.wallet_client(&[("USD", TRANSFERS)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0)]).await?;
    reconcile(&fixture).await?;
    let mut transaction = fixture.database.pool().begin().await?;
    let payments = "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, \
         amount, partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
         created_at, updated_at, correlation_id) \
         SELECT side.client, 800000001 + 2 * n + side.is_receiver, md5(n::TEXT)::UUID, 3, 2, side.wallet, 840, side.amount, \
                side.partner, side.partner_wallet, 840, -side.amount, 1, n + 2 - side.is_receiver, side.balance, now(), now(), 'x' \
           FROM generate_series(0, $5 - 1) AS n \
          CROSS JOIN LATERAL (VALUES ($1, $2, $3, $4, -1, 0, $5 - n - 1), ($3, $4, $1, $2, 1, 1, n + 1)) \
                AS side (client, wallet, partner, partner_wallet, amount, is_receiver, balance)";
    sqlx::query(payments)
        .bind(alice.id)
        .bind(alice.wallet("USD")?)
        .bind(bob.id)
        .bind(bob.wallet("USD")?)
        .bind(TRANSFERS)
        .execute(&mut *transaction)
        .await?;
    for (client, balance) in [(&alice, 0), (&bob, TRANSFERS)] {
        sqlx::query("UPDATE wallets SET balance = $2, entries = entries + $3 WHERE client_id = $1")
            .bind(client.id)
            .bind(balance)
            .bind(TRANSFERS)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    let report = reconcile(&fixture).await?;
    ensure_eq!(
        (report["entries"].clone(), report["clients_left"].clone()),
        (json!(2 * TRANSFERS), json!(0))
    );
    for client in [&alice, &bob] {
        ensure_eq!(differences(&fixture, client.id).await?, []);
    }
    // And a cent in its middle is found.
    let statement =
        "UPDATE payments SET balance_after = balance_after + 1 WHERE client_id = $1 AND entry = 15000";
    tamper(fixture.database.pool(), statement, bob.id).await?;
    sqlx::query("DELETE FROM wallet_checkpoints WHERE client_id = $1")
        .bind(bob.id)
        .execute(fixture.database.pool())
        .await?;
    ensure_eq!(reconcile(&fixture).await?["entries"], json!(TRANSFERS));
    let found = differences(&fixture, bob.id).await?;
    ensure!(
        !found.is_empty() && found.iter().all(|one| one.2 == "balance-after"),
        "{found:?}"
    );
    Ok(())
}

async fn wallet_that_cannot_be_compared_is_named_and_passed(fixture: Arc<Fixture>) -> Result {
    let broken = fixture.wallet_client(&[("USD", 10_000)]).await?;
    let behind = fixture.wallet_client(&[("USD", 10_000)]).await?;
    // The opposite of its partner's amount is more than a number can be, of which the comparison fails.
    sqlx::query(
        "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
         partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
         created_at, updated_at, correlation_id) VALUES ($1, 700000002, gen_random_uuid(), 3, 2, $2, 840, 1, $3, $4, 840, \
         -9223372036854775808, 1, 2, 10001, now(), now(), 'x')",
    )
    .bind(broken.id)
    .bind(broken.wallet("USD")?)
    .bind(behind.id)
    .bind(behind.wallet("USD")?)
    .execute(fixture.database.pool())
    .await?;
    for (client, statement) in [
        (
            &broken,
            "UPDATE wallets SET balance = 10001, entries = 2 WHERE client_id = $1",
        ),
        (
            &behind,
            "UPDATE wallets SET balance = balance + 1 WHERE client_id = $1",
        ),
    ] {
        sqlx::query(statement)
            .bind(client.id)
            .execute(fixture.database.pool())
            .await?;
    }
    let report = reconcile(&fixture).await?;
    let name = format!("wallet {} of client {}", broken.wallet("USD")?, broken.id);
    ensure_eq!(
        (report["failed"].clone(), report["clients_left"].clone()),
        (json!([name]), json!(0))
    );
    let found = differences(&fixture, behind.id).await?;
    ensure_eq!(found.len(), 1, "the wallet behind it wasn't compared");
    sqlx::query("UPDATE wallets SET balance = balance - 1 WHERE client_id = $1")
        .bind(behind.id)
        .execute(fixture.database.pool())
        .await?;
    Ok(())
}

async fn residue_of_conversions_is_computed_from_the_payments(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("GEL", "AMD", "0.555").await?;
    let payer = fixture.wallet_client(&[("GEL", 10_000)]).await?;
    let receiver = fixture.wallet_client(&[("AMD", 0)]).await?;
    // 101 × 0.555 = 56.055, of which 56 are received; 100 are fixed, for which 181 are paid: 100.455.
    for order in [json!({ "amount": 101 }), json!({ "receiver_amount": 100 })] {
        payer.pay("GEL", &receiver, order).await?.expect(201)?;
    }
    ensure_eq!(reconcile(&fixture).await?["residues"]["AMD"], json!("0.51"));
    ensure_eq!(reconcile(&fixture).await?["residues"], json!({}));
    for _ in 0..2 {
        payer
            .pay("GEL", &receiver, json!({ "amount": 101 }))
            .await?
            .expect(201)?;
    }
    ensure_eq!(reconcile(&fixture).await?["residues"]["AMD"], json!("0.62"));
    agree(&fixture, &[&payer, &receiver]).await
}
