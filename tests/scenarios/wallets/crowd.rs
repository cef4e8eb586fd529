//! Many at once: no deadlock, no money made or lost, and what a simple model says.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use domain::currency::Currency;
use domain::ids::{ClientId, WalletId};
use domain::wallets::payment::WithdrawalOutcome;
use end_to_end::points::seed;
use end_to_end::wallets::{WalletClient, new_key};
use end_to_end::{Fixture, Result, Scenario, ensure_eq, is_soak, scenarios};
use futures::future::try_join_all;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::http::Object;
use platform::idempotency::IdempotencyKey;
use platform::security::identity::Caller;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wallets::Error;
use wallets::client::access::Mover;
use wallets::movement::{MovementRequest, Movements, WithdrawalSettlementRequest};
use wallets::payment::view::PaymentView;
use wallets::transfer::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest, Transfers};

use crate::books;

pub(crate) fn scenarios() -> Vec<Scenario> {
    scenarios![
        alone(random_operations_keep_the_books),
        // The last: it leaves more events to publish than another scenario should wait for.
        alone(opposite_transfers_of_32_connections_never_deadlock),
    ]
}

const CONNECTIONS: usize = 32;

/// How much of everything there is: a sample in `make test`, more in `make soak`.
struct Extent {
    /// Transfers of each connection.
    rounds: usize,
    /// Random operations.
    operations: usize,
}

fn extent() -> Extent {
    if is_soak() {
        Extent {
            rounds: 300,
            operations: 10_000,
        }
    } else {
        Extent {
            rounds: 12,
            operations: 1_600,
        }
    }
}

fn key() -> Result<IdempotencyKey> {
    IdempotencyKey::parse(Some(&new_key())).map_err(|problem| anyhow::anyhow!("{problem:?}"))
}

fn client_id(client: &WalletClient) -> Result<ClientId> {
    ClientId::new(client.id).context("no client")
}

fn wallet_id(client: &WalletClient, currency: &str) -> Result<WalletId> {
    WalletId::new(client.wallet(currency)?).context("no wallet")
}

fn mover(client: &WalletClient) -> Result<Mover> {
    Ok(Mover::service(caller(), client_id(client)?))
}

fn caller() -> Caller {
    Caller::new("issuer", "crowd")
}

/// A batch of these transfers of these payers, without keys of their own.
pub(crate) fn batch_of(mode: BatchMode, items: Vec<(ClientId, TransferRequest)>) -> TransferBatchRequest {
    let item = |(client_id, transfer): (ClientId, TransferRequest)| BatchTransfer {
        client_id,
        wallet_id: transfer.wallet_id,
        receiver_client_id: transfer.receiver_client_id,
        receiver_currency: transfer.receiver_currency,
        amount: transfer.amount,
        receiver_amount: transfer.receiver_amount,
        idempotency_key: None,
    };
    TransferBatchRequest {
        mode,
        transfers: items.into_iter().map(item).map(Object).collect(),
    }
}

async fn opposite_transfers_of_32_connections_never_deadlock(fixture: Arc<Fixture>) -> Result {
    const STOCK: i64 = 1_000_000;
    let alice = fixture.wallet_client(&[("USD", STOCK)]).await?;
    let bob = fixture.wallet_client(&[("USD", STOCK)]).await?;
    let rounds = extent().rounds;
    let pay = async |number: usize| {
        // A connection of its own, as an instance has.
        let transfers = Transfers::at(Database::at(fixture.cloud.database_url())?, ClockHandle::system());
        let (payer, receiver) = if number.is_multiple_of(2) {
            (&alice, &bob)
        } else {
            (&bob, &alice)
        };
        let transfer = TransferRequest {
            wallet_id: wallet_id(payer, "USD")?,
            receiver_client_id: client_id(receiver)?,
            receiver_currency: None,
            amount: Some(i64::try_from(number)? + 1),
            receiver_amount: None,
        };
        let client = client_id(payer)?;
        for _ in 0..rounds {
            // Every fourth sends batches, whose wallets are locked in the same order.
            if number.is_multiple_of(4) {
                for answer in transfers
                    .batch(
                        caller(),
                        &key()?,
                        batch_of(BatchMode::Each, vec![(client, transfer); 3]),
                    )
                    .await?
                    .value
                {
                    answer?;
                }
            } else {
                transfers
                    .transfer(Mover::service(caller(), client), &key()?, transfer)
                    .await?;
            }
        }
        Result::<()>::Ok(())
    };
    try_join_all((0..CONNECTIONS).map(pay)).await?;
    ensure_eq!(alice.balance("USD").await? + bob.balance("USD").await?, 2 * STOCK);
    books::agree(&fixture, &[&alice, &bob]).await
}

/// Currencies of the model and the rates between them, which stay what they are.
const CURRENCIES: [&str; 3] = ["USD", "JPY", "KWD"];
const RATES: [(&str, &str, &str); 6] = [
    ("USD", "JPY", "151.235"),
    ("JPY", "USD", "0.006612226"),
    ("USD", "KWD", "0.30707"),
    ("KWD", "USD", "3.2557"),
    ("JPY", "KWD", "0.0020311"),
    ("KWD", "JPY", "491.03"),
];
const CLIENTS: usize = 12;
const WORKERS: usize = 16;

/// What one worker knows to have happened, by currency: money in, money out for good, and what conversions made of it.
#[derive(Default)]
struct Ledger {
    recharged: BTreeMap<Currency, i64>,
    withdrawn: BTreeMap<Currency, i64>,
    converted: BTreeMap<Currency, i64>,
    /// Per wallet, what it gained or lost.
    wallets: BTreeMap<(i64, i64), i64>,
    refused: usize,
}

impl Ledger {
    fn moved(&mut self, client: ClientId, wallet: WalletId, amount: i64) {
        *self.wallets.entry((client.get(), wallet.get())).or_default() += amount;
    }
}

fn add(sums: &mut BTreeMap<Currency, i64>, more: &BTreeMap<Currency, i64>) {
    for (currency, amount) in more {
        *sums.entry(*currency).or_default() += amount;
    }
}

struct Worker<'a> {
    clients: &'a [WalletClient],
    movements: Movements,
    transfers: Transfers,
    random: StdRng,
    ledger: Ledger,
}

impl<'a> Worker<'a> {
    fn new(fixture: &Fixture, clients: &'a [WalletClient], seed: u64) -> Result<Self> {
        let url = fixture.cloud.database_url().to_owned();
        let nudges = fixture.cloud.queue_url("outbox-nudges")?;
        let mut environment = Environment::of([
            ("DATABASE_URL".to_owned(), url.clone()),
            ("QUEUE_OUTBOX_NUDGES_URL".to_owned(), nudges),
        ]);
        Ok(Self {
            clients,
            movements: Movements::read(&mut environment).context("the movements")?,
            transfers: Transfers::at(Database::at(&url)?, ClockHandle::system()),
            random: StdRng::seed_from_u64(seed),
            ledger: Ledger::default(),
        })
    }

    fn somebody(&mut self) -> &'a WalletClient {
        &self.clients[self.random.random_range(0..self.clients.len())]
    }

    fn currency(&mut self) -> &'static str {
        CURRENCIES[self.random.random_range(0..CURRENCIES.len())]
    }

    /// Small sums and, now and then, more than anybody has.
    fn amount(&mut self) -> i64 {
        if self.random.random_ratio(1, 40) {
            100_000_000
        } else {
            self.random.random_range(1..=5_000)
        }
    }

    async fn operate(&mut self) -> Result {
        match self.random.random_range(0..100) {
            0..15 => self.recharge().await,
            15..30 => self.withdraw().await,
            30..45 => self.batch().await,
            _ => self.transfer().await,
        }
    }

    async fn recharge(&mut self) -> Result {
        let (client, currency, amount) = (
            self.somebody(),
            self.currency(),
            self.random.random_range(1..=10_000),
        );
        let movement = MovementRequest {
            wallet_id: wallet_id(client, currency)?,
            amount,
        };
        self.movements.recharge(mover(client)?, &key()?, movement).await?;
        *self.ledger.recharged.entry(currency.parse()?).or_default() += amount;
        self.ledger.moved(client_id(client)?, movement.wallet_id, amount);
        Ok(())
    }

    async fn withdraw(&mut self) -> Result {
        let (client, currency, amount) = (self.somebody(), self.currency(), self.amount());
        let id = client_id(client)?;
        let movement = MovementRequest {
            wallet_id: wallet_id(client, currency)?,
            amount,
        };
        let answer = match self.movements.withdraw(mover(client)?, &key()?, movement).await {
            Ok(answer) => answer,
            Err(error) => return self.refused(error),
        };
        let outcome = match self.random.random_range(0..3) {
            0 => WithdrawalOutcome::Failed,
            1 => WithdrawalOutcome::Done,
            _ => {
                *self.ledger.withdrawn.entry(currency.parse()?).or_default() += amount;
                self.ledger.moved(id, movement.wallet_id, -amount);
                return Ok(());
            }
        };
        self.movements
            .settle(
                mover(client)?,
                answer.value.transaction_id,
                &key()?,
                WithdrawalSettlementRequest { outcome },
            )
            .await?;
        if outcome == WithdrawalOutcome::Done {
            *self.ledger.withdrawn.entry(currency.parse()?).or_default() += amount;
            self.ledger.moved(id, movement.wallet_id, -amount);
        }
        Ok(())
    }

    fn order(&mut self) -> Result<(ClientId, TransferRequest)> {
        let (payer, receiver) = (self.somebody(), self.somebody());
        let (from, to) = (self.currency(), self.currency());
        let amount = self.amount();
        let by_receiver = self.random.random_ratio(1, 4);
        let transfer = TransferRequest {
            wallet_id: wallet_id(payer, from)?,
            receiver_client_id: client_id(receiver)?,
            receiver_currency: Some(to.parse()?),
            amount: (!by_receiver).then_some(amount),
            receiver_amount: by_receiver.then_some(amount),
        };
        Ok((client_id(payer)?, transfer))
    }

    async fn transfer(&mut self) -> Result {
        let (payer, transfer) = self.order()?;
        let key = key()?;
        let mover = Mover::service(caller(), payer);
        let answer = match self.transfers.transfer(mover, &key, transfer).await {
            Ok(answer) => answer,
            Err(error) => return self.refused(error),
        };
        // One in ten is sent twice.
        if self.random.random_ratio(1, 10) {
            let again = self.transfers.transfer(mover, &key, transfer).await?;
            ensure!(again.replayed && again.value.id == answer.value.id, "paid twice");
        }
        self.transferred(&answer.value)
    }

    fn transferred(&mut self, payment: &PaymentView) -> Result {
        let receiver = payment
            .partner_client_id
            .zip(payment.partner_wallet_id)
            .context("no receiver")?;
        self.ledger
            .moved(payment.client_id, payment.wallet_id, payment.amount);
        self.ledger.moved(receiver.0, receiver.1, payment.partner_amount);
        *self.ledger.converted.entry(payment.currency).or_default() += payment.amount;
        *self.ledger.converted.entry(payment.partner_currency).or_default() += payment.partner_amount;
        Ok(())
    }

    async fn batch(&mut self) -> Result {
        let mut items = Vec::new();
        for _ in 0..self.random.random_range(1..=6) {
            let (client, transfer) = self.order()?;
            items.push((client, transfer));
        }
        let mode = if self.random.random() {
            BatchMode::Atomic
        } else {
            BatchMode::Each
        };
        let batch = batch_of(mode, items);
        let answers = match self.transfers.batch(caller(), &key()?, batch).await {
            Ok(answers) => answers.value,
            Err(error) => return self.refused(error),
        };
        for answer in answers {
            match answer {
                Ok(answer) => self.transferred(&answer.value)?,
                Err(error) => self.refused(error)?,
            }
        }
        Ok(())
    }

    /// A refusal that a caller expects; anything else fails the scenario.
    fn refused(&mut self, error: Error) -> Result {
        let reason = match &error {
            Error::Batch { reason, .. } => reason,
            error => error,
        };
        match reason {
            Error::InsufficientFunds { .. } | Error::SameWallet | Error::Conversion(_) => {
                self.ledger.refused += 1;
                Ok(())
            }
            _ => Err(error.into()),
        }
    }
}

/// Operations by 16 workers at once.
async fn random_operations_keep_the_books(fixture: Arc<Fixture>) -> Result {
    let seed = seed()?;
    play(&fixture, seed)
        .await
        .with_context(|| format!("with MONETA_SEED={seed}"))
}

async fn play(fixture: &Fixture, seed: u64) -> Result {
    for (base, quote, rate) in RATES {
        fixture.set_rate(base, quote, rate).await?;
    }
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(
            fixture
                .wallet_client(&CURRENCIES.map(|currency| (currency, 0)))
                .await?,
        );
    }
    let mut seeds = StdRng::seed_from_u64(seed);
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Worker::new(fixture, &clients, seeds.random())?);
    }
    let operations = extent().operations;
    let ledgers = try_join_all(workers.into_iter().map(|mut worker| async move {
        for _ in 0..operations / WORKERS {
            worker.operate().await?;
        }
        Result::<Ledger>::Ok(worker.ledger)
    }))
    .await?;

    let mut expected = BTreeMap::new();
    let mut wallets: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    let mut refused = 0;
    for ledger in &ledgers {
        add(&mut expected, &ledger.recharged);
        add(&mut expected, &ledger.converted);
        let withdrawn = ledger
            .withdrawn
            .iter()
            .map(|(currency, amount)| (*currency, -amount))
            .collect();
        add(&mut expected, &withdrawn);
        for (wallet, amount) in &ledger.wallets {
            *wallets.entry(*wallet).or_default() += amount;
        }
        refused += ledger.refused;
    }
    ensure!(refused > operations / 100, "only {refused} refusals");
    for client in &clients {
        for currency in CURRENCIES {
            let model = wallets
                .get(&(client.id, client.wallet(currency)?))
                .copied()
                .unwrap_or_default();
            ensure_eq!(
                client.balance(currency).await?,
                model,
                "client {} in {currency}",
                client.id
            );
        }
    }
    for currency in CURRENCIES {
        let mut sum = 0;
        for client in &clients {
            sum += client.balance(currency).await?;
        }
        let expected = expected.get(&currency.parse()?).copied().unwrap_or_default();
        ensure_eq!(
            sum,
            expected,
            "recharges - withdrawals ± conversions in {currency}"
        );
    }
    // And by the books: each balance is the sum of its payments, each transfer has its two sides.
    books::agree(fixture, &clients.iter().collect::<Vec<_>>()).await
}
