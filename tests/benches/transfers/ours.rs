//! Our transfers: through the use case, as a function's process calls it, and through HTTP and the running function.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use domain::ids::{ClientId, WalletId};
use futures::future::try_join_all;
use local_cloud::LocalCloud;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::http::Object;
use platform::idempotency::IdempotencyKey;
use platform::security::identity::Caller;
use serde_json::json;
use uuid::Uuid;
use wallets::client::access::Mover;
use wallets::transfer::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest, Transfers};

use crate::load::{Load, Pairs, SECONDS};

/// How many transfers a batch has.
pub(crate) const OF_A_BATCH: u64 = 50;
/// What each transfer moves, in minor units.
pub(crate) const AMOUNT: i64 = 10;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Transfers per second.
    pub(crate) rate: u64,
    /// How long each call took, the quickest first.
    pub(crate) calls: Vec<Duration>,
}

impl Measured {
    /// Adds one of several rounds.
    pub(crate) fn add(&mut self, round: Self, rounds: u64) {
        self.rate += round.rate / rounds;
        self.calls.extend(round.calls);
        self.calls.sort_unstable();
    }

    /// How long so many of a hundred calls took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.calls.len().saturating_sub(1);
        let place = (last * percent).div_ceil(100);
        self.calls.get(place).copied().unwrap_or_default()
    }
}

/// Transfers by the use case; each of the connections belongs to one caller, as an instance of a function has its own.
pub(crate) async fn transfers(database_url: &str, load: Load) -> anyhow::Result<Measured> {
    let pairs = Arc::new(Pairs::of(load));
    measure(
        callers(database_url, load)?,
        1,
        move |transfers: Arc<Transfers>| {
            let pairs = Arc::clone(&pairs);
            async move {
                let (client, transfer) = order(&pairs)?;
                transfers
                    .transfer(Mover::service(caller(), client), &key()?, transfer)
                    .await?;
                Ok(())
            }
        },
    )
    .await
}

/// Batches by the use case.
pub(crate) async fn batches(database_url: &str, load: Load) -> anyhow::Result<Measured> {
    let pairs = Arc::new(Pairs::of(load));
    measure(
        callers(database_url, load)?,
        OF_A_BATCH,
        move |transfers: Arc<Transfers>| {
            let pairs = Arc::clone(&pairs);
            async move {
                let items = (0..OF_A_BATCH).map(|_| {
                    let (client, transfer) = order(&pairs)?;
                    Ok(Object(BatchTransfer {
                        client_id: client,
                        wallet_id: transfer.wallet_id,
                        receiver_client_id: transfer.receiver_client_id,
                        receiver_currency: transfer.receiver_currency,
                        amount: transfer.amount,
                        receiver_amount: transfer.receiver_amount,
                        idempotency_key: None,
                    }))
                });
                let batch = TransferBatchRequest {
                    mode: BatchMode::Atomic,
                    transfers: items.collect::<anyhow::Result<_>>()?,
                };
                let made = transfers.batch(caller(), &key()?, batch).await?;
                ensure!(
                    made.value.iter().all(Result::is_ok),
                    "a transfer of a batch was refused"
                );
                Ok(())
            }
        },
    )
    .await
}

/// Transfers through the gateway and the running function.
pub(crate) async fn requests(cloud: &LocalCloud, load: Load) -> anyhow::Result<Measured> {
    let pairs = Arc::new(Pairs::of(load));
    let http = local_cloud::http_client()?;
    let token: Arc<str> = cloud.mint_token(json!({ "scope": "wallets" }))?.into();
    let url = cloud.url();
    let callers = (0..load.connections).map(|_| http.clone()).collect();
    measure(callers, 1, move |http: reqwest::Client| {
        let (pairs, token, url) = (Arc::clone(&pairs), Arc::clone(&token), url.clone());
        async move {
            let (client, transfer) = order(&pairs)?;
            let request = http
                .post(format!("{url}/clients/{client}/transfers"))
                .bearer_auth(&token)
                .header("Idempotency-Key", Uuid::new_v4().to_string())
                .json(&json!({
                    "wallet_id": transfer.wallet_id,
                    "receiver_client_id": transfer.receiver_client_id,
                    "amount": transfer.amount,
                }));
            let response = request.send().await?;
            let status = response.status().as_u16();
            let text = response.text().await?;
            ensure!(status == 201, "a transfer answered {status}: {text}");
            Ok(())
        }
    })
    .await
}

fn callers(database_url: &str, load: Load) -> anyhow::Result<Vec<Arc<Transfers>>> {
    (0..load.connections)
        .map(|_| {
            Ok(Arc::new(Transfers::at(
                Database::at(database_url)?,
                ClockHandle::system(),
            )))
        })
        .collect()
}

/// All callers at once, each one call after the other; the first call of each, which connects, doesn't count.
async fn measure<C, F>(
    callers: Vec<C>,
    transfers_per_call: u64,
    call: impl Fn(C) -> F + Clone + Send + 'static,
) -> anyhow::Result<Measured>
where
    C: Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    try_join_all(callers.iter().cloned().map(&call)).await?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(SECONDS);
    let tasks = callers.into_iter().map(|caller| {
        let call = call.clone();
        tokio::spawn(async move {
            let mut calls = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                call(caller.clone()).await?;
                calls.push(asked.elapsed());
            }
            Ok::<_, anyhow::Error>(calls)
        })
    });
    let mut calls = Vec::new();
    for of_one in try_join_all(tasks).await? {
        calls.extend(of_one?);
    }
    let done = u64::try_from(calls.len())? * transfers_per_call;
    let millis = u64::try_from(begun.elapsed().as_millis())?;
    Ok(Measured {
        rate: done * 1000 / millis.max(1),
        calls,
    })
}

fn order(pairs: &Pairs) -> anyhow::Result<(ClientId, TransferRequest)> {
    let (payer, receiver) = pairs.draw()?;
    let transfer = TransferRequest {
        wallet_id: WalletId::new(payer.into()).context("no wallet")?,
        receiver_client_id: ClientId::new(receiver.into()).context("no receiver")?,
        receiver_currency: None,
        amount: Some(AMOUNT),
        receiver_amount: None,
    };
    Ok((ClientId::new(payer.into()).context("no payer")?, transfer))
}

pub(crate) fn caller() -> Caller {
    Caller::new("issuer", "bench")
}

pub(crate) fn key() -> anyhow::Result<IdempotencyKey> {
    IdempotencyKey::parse(Some(&Uuid::new_v4().to_string())).map_err(|problem| anyhow!("{problem:?}"))
}
