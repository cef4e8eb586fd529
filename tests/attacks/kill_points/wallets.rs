//! Requests that move money between wallets, killed at their points: they are one transaction, so each is done whole or
//! not at all, and once when it is sent again. And the settlement of deferred ones, which the next run goes on with.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context, ensure};
use domain::ids::{ClientId, WalletId};
use end_to_end::wallets::{WalletClient, new_key};
use end_to_end::wire::Wire;
use end_to_end::{Answer, Fixture, Result, ensure_eq, eventually, send_until_answered};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::IdempotencyKey;
use platform::security::identity::Caller;
use serde_json::{Value, json};
use wallets::client::access::Mover;
use wallets::transfer::{TransferRequest, Transfers};

use crate::sweep::{Run, Start, sweep, sweep_all};

const STOCK: i64 = 1_000;
const AMOUNT: i64 = 300;

/// What is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Transfer,
    Batch,
    Withdraw,
    GiveBack,
}

impl Operation {
    const ALL: [Operation; 4] = [Self::Transfer, Self::Batch, Self::Withdraw, Self::GiveBack];

    fn function(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Batch => "transfer_batch",
            Self::Withdraw => "withdraw_from_wallet",
            Self::GiveBack => "settle_withdrawal",
        }
    }
}

/// A request that is sent until it is answered.
struct Attempt {
    payer: WalletClient,
    receiver: WalletClient,
    key: String,
    /// The withdrawal to settle.
    withdrawal: Value,
}

impl Attempt {
    async fn new(fixture: &Fixture, operation: Operation) -> Result<Self> {
        let payer = fixture.wallet_client(&[("USD", STOCK)]).await?;
        let withdrawal = match operation {
            Operation::GiveBack => payer.withdraw("USD", AMOUNT).await?.expect(201)?.body,
            _ => Value::Null,
        };
        Ok(Self {
            receiver: fixture.wallet_client(&[("USD", 0)]).await?,
            payer,
            key: new_key(),
            withdrawal,
        })
    }

    async fn request(&self, operation: Operation) -> Result<Answer> {
        let Self {
            payer,
            receiver,
            key,
            withdrawal,
        } = self;
        match operation {
            Operation::Transfer => {
                payer
                    .pay_under(key, "USD", receiver, json!({ "amount": AMOUNT }))
                    .await
            }
            Operation::Batch => {
                let mut first = payer.order("USD", receiver, json!({ "amount": AMOUNT - 1 }))?;
                first["client_id"] = json!(payer.id);
                let mut second = first.clone();
                second["amount"] = json!(1);
                let body = json!({ "mode": "atomic", "transfers": [first, second] });
                payer.service.post("/transfers/batch", key, &body).await
            }
            Operation::Withdraw => {
                let body = json!({ "wallet_id": payer.wallet("USD")?, "amount": AMOUNT });
                payer.api.post(&payer.path("withdrawals"), key, &body).await
            }
            Operation::GiveBack => {
                let transaction = withdrawal["transaction_id"].as_str().unwrap_or_default();
                let path = payer.path(&format!("withdrawals/{transaction}/settlement"));
                payer
                    .service
                    .post(&path, key, &json!({ "outcome": "failed" }))
                    .await
            }
        }
    }

    /// Payer's and receiver's balance before the request and after it.
    fn balances(operation: Operation) -> [(i64, i64); 2] {
        match operation {
            Operation::Transfer | Operation::Batch => [(STOCK, 0), (STOCK - AMOUNT, AMOUNT)],
            Operation::Withdraw => [(STOCK, 0), (STOCK - AMOUNT, 0)],
            Operation::GiveBack => [(STOCK - AMOUNT, 0), (STOCK, 0)],
        }
    }

    /// Both balances at one moment: what a killed process has sent may still be worked on.
    async fn seen(&self, fixture: &Fixture) -> Result<(i64, i64)> {
        let both = "SELECT payer.balance, receiver.balance FROM wallets AS payer, wallets AS receiver \
                    WHERE payer.client_id = $1 AND receiver.client_id = $2";
        let query = sqlx::query_as(both).bind(self.payer.id).bind(self.receiver.id);
        Ok(query.fetch_one(fixture.database.pool()).await?)
    }
}

pub(crate) async fn killed_payment_between_wallets_is_done_once_by_its_repetition(
    fixture: Arc<Fixture>,
) -> Result {
    for operation in Operation::ALL {
        kill(&fixture, operation).await?;
    }
    let report = fixture.run("reconcile_wallets", json!({})).await?.payload;
    ensure_eq!(report["differences"], json!(0), "{report}");
    Ok(())
}

/// Kills the function at its points; after each, what it was asked for is done whole or not at all, and is done once when
/// it is asked for again.
async fn kill(fixture: &Arc<Fixture>, operation: Operation) -> Result {
    let [before, after] = Attempt::balances(operation);
    let wire = Wire::attach(fixture, operation.function(), &["DATABASE_URL"]).await?;
    let seen = RefCell::new(Vec::new());
    let check = async |run: &Run<Attempt, Answer>| {
        let (point, answer) = (run.point(), &run.outcome);
        let fits = answer.status < 300 || (run.killed.is_some() && answer.status == 500);
        ensure!(fits, "killed {point}: {}", answer.text);
        let balances = run.sample.seen(fixture).await?;
        ensure!(
            balances == before || balances == after,
            "half done, killed {point}: {balances:?}"
        );
        seen.borrow_mut().push(balances);
        for _ in 0..2 {
            let what = format!("{}, killed {point}", operation.function());
            let answer = send_until_answered(&what, async || run.sample.request(operation).await).await?;
            ensure!(
                answer.status < 300,
                "killed {point}, then sent again: {}",
                answer.text
            );
            ensure_eq!(
                run.sample.seen(fixture).await?,
                after,
                "killed {point}, then sent again"
            );
        }
        Ok(())
    };
    sweep(
        fixture,
        &wire,
        Start::Cold,
        async || Attempt::new(fixture, operation).await,
        async |attempt: &Attempt| attempt.request(operation).await,
        check,
    )
    .await?;
    let seen = seen.into_inner();
    ensure!(
        seen.contains(&before) && seen.contains(&after),
        "all points lie on one side of the commit"
    );
    wire.detach(fixture).await
}

/// Takes the money of a transfer, and nothing more.
async fn debit(fixture: &Fixture, payer: &WalletClient, receiver: &WalletClient, amount: i64) -> Result {
    let database = Database::at(fixture.cloud.database_url())?;
    let transfers = Transfers::deferred_at(database, ClockHandle::system());
    let order = TransferRequest {
        wallet_id: WalletId::new(payer.wallet("USD")?).context("no wallet")?,
        receiver_client_id: ClientId::new(receiver.id).context("no client")?,
        receiver_currency: None,
        amount: Some(amount),
        receiver_amount: None,
    };
    let payer = ClientId::new(payer.id).context("no client")?;
    let mover = Mover::service(Caller::new("issuer", "shop"), payer);
    let key = IdempotencyKey::parse(Some(&new_key())).map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
    transfers.transfer(mover, &key, order).await?;
    Ok(())
}

/// Of three transfers that wait one is refused. Wherever the settlement is killed, the next run has the same end.
pub(crate) async fn killed_settlement_of_transfers_is_done_by_the_next(fixture: Arc<Fixture>) -> Result {
    let prepare = async || {
        let payer = fixture.wallet_client(&[("USD", STOCK)]).await?;
        let receiver = fixture.wallet_client(&[("USD", 0)]).await?;
        let full = fixture.wallet_client(&[("USD", i64::MAX)]).await?;
        for (to, amount) in [(&receiver, AMOUNT), (&full, 1), (&receiver, 2)] {
            debit(&fixture, &payer, to, amount).await?;
        }
        Ok((payer, receiver, full))
    };
    let settle = async |_: &(WalletClient, WalletClient, WalletClient)| {
        fixture.cloud.run_schedule("settle_transfers", None).await?;
        // The lock of a dead run lasts until its session has ended.
        eventually("a run has its turn", async || {
            let run = fixture.cloud.run_schedule("settle_transfers", None).await?;
            ensure!(run.function_error.is_none(), "{:?}", run.payload);
            ensure!(run.payload["left_to_another"] == false, "{}", run.payload);
            Ok(())
        })
        .await
    };
    let samples = sweep_all(
        &fixture,
        "settle_transfers",
        Start::Cold,
        &["DATABASE_URL"],
        prepare,
        settle,
    );
    for (payer, receiver, full) in samples.await? {
        ensure_eq!(payer.balance("USD").await?, STOCK - AMOUNT - 2);
        ensure_eq!(receiver.balance("USD").await?, AMOUNT + 2);
        ensure_eq!(full.balance("USD").await?, i64::MAX);
        let payments = payer.payments().await?;
        let statuses: Vec<_> = payments
            .iter()
            .filter_map(|one| one["payment_status"].as_str())
            .collect();
        ensure_eq!(statuses, ["done", "failed", "done", "done"], "newest first");
        ensure_eq!(receiver.payments().await?.len(), 2);
    }
    let report = fixture.run("reconcile_wallets", json!({})).await?.payload;
    ensure_eq!(
        (report["differences"].clone(), report["pending"].clone()),
        (json!(0), json!(0)),
        "{report}"
    );
    Ok(())
}
