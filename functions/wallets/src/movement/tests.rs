//! The rules of movements, and their use cases against PostgreSQL with a clock that is moved.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::{Clock, ManualClock};
use domain::currency::Currency;
use domain::ids::ClientId;
use local_cloud::backends::TestDatabase;
use platform::config::{Environment, FromEnvironment};
use platform::security::identity::Caller;

use super::*;
use crate::currency_number::CurrencyNumber;
use crate::statement::view::StatementView;
use crate::statement::{StatementQuery, Statements};

fn wallet(balance: i64) -> Wallet {
    Wallet {
        client_id: ClientId::new(1).unwrap(),
        id: WalletId::new(2).unwrap(),
        currency: CurrencyNumber(Currency::USD),
        balance,
        entries: 3,
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn movement(amount: i64) -> MovementRequest {
    MovementRequest {
        wallet_id: WalletId::new(2).unwrap(),
        amount,
    }
}

#[test]
fn a_recharge_is_done_and_adds_up_to_the_largest_balance() {
    let made = movement(5).into_wallet(&wallet(i64::MAX - 5)).unwrap();
    assert_eq!(made.payment_status, PaymentStatus::Done);
    assert_eq!((made.amount.minor(), made.balance_after.minor()), (5, i64::MAX));
    let refused = movement(6).into_wallet(&wallet(i64::MAX - 5)).unwrap_err();
    assert!(matches!(refused, Error::BalanceTooLarge));
}

#[test]
fn a_withdrawal_is_pending_and_takes_at_most_the_balance() {
    let made = movement(10).out_of_wallet(&wallet(10)).unwrap();
    assert_eq!(made.payment_status, PaymentStatus::Pending);
    assert_eq!((made.amount.minor(), made.balance_after.minor()), (-10, 0));
    let refused = movement(11).out_of_wallet(&wallet(10)).unwrap_err();
    assert!(matches!(refused, Error::InsufficientFunds { balance } if balance.minor() == 10));
}

#[test]
fn an_amount_is_above_zero() {
    assert!(movement(1).check().is_ok());
    for amount in [0, -1, i64::MIN] {
        assert!(movement(amount).check().is_err(), "{amount}");
    }
}

/// A client with a wallet in dollars, in a database of its own.
struct Bench {
    movements: Movements,
    statements: Statements,
    clock: Arc<ManualClock>,
    client_id: ClientId,
    wallet_id: WalletId,
}

impl Bench {
    async fn new(database: &TestDatabase) -> Self {
        let mut connection = database.connection().await.unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-24T10:00:00Z".parse().unwrap()));
        let client_id = ClientId::new(1).unwrap();
        let client = clients::insert(&mut connection, client_id, caller(), None, clock.now());
        let client = client.await.unwrap().unwrap();
        clients::open_wallets(&mut connection, client.id, &[Currency::USD], clock.now())
            .await
            .unwrap();
        let wallets = clients::wallets(&mut connection, client.id).await.unwrap();
        // Nobody listens to wake-ups here.
        let variables = [
            ("DATABASE_URL", database.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        Self {
            movements: Movements {
                clock: Arc::clone(&clock).into(),
                ..Movements::read(&mut environment).unwrap()
            },
            statements: Statements::read(&mut environment).unwrap(),
            clock,
            client_id: client.id,
            wallet_id: wallets[0].id,
        }
    }

    fn mover(&self) -> Mover {
        Mover::service(caller(), self.client_id)
    }

    fn amount(&self, amount: i64) -> MovementRequest {
        MovementRequest {
            wallet_id: self.wallet_id,
            amount,
        }
    }

    async fn recharge(&self, text: &str, amount: i64) -> Replayable<PaymentView> {
        let key = key(text);
        let made = self.movements.recharge(self.mover(), &key, self.amount(amount));
        made.await.unwrap()
    }

    async fn withdraw(&self, text: &str, amount: i64) -> Replayable<PaymentView> {
        let key = key(text);
        let made = self.movements.withdraw(self.mover(), &key, self.amount(amount));
        made.await.unwrap()
    }

    async fn settle(
        &self,
        withdrawal: &PaymentView,
        outcome: WithdrawalOutcome,
    ) -> Result<Replayable<PaymentView>, Error> {
        let settlement = WithdrawalSettlementRequest { outcome };
        let transaction_id = withdrawal.transaction_id;
        self.movements
            .settle(self.mover(), transaction_id, &key(outcome.name()), settlement)
            .await
    }

    async fn statement_since(&self, from: DateTime<Utc>) -> StatementView {
        let query = StatementQuery {
            from: Some(from),
            ..StatementQuery::default()
        };
        let page = query.page().unwrap();
        self.statements
            .page(self.client_id, self.wallet_id, page)
            .await
            .unwrap()
    }
}

fn caller() -> Caller {
    Caller::new("issuer", "shop")
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(Some(text)).unwrap()
}

#[tokio::test]
async fn a_withdrawal_goes_by_the_clock_until_its_money_is_back() {
    let database = TestDatabase::start().await.unwrap();
    let bench = Bench::new(&database).await;
    let hour = TimeDelta::hours(1);

    let recharged_at = bench.clock.advance(hour);
    let recharge = bench.recharge("recharge", 100).await.value;
    assert_eq!((recharge.created_at, recharge.balance_after), (recharged_at, 100));

    let withdrawn_at = bench.clock.advance(hour);
    let withdrawal = bench.withdraw("withdrawal", 30).await.value;
    assert_eq!(withdrawal.payment_status, PaymentStatus::Pending);
    assert_eq!(
        (withdrawal.created_at, withdrawal.balance_after),
        (withdrawn_at, 70)
    );

    // The clock of another instance is behind.
    bench.clock.advance(-hour * 5);
    let next = bench.recharge("next", 5).await.value;
    assert_eq!((next.created_at, next.balance_after), (withdrawn_at, 75));

    bench.clock.set(withdrawn_at);
    let failed_at = bench.clock.advance(hour);
    let failed = bench
        .settle(&withdrawal, WithdrawalOutcome::Failed)
        .await
        .unwrap();
    assert!(!failed.replayed);
    assert_eq!(failed.value.payment_status, PaymentStatus::Failed);
    assert_eq!(
        (failed.value.created_at, failed.value.updated_at),
        (withdrawn_at, failed_at)
    );

    let again = bench
        .settle(&withdrawal, WithdrawalOutcome::Failed)
        .await
        .unwrap();
    assert!(again.replayed);
    let opposite = bench
        .settle(&withdrawal, WithdrawalOutcome::Done)
        .await
        .unwrap_err();
    assert!(matches!(opposite, Error::SettledOtherwise { status: "failed" }));
    let repeated = bench.withdraw("withdrawal", 30).await;
    assert!(repeated.replayed);
    assert_eq!(repeated.value.payment_status, PaymentStatus::Pending);
    assert_eq!(repeated.value.updated_at, withdrawn_at);

    let since = bench.statement_since(failed_at).await;
    assert_eq!((since.opening_balance, since.closing_balance), (75, 105));
    assert!(since.lines.len() == 1 && since.lines[0].is_return);
    let all = bench.statement_since(recharged_at).await;
    assert_eq!((all.opening_balance, all.lines.len()), (0, 4));
    assert_eq!((all.credit_turnover, all.debit_turnover), (135, -30));
}
