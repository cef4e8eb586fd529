//! Ready to be split by client: every key begins with the client, every statement names its clients; and a transfer is one
//! round trip.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use domain::ids::{ClientId, WalletId};
use end_to_end::wallets::new_key;
use end_to_end::{Fixture, Result, Scenario, ensure_eq, root, scenarios};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::IdempotencyKey;
use platform::security::identity::Caller;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wallets::client::access::Mover;
use wallets::transfer::{BatchMode, TransferRequest, Transfers};

use crate::crowd::batch_of;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        every_key_begins_with_the_client,
        every_statement_names_its_clients,
        times_are_parameters_of_every_function,
        transfer_looks_at_one_client_at_a_time,
        half_of_a_transfer_is_about_one_side,
        tables_of_clients_stand_alone,
        statements_lock_one_client_and_ask_no_clock,
        alone(transfer_is_one_round_trip),
    ]
}

/// The tables of the area that belong to clients.
const OF_CLIENTS: [&str; 8] = [
    "clients",
    "payment_requests",
    "payments",
    "transfer_answers",
    "transfer_orders",
    "wallet_checkpoints",
    "wallet_differences",
    "wallets",
];

/// What asks the database for the time.
const CLOCKS: [&str; 4] = [
    "now()",
    "clock_timestamp",
    "statement_timestamp",
    "current_timestamp",
];

async fn every_key_begins_with_the_client(fixture: Arc<Fixture>) -> Result {
    let keys: Vec<(String, String)> = sqlx::query_as(
        "SELECT indrelid::regclass::TEXT, pg_get_indexdef(indexrelid) FROM pg_index \
         WHERE indisunique AND indrelid::regclass::TEXT = ANY ($1)",
    )
    .bind(OF_CLIENTS.as_slice())
    .fetch_all(fixture.database.pool())
    .await?;
    ensure!(keys.len() >= OF_CLIENTS.len(), "{keys:?}");
    for (table, key) in keys {
        ensure!(
            key.contains("(client_id"),
            "a key of {table} doesn't begin with its client: {key}"
        );
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::TEXT FROM information_schema.columns \
          WHERE table_schema = 'public' AND column_name = 'client_id' AND table_name <> 'client_names' \
            AND table_name <> 'client_references' AND table_name <> 'reviews' ORDER BY 1",
    )
    .fetch_all(fixture.database.pool())
    .await?;
    ensure_eq!(tables, OF_CLIENTS, "tables of clients");
    Ok(())
}

/// The tables of clients that a statement is about.
fn tables_in(sql: &str) -> Vec<&'static str> {
    // A queue's name has a hyphen: it is one word, and no table.
    let words: BTreeSet<&str> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .collect();
    let is_named = |table: &&str| words.contains(table);
    OF_CLIENTS.into_iter().filter(is_named).collect()
}

/// Of all statements in the code, those about clients; each as sqlx has kept it.
fn statements() -> Result<Vec<String>> {
    let mut statements = Vec::new();
    for file in std::fs::read_dir(root().join(".sqlx"))? {
        let text = std::fs::read_to_string(file?.path())?;
        let query: Value = serde_json::from_str(&text)?;
        let sql = query["query"].as_str().context("no query")?;
        // Trading has payments of its own.
        if !tables_in(sql).is_empty() && !sql.contains("drivewealth_") {
            statements.push(sql.to_owned());
        }
    }
    ensure!(
        statements.len() > 15,
        "only {} statements are about clients",
        statements.len()
    );
    Ok(statements)
}

async fn every_statement_names_its_clients(_: Arc<Fixture>) -> Result {
    // Whom the reconciliation looks at next is a question about all wallets, in the order of their key; what waits for a node's
    // clients one about all orders.
    let about_all = |sql: &str| {
        sql.contains("(wallet.client_id, wallet.id) > ($1, $2)")
            || sql.contains("count(DISTINCT client_id)")
            || sql.contains("WHERE waiting.receiver_slot = $1")
            || sql.contains("min(receiver_slot)")
    };
    for sql in statements()?.iter().filter(|sql| !about_all(sql)) {
        let named = sql.contains("client_id = $1")
            || sql.contains("client_id = ANY ($1)")
            || (sql.starts_with("INSERT INTO") && sql.contains("(client_id,"));
        ensure!(named, "a statement doesn't name its clients: {sql}");
    }
    Ok(())
}

/// Rows of two clients may be on two nodes, whose clocks differ, and which wait for each other unseen.
async fn statements_lock_one_client_and_ask_no_clock(_: Arc<Fixture>) -> Result {
    for sql in statements()? {
        let words = sql.to_lowercase();
        for clock in CLOCKS {
            ensure!(!words.contains(clock), "a statement asks for {clock}: {sql}");
        }
        let locks_one = !words.contains(" join ") && words.contains("client_id = $1 and");
        ensure!(
            !words.contains("for update") || locks_one,
            "a statement locks rows of more than one client: {sql}"
        );
    }
    Ok(())
}

/// The statements of a function in PL/pgSQL, without comments.
fn statements_of(source: &str) -> Vec<String> {
    let lines = source
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let source = lines.collect::<Vec<_>>().join(" ");
    let source = source.split_whitespace().collect::<Vec<_>>().join(" ");
    source.split(';').map(|one| one.trim().to_owned()).collect()
}

/// What was refused on a cluster (`SCALING.md`): a look at two clients in one statement, a join with anything else, plans that are
/// forced. Each statement of a transfer is about one table of one client.
async fn transfer_looks_at_one_client_at_a_time(fixture: Arc<Fixture>) -> Result {
    let function = "SELECT prosrc, proconfig FROM pg_proc \
                     WHERE proname = 'transfer_between_wallets' AND 'moment' = ANY (proargnames)";
    let (source, settings): (String, Option<Vec<String>>) = sqlx::query_as(function)
        .fetch_one(fixture.database.pool())
        .await?;
    ensure_eq!(settings, None, "settings of the function");
    let statements = statements_of(&source);
    // Events aren't of clients: they go out from where they were written.
    let is_about = |one: &&String| {
        let reads_or_writes = ["SELECT ", "UPDATE ", "INSERT "]
            .iter()
            .any(|word| one.contains(word));
        reads_or_writes && !one.contains("outbox_messages") && !tables_in(one).is_empty()
    };
    let about: Vec<&String> = statements.iter().filter(is_about).collect();
    ensure!(
        about.len() >= 8,
        "only {} statements are about clients",
        about.len()
    );
    for statement in about {
        let keys = statement.matches("client_id = payer_client").count()
            + statement.matches("client_id = receiver_client").count();
        let is_insert =
            statement.contains("INSERT INTO payments") && statement.contains("VALUES (payer_client,");
        ensure!(
            tables_in(statement).len() == 1 && (keys == 1 || is_insert),
            "not one table of one client: {statement}"
        );
        for refused in ["JOIN", "OFFSET", "LATERAL", "FOR UPDATE", "ON CONFLICT"] {
            ensure!(!statement.contains(refused), "{refused} in {statement}");
        }
    }
    Ok(())
}

/// The payer's half names the payer alone, and looks for a receiver who lives there; the other two are statements about one table
/// each, whose rows they name by client.
async fn half_of_a_transfer_is_about_one_side(fixture: Arc<Fixture>) -> Result {
    for (function, least) in [("debit", 6), ("credit_transfers", 5), ("settle_transfers", 4)] {
        let source: String = sqlx::query_scalar("SELECT prosrc FROM pg_proc WHERE proname = $1")
            .bind(function)
            .fetch_one(fixture.database.pool())
            .await?;
        let about: Vec<String> = statements_of(&source)
            .into_iter()
            .filter(|one| !one.contains("outbox_messages") && !tables_in(one).is_empty())
            .collect();
        ensure!(
            about.len() >= least,
            "{function} has only {} statements",
            about.len()
        );
        for statement in about {
            ensure_eq!(tables_in(&statement).len(), 1, "tables of {statement}");
            let names_clients = match function {
                "debit" => {
                    statement.contains("client_id = payer_client")
                        || statement.contains("VALUES (payer_client,")
                        || statement.contains("FROM wallets AS own WHERE own.client_id = receiver_client")
                }
                _ => {
                    statement.contains(".client_id = item.client_id")
                        || statement.contains(".client_id = wallet.client_id")
                        || statement.contains(".client_id = changed.client_id")
                        || statement.contains(".client_id = refused.client_id")
                        || statement.contains("SELECT item.client_id,")
                }
            };
            ensure!(names_clients, "{function} doesn't name its clients: {statement}");
        }
    }
    Ok(())
}

/// No partitions, which an engine makes itself; rules that see one row; references that stay with the client or are everywhere.
async fn tables_of_clients_stand_alone(fixture: Arc<Fixture>) -> Result {
    let pool = fixture.database.pool();
    let tables = "SELECT relname::TEXT FROM pg_class WHERE relname = ANY ($1) AND relkind = 'r' AND NOT relispartition \
                  AND NOT relhassubclass ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .bind(OF_CLIENTS.as_slice())
        .fetch_all(pool)
        .await?;
    ensure_eq!(tables, OF_CLIENTS, "tables without partitions");
    let of_statements = "SELECT tgname::TEXT FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid \
                          WHERE relname = ANY ($1) AND (tgnewtable IS NOT NULL OR tgoldtable IS NOT NULL)";
    let of_statements: Vec<String> = sqlx::query_scalar(of_statements)
        .bind(OF_CLIENTS.as_slice())
        .fetch_all(pool)
        .await?;
    ensure!(
        of_statements.is_empty(),
        "rules that see all rows of a statement: {of_statements:?}"
    );
    let references = "SELECT conrelid::regclass::TEXT, pg_get_constraintdef(oid) FROM pg_constraint \
                       WHERE contype = 'f' AND conrelid::regclass::TEXT = ANY ($1)";
    let references: Vec<(String, String)> = sqlx::query_as(references)
        .bind(OF_CLIENTS.as_slice())
        .fetch_all(pool)
        .await?;
    for (table, reference) in &references {
        let stays =
            reference.starts_with("FOREIGN KEY (client_id") && reference.contains("REFERENCES clients");
        ensure!(
            stays || reference.contains("REFERENCES currencies"),
            "{table}: {reference}"
        );
    }
    Ok(())
}

/// A time that the database gives changes a function's plan on an engine that splits, and nobody can move its clock.
async fn times_are_parameters_of_every_function(fixture: Arc<Fixture>) -> Result {
    let functions: Vec<(String, String)> = sqlx::query_as(
        "SELECT proname::TEXT, prosrc FROM pg_proc WHERE 'moment' = ANY (proargnames) ORDER BY 1",
    )
    .fetch_all(fixture.database.pool())
    .await?;
    ensure!(functions.len() >= 2, "{functions:?}");
    for (name, source) in functions {
        for clock in CLOCKS {
            ensure!(!source.to_lowercase().contains(clock), "{name} asks for {clock}");
        }
    }
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
    let transfers = Transfers::at(Database::at(&url)?, ClockHandle::system());
    // Its receiver lives where its payer does, and was never looked for.
    let deferred = Transfers::deferred_at(Database::at(&url)?, ClockHandle::system());
    let payer = ClientId::new(alice.id).context("no client")?;
    let caller = Caller::new("issuer", "shop");
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
    let single = async |transfers: &Transfers, currency: Option<&str>| {
        let before = trips.load(Ordering::SeqCst);
        let mover = Mover::service(caller, payer);
        transfers.transfer(mover, &key()?, transfer(currency)?).await?;
        Result::<_>::Ok(trips.load(Ordering::SeqCst) - before)
    };
    let batch = async |size: usize| {
        let items = vec![(payer, transfer(None)?); size];
        let before = trips.load(Ordering::SeqCst);
        for made in transfers
            .batch(caller, &key()?, batch_of(BatchMode::Atomic, items))
            .await?
            .value
        {
            made?;
        }
        Result::<_>::Ok(trips.load(Ordering::SeqCst) - before)
    };
    // The first of a connection connects and prepares.
    single(&transfers, None).await?;
    single(&deferred, None).await?;
    batch(1).await?;
    for currency in [None, Some("USD"), Some("SAR")] {
        for transfers in [&transfers, &deferred] {
            ensure_eq!(
                single(transfers, currency).await?,
                1,
                "round trips of a transfer to {currency:?}"
            );
        }
    }
    for size in [1, 2, 50, 500] {
        ensure_eq!(batch(size).await?, 1, "round trips of a batch of {size}");
    }
    Ok(())
}
