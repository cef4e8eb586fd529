//! Ready to be split by client: every statement names its clients and touches only their partitions; and a transfer is
//! one round trip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::ids::{ClientId, WalletId};
use end_to_end::wallets::{WalletClient, new_key};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, eventually, root, scenarios};
use platform::database::Database;
use platform::idempotency::IdempotencyKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wallets::transfer::{BatchMode, TransferRequest, Transfers};

use crate::crowd::batch_of;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        every_table_is_partitioned_by_client,
        every_statement_names_its_clients,
        alone(operation_touches_the_partitions_of_its_clients_only),
        alone(transfer_is_one_round_trip),
    ]
}

/// The pool has given all it has when it takes longer.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

/// The tables of the area, but for those that belong to no client: each node of a split system holds all of these.
const OF_CLIENTS: [&str; 5] = [
    "clients",
    "payment_requests",
    "payments",
    "wallet_differences",
    "wallets",
];
const OF_NOBODY: [&str; 3] = ["client_references", "currencies", "exchange_rates"];

async fn every_table_is_partitioned_by_client(fixture: Arc<Fixture>) -> Result {
    let pool = fixture.database.pool();
    let partitioned: Vec<(String, String)> = sqlx::query_as(
        "SELECT partrelid::regclass::TEXT, pg_get_partkeydef(partrelid) FROM pg_partitioned_table \
         WHERE partrelid::regclass::TEXT = ANY ($1) ORDER BY 1",
    )
    .bind(OF_CLIENTS.as_slice())
    .fetch_all(pool)
    .await?;
    let expected = OF_CLIENTS.map(|table| (table.to_owned(), "HASH (client_id)".to_owned()));
    ensure_eq!(partitioned, expected);
    let keys: Vec<(String, String)> = sqlx::query_as(
        "SELECT conrelid::regclass::TEXT, pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE contype IN ('p', 'u') AND conrelid::regclass::TEXT = ANY ($1)",
    )
    .bind(OF_CLIENTS.as_slice())
    .fetch_all(pool)
    .await?;
    ensure!(keys.len() >= OF_CLIENTS.len(), "{keys:?}");
    for (table, key) in keys {
        ensure!(
            key.contains("(client_id"),
            "a key of {table} doesn't begin with its client: {key}"
        );
    }
    Ok(())
}

/// Of all statements in the code, those about clients; each as sqlx has kept it.
async fn every_statement_names_its_clients(_: Arc<Fixture>) -> Result {
    // Whom the reconciliation looks at next is a question about all clients, and about nothing but their ids.
    let about_all = |sql: &str| sql.contains("reconciled_at, '-infinity'");
    // Trading has payments of its own.
    let of_trading = |sql: &str| sql.contains("drivewealth_");
    let mut seen = 0;
    for file in std::fs::read_dir(root().join(".sqlx"))? {
        let text = std::fs::read_to_string(file?.path())?;
        let query: Value = serde_json::from_str(&text)?;
        let sql = query["query"].as_str().context("no query")?;
        // A queue's name has a hyphen: it is one word, and no table.
        let words: BTreeSet<&str> = sql
            .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
            .collect();
        if !OF_CLIENTS.iter().any(|table| words.contains(table)) || about_all(sql) || of_trading(sql) {
            continue;
        }
        seen += 1;
        let named = sql.contains("client_id = $1")
            || sql.contains("client_id = ANY ($1)")
            || (sql.starts_with("INSERT INTO") && sql.contains("(client_id,"));
        ensure!(named, "a statement doesn't name its clients: {sql}");
    }
    ensure!(seen > 15, "only {seen} statements are about clients");
    Ok(())
}

/// Scans and changes of each partition so far.
async fn touched(fixture: &Fixture) -> Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT relname::TEXT, COALESCE(seq_scan, 0) + COALESCE(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del \
           FROM pg_stat_user_tables \
          WHERE relname ~ '^(clients|payment_requests|payments|wallet_differences|wallets)_[0-9]+$'",
    )
    .fetch_all(fixture.database.pool())
    .await?;
    Ok(rows.into_iter().collect())
}

/// Ends the functions' processes, and with their sessions all counts of theirs are in. `own` are the scenarios' sessions.
async fn end_sessions(fixture: &Fixture, own: &[i32]) -> Result {
    eventually("the functions' sessions have ended", async || {
        for function in &fixture.cloud.template().functions {
            fixture.cloud.kill(&function.binary).await?;
        }
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> ALL ($1)",
        )
        .bind(own)
        .fetch_one(fixture.database.pool())
        .await?;
        ensure_eq!(sessions, 0);
        Ok(())
    })
    .await
}

/// Brings in the counts of the scenarios' own sessions, which else come when a session has been idle for long; gives the
/// sessions.
async fn flush_own_counts(fixture: &Fixture) -> Result<Vec<i32>> {
    let mut connections = Vec::new();
    while let Ok(Some(connection)) = timeout(FLUSH_WITHIN, fixture.database.pool().acquire())
        .await
        .map(Result::ok)
    {
        connections.push(connection);
    }
    let mut sessions = Vec::new();
    for connection in &mut connections {
        let session = sqlx::query_scalar("SELECT pg_backend_pid() FROM pg_stat_force_next_flush()");
        sessions.push(session.fetch_one(&mut **connection).await?);
    }
    Ok(sessions)
}

async fn remainder(fixture: &Fixture, client: &WalletClient) -> Result<String> {
    let partition: String =
        sqlx::query_scalar("SELECT tableoid::regclass::TEXT FROM clients WHERE client_id = $1")
            .bind(client.id)
            .fetch_one(fixture.database.pool())
            .await?;
    let (_, remainder) = partition.rsplit_once('_').context("no partition")?;
    Ok(remainder.to_owned())
}

async fn operation_touches_the_partitions_of_its_clients_only(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("USD", "MAD", "9.2").await?;
    // Two clients in two partitions.
    let payer = fixture.wallet_client(&[("USD", 100_000)]).await?;
    let own = remainder(&fixture, &payer).await?;
    let mut receiver = fixture.wallet_client(&[("MAD", 0)]).await?;
    while remainder(&fixture, &receiver).await? == own {
        receiver = fixture.wallet_client(&[("MAD", 0)]).await?;
    }
    let both = BTreeSet::from([own.clone(), remainder(&fixture, &receiver).await?]);
    let only = BTreeSet::from([own]);
    let pending = payer.withdraw("USD", 10).await?.expect(201)?;
    let item = json!({
        "client_id": payer.id, "wallet_id": payer.wallet("USD")?, "receiver_client_id": receiver.id, "amount": 10,
    });
    let batch = json!({ "mode": "each", "transfers": [item, item] });
    let statement = payer.path(&format!(
        "wallets/{}/statement?from=2026-01-01T00:00:00Z",
        payer.wallet("USD")?
    ));
    let own = flush_own_counts(&fixture).await?;
    end_sessions(&fixture, &own).await?;
    let before_all = touched(&fixture).await?;
    ensure!(before_all.len() == 15, "{before_all:?}");
    let operations = [
        ("get_wallets", &only),
        ("open_wallet", &only),
        ("recharge_wallet", &only),
        ("withdraw_from_wallet", &only),
        ("settle_withdrawal", &only),
        ("list_payments", &only),
        ("get_statement", &only),
        ("transfer", &both),
        ("transfer_batch", &both),
    ];
    for (operation, expected) in operations {
        let before = touched(&fixture).await?;
        let answer = match operation {
            "get_wallets" => payer.api.get(&payer.path("wallets")).await?,
            "open_wallet" => {
                payer
                    .service
                    .post(&payer.path("wallets"), &new_key(), &json!({ "currency": "EUR" }))
                    .await?
            }
            "recharge_wallet" => payer.recharge("USD", 1).await?,
            "withdraw_from_wallet" => payer.withdraw("USD", 1).await?,
            "settle_withdrawal" => payer.settle(&pending.body["transaction_id"], "failed").await?,
            "list_payments" => payer.api.get(&payer.path("payments?type=recharge")).await?,
            "get_statement" => payer.api.get(&statement).await?,
            "transfer" => payer.pay("USD", &receiver, json!({ "amount": 10 })).await?,
            _ => payer.service.post("/transfers/batch", &new_key(), &batch).await?,
        };
        ensure!(answer.status < 300, "{operation}: {}", answer.text);
        end_sessions(&fixture, &own).await?;
        let after = touched(&fixture).await?;
        let seen: BTreeSet<String> = after
            .iter()
            .filter(|(partition, count)| before.get(*partition) != Some(*count))
            .filter_map(|(partition, _)| Some(partition.rsplit_once('_')?.1.to_owned()))
            .collect();
        ensure_eq!(seen, *expected, "the partitions that {operation} touched");
    }
    let tables: BTreeSet<&str> = OF_CLIENTS.into_iter().chain(OF_NOBODY).collect();
    ensure_eq!(tables.len(), 8);
    Ok(())
}

/// Passes a connection on and counts the client's `Sync` messages: each is a round trip.
async fn counted(client: TcpStream, server: TcpStream, trips: Arc<AtomicU64>) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    // The start-up message has no type, nor has the question for TLS before it.
    let mut has_type = false;
    let ssl_request = 80_877_103_u32.to_be_bytes();
    loop {
        let mut kind = [0_u8; 1];
        if has_type {
            if from_client.read_exact(&mut kind).await.is_err() {
                break;
            }
            to_server.write_all(&kind).await?;
        }
        let mut length = [0_u8; 4];
        if from_client.read_exact(&mut length).await.is_err() {
            break;
        }
        let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or_default();
        let mut body = vec![0_u8; size.saturating_sub(4)];
        from_client.read_exact(&mut body).await?;
        if kind == *b"S" {
            trips.fetch_add(1, Ordering::SeqCst);
        }
        has_type = body != ssl_request;
        to_server.write_all(&length).await?;
        to_server.write_all(&body).await?;
    }
    back.abort();
    Ok(())
}

/// The database's URL through a proxy that counts round trips.
async fn proxied(fixture: &Fixture) -> Result<(String, Arc<AtomicU64>)> {
    let url = fixture.cloud.database_url();
    let address = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .context("no address")?
        .to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?.to_string();
    let trips = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&trips);
    let server = address.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if let Ok(server) = TcpStream::connect(&server).await {
                tokio::spawn(counted(client, server, Arc::clone(&counter)));
            }
        }
    });
    Ok((url.replace(&address, &here), trips))
}

async fn transfer_is_one_round_trip(fixture: Arc<Fixture>) -> Result {
    fixture.set_rate("USD", "SAR", "3.75").await?;
    let alice = fixture.wallet_client(&[("USD", 1_000_000)]).await?;
    let bob = fixture.wallet_client(&[("USD", 0), ("SAR", 0)]).await?;
    let (url, trips) = proxied(&fixture).await?;
    let transfers = Transfers::at(Database::at(&url)?);
    let payer = ClientId::new(alice.id).context("no client")?;
    let transfer = |currency: Option<&str>| {
        Result::<_>::Ok(TransferRequest {
            wallet_id: WalletId::new(alice.wallet("USD")?).context("no wallet")?,
            receiver_client_id: ClientId::new(bob.id).context("no client")?,
            receiver_currency: currency.map(str::parse).transpose()?,
            amount: Some(100),
            receiver_amount: None,
        })
    };
    let key = || IdempotencyKey::parse(Some(&new_key())).map_err(|problem| anyhow::anyhow!("{problem:?}"));
    let single = async |currency: Option<&str>| {
        let before = trips.load(Ordering::SeqCst);
        transfers.transfer(payer, &key()?, transfer(currency)?).await?;
        Result::<_>::Ok(trips.load(Ordering::SeqCst) - before)
    };
    let batch = async |size: usize| {
        let items = vec![(payer, transfer(None)?); size];
        let before = trips.load(Ordering::SeqCst);
        for made in transfers
            .batch(&key()?, batch_of(BatchMode::Atomic, items))
            .await?
        {
            made?;
        }
        Result::<_>::Ok(trips.load(Ordering::SeqCst) - before)
    };
    // The first of a connection connects and prepares.
    single(None).await?;
    batch(1).await?;
    for currency in [None, Some("USD"), Some("SAR")] {
        ensure_eq!(
            single(currency).await?,
            1,
            "round trips of a transfer to {currency:?}"
        );
    }
    for size in [1, 2, 50, 500] {
        ensure_eq!(batch(size).await?, 1, "round trips of a batch of {size}");
    }
    Ok(())
}
