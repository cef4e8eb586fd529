//! Requests that move money between wallets, killed at every point: they are one transaction, so each is done whole or
//! not at all, and once when it is sent again.

use std::sync::Arc;

use anyhow::{bail, ensure};
use end_to_end::wallets::{WalletClient, new_key};
use end_to_end::wire::{Played, Wire};
use end_to_end::{Answer, Fixture, Result, ensure_eq};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{MOST, Start, THROUGH, tell};

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

    async fn ask(&self, operation: Operation) -> Result<Answer> {
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

pub(crate) async fn all(fixture: Arc<Fixture>) -> Result {
    for operation in Operation::ALL {
        let wire = Wire::attach(&fixture, operation.function(), &["DATABASE_URL"]).await?;
        let begun = Instant::now();
        let points = kill(&fixture, &wire, operation).await?;
        tell(operation.function(), Start::Cold, points, begun);
        wire.detach(&fixture)?;
    }
    let report = fixture.run("reconcile_wallets", json!({})).await?.payload;
    ensure_eq!(report["differences"], json!(0), "{report}");
    Ok(())
}

/// Kills the function at every point; after each, what it was asked for is done whole or not at all, and is done once when
/// it is asked for again. Gives the number of points.
async fn kill(fixture: &Fixture, wire: &Wire, operation: Operation) -> Result<usize> {
    let [before, after] = Attempt::balances(operation);
    let (mut points, mut through) = (0, 0);
    let mut seen_states = Vec::new();
    for step in 1..=MOST {
        let attempt = Attempt::new(fixture, operation).await?;
        Start::Cold.prepare(fixture, operation.function()).await?;
        let point = match wire.play(fixture, step, attempt.ask(operation)).await? {
            Played::Through(answer) => {
                ensure!(answer.status < 300, "{}", answer.text);
                through += 1;
                format!("nowhere at step {step}")
            }
            Played::Killed { point, outcome } => {
                ensure!(
                    outcome.status == 500 || outcome.status < 300,
                    "killed {point}: {}",
                    outcome.text
                );
                points += 1;
                through = 0;
                point
            }
        };
        let seen = attempt.seen(fixture).await?;
        ensure!(
            seen == before || seen == after,
            "half done, killed {point}: {seen:?}"
        );
        seen_states.push(seen);
        for _ in 0..2 {
            let answer = attempt.ask(operation).await?;
            ensure!(
                answer.status < 300,
                "killed {point}, then sent again: {}",
                answer.text
            );
            ensure_eq!(
                attempt.seen(fixture).await?,
                after,
                "killed {point}, then sent again"
            );
        }
        if through == THROUGH {
            let both = seen_states.contains(&before) && seen_states.contains(&after);
            ensure!(both, "all points lie on one side of the commit");
            return Ok(points);
        }
    }
    bail!("{} did not come to its end in {MOST} steps", operation.function())
}
