//! A database with clients, and deferred transfers between them.

use std::time::Duration;

use domain::ids::{ClientId, WalletId};
use local_cloud::backends::TestDatabase;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::http::Object;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::security::identity::Caller;
use sqlx::PgConnection;

use crate::client::access::Mover;
use crate::payment::view::PaymentView;
use crate::reconciliation::Reconciler;
use crate::transfer::{BatchMode, BatchTransfer, TransferBatchRequest, TransferRequest, Transfers};
use crate::transfer_order::{Report, TransferOrders};

/// What every client's wallet holds at the beginning.
pub(super) const STOCK: i64 = 10_000;

/// A database with clients 1, 2, 3 …, each with a wallet of the same number in dollars.
pub(super) struct Bench {
    database: TestDatabase,
}

impl Bench {
    pub(super) async fn with_clients(clients: i64) -> Self {
        let database = TestDatabase::start().await.unwrap();
        let mut connection = database.connection().await.unwrap();
        let bench = Self { database };
        for statement in [
            "INSERT INTO clients (client_id, created_at) SELECT n, '2020-01-01' FROM generate_series(1, $1) AS n",
            "INSERT INTO wallets (client_id, id, currency, balance, entries, created_at) \
             SELECT n, n, 840, 10000, 1, '2020-01-01' FROM generate_series(1, $1) AS n",
            "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
             partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
             created_at, updated_at) \
             SELECT n, nextval('payment_ids'), gen_random_uuid(), 1, 2, n, 840, 10000, 0, 0, 840, -10000, 1, 1, 10000, \
                    '2020-01-01', '2020-01-01' FROM generate_series(1, $1) AS n",
        ] {
            sqlx::query(statement)
                .bind(clients)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        bench
    }

    pub(super) fn environment(&self) -> Environment {
        // Nobody listens to wake-ups here.
        let nobody = "http://127.0.0.1:9/nudges";
        let variables = [
            ("DATABASE_URL", self.database.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", nobody),
            ("QUEUE_TRANSFER_NUDGES_URL", nobody),
        ];
        Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    pub(super) fn transfers(&self) -> Transfers {
        Transfers::deferred_at(Database::at(self.database.url()).unwrap(), ClockHandle::system())
    }

    pub(super) async fn connect(&self) -> PgConnection {
        self.database.connection().await.unwrap()
    }

    pub(super) async fn settle(&self) -> Report {
        let orders = TransferOrders::read(&mut self.environment()).unwrap();
        orders.run(Deadline::after(Duration::from_mins(2))).await.unwrap()
    }

    pub(super) async fn number(&self, statement: &'static str) -> i64 {
        let number = sqlx::query_scalar(statement);
        number.fetch_one(&mut self.connect().await).await.unwrap()
    }

    pub(super) async fn execute(&self, statements: &'static str) {
        sqlx::raw_sql(statements)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    /// Brings in so much that no more than this fits into a wallet.
    pub(super) async fn fill(&self, wallet: i64, room: i64) {
        let mut connection = self.connect().await;
        let amount = "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
                      partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
                      created_at, updated_at) \
                      SELECT client_id, nextval('payment_ids'), gen_random_uuid(), 1, 2, id, currency, $2 - balance, 0, 0, currency, \
                             balance - $2, 1, entries + 1, $2, '2020-01-02', '2020-01-02' FROM wallets WHERE id = $1";
        let balance = "UPDATE wallets SET balance = $2, entries = entries + 1 WHERE id = $1";
        for statement in [amount, balance] {
            sqlx::query(statement)
                .bind(wallet)
                .bind(i64::MAX - room)
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }

    pub(super) async fn balances(&self) -> Vec<i64> {
        let balances = sqlx::query_scalar("SELECT balance FROM wallets WHERE currency = 840 ORDER BY id");
        balances.fetch_all(&mut self.connect().await).await.unwrap()
    }

    pub(super) async fn events(&self) -> Vec<(String, String)> {
        let events = sqlx::query_as(
            "SELECT kind, ordering_key FROM outbox_messages JOIN transfer_events AS event \
                 ON event.key = source_key AND event.id = source_id \
              WHERE event.payload->>'type' = kind AND event.payload->>'id' = event_id::TEXT \
              ORDER BY outbox_messages.id",
        );
        events.fetch_all(&mut self.connect().await).await.unwrap()
    }

    /// The differences that the reconciliation finds: kinds and payments.
    pub(super) async fn differences(&self) -> Vec<(String, Option<i64>)> {
        let reconciler = Reconciler::read(&mut self.environment()).unwrap();
        let report = reconciler
            .run(Deadline::after(Duration::from_mins(2)))
            .await
            .unwrap();
        assert_eq!((report.failed.len(), report.clients_left), (0, 0));
        let found = sqlx::query_as("SELECT kind, payment_id FROM wallet_differences ORDER BY id");
        found.fetch_all(&mut self.connect().await).await.unwrap()
    }

    /// Nothing is on its way, and nothing was lost or made.
    pub(super) async fn books_are_right(&self) {
        assert_eq!(self.number("SELECT count(*) FROM transfer_orders").await, 0);
        assert_eq!(
            self.number("SELECT count(*) FROM payments WHERE payment_status = 1")
                .await,
            0
        );
        let made = "SELECT ((SELECT sum(balance) FROM wallets WHERE currency = 840) \
                        - (SELECT sum(amount) FROM payments WHERE payment_type = 1 AND currency = 840))::BIGINT";
        assert_eq!(self.number(made).await, 0, "money was lost or made");
        assert_eq!(self.differences().await, []);
    }
}

pub(super) fn caller() -> Caller {
    Caller::new("issuer", "shop")
}

pub(super) fn mover(client: i64) -> Mover {
    Mover::service(caller(), ClientId::new(client).unwrap())
}

pub(super) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(Some(text)).unwrap()
}

pub(super) fn order(payer: i64, receiver: i64, amount: i64) -> TransferRequest {
    TransferRequest {
        wallet_id: WalletId::new(payer).unwrap(),
        receiver_client_id: ClientId::new(receiver).unwrap(),
        receiver_currency: None,
        amount: Some(amount),
        receiver_amount: None,
    }
}

pub(super) async fn pay(
    transfers: &Transfers,
    name: &str,
    payer: i64,
    receiver: i64,
    amount: i64,
) -> Replayable<PaymentView> {
    let order = order(payer, receiver, amount);
    transfers.transfer(mover(payer), &key(name), order).await.unwrap()
}

pub(super) fn batch(mode: BatchMode, items: &[(i64, i64, i64, Option<&str>)]) -> TransferBatchRequest {
    let item = |(payer, receiver, amount, own): &(i64, i64, i64, Option<&str>)| {
        let order = order(*payer, *receiver, *amount);
        Object(BatchTransfer {
            client_id: ClientId::new(*payer).unwrap(),
            wallet_id: order.wallet_id,
            receiver_client_id: order.receiver_client_id,
            receiver_currency: None,
            amount: order.amount,
            receiver_amount: None,
            idempotency_key: own.map(key),
        })
    };
    TransferBatchRequest {
        mode,
        transfers: items.iter().map(item).collect(),
    }
}
