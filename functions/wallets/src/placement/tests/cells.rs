//! Two nodes with clients, and payments between them.

use std::time::Duration;

use domain::ids::{ClientId, WalletId};
use local_cloud::backends::TestDatabase;
use platform::clock::ClockHandle;
use platform::config::{Environment, FromEnvironment};
use platform::deadline::Deadline;
use platform::http::Object;
use platform::idempotency::{IdempotencyKey, Replayable};
use platform::security::identity::Caller;
use sqlx::PgConnection;

use crate::Error;
use crate::client::access::Mover;
use crate::payment::view::PaymentView;
use crate::placement::{BITS_BELOW_SLOT, Nodes};
use crate::reconciliation::Reconciler;
use crate::transfer::{BatchMode, BatchTransfer, Results, TransferBatchRequest, TransferRequest, Transfers};
use crate::transfer_order::{Report, TransferOrders};

/// What every client's wallet holds at the beginning.
pub(super) const STOCK: i64 = 10_000;
/// Nobody listens here.
const NOBODY: &str = "127.0.0.1:9";

/// Two nodes, each with clients 1 and 2 of its slot, and these with a wallet of the same number in dollars.
pub(super) struct Cells {
    nodes: [TestDatabase; 2],
}

/// A client of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose(pub(super) i64, pub(super) i64);

impl Whose {
    pub(super) fn number(self) -> i64 {
        (self.0 << BITS_BELOW_SLOT) + self.1
    }

    pub(super) fn client(self) -> ClientId {
        ClientId::new(self.number()).unwrap()
    }

    pub(super) fn wallet(self) -> WalletId {
        WalletId::new(self.number()).unwrap()
    }
}

pub(super) const HERE: Whose = Whose(0, 1);
pub(super) const ALSO_HERE: Whose = Whose(0, 2);
pub(super) const THERE: Whose = Whose(1, 1);
pub(super) const ALSO_THERE: Whose = Whose(1, 2);

impl Cells {
    pub(super) async fn start() -> Self {
        let start = async || TestDatabase::start().await.unwrap();
        let cells = Self {
            nodes: [start().await, start().await],
        };
        for slot in [0, 1_i16] {
            let mut connection = cells.connect(slot).await;
            sqlx::query("SELECT set_wallet_slot($1)")
                .bind(slot)
                .execute(&mut connection)
                .await
                .unwrap();
            for statement in [
                "INSERT INTO clients (client_id, created_at) SELECT nextval('client_ids'), '2020-01-01' FROM generate_series(1, 2)",
                "INSERT INTO wallets (client_id, currency, balance, entries, created_at) \
                 SELECT client_id, 840, 10000, 1, '2020-01-01' FROM clients ORDER BY client_id",
                "INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, \
                 partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, \
                 created_at, updated_at) \
                 SELECT client_id, nextval('payment_ids'), gen_random_uuid(), 1, 2, id, 840, 10000, 0, 0, 840, -10000, 1, 1, 10000, \
                        '2020-01-01', '2020-01-01' FROM wallets",
            ] {
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            let ids: Vec<(i64, i64)> = sqlx::query_as("SELECT client_id, id FROM wallets ORDER BY id")
                .fetch_all(&mut connection)
                .await
                .unwrap();
            // The second node begins with the first id of its slot, 2^40 + 1.
            let of = |number| (i64::from(slot) << BITS_BELOW_SLOT) + number;
            assert_eq!(ids, [(of(1), of(1)), (of(2), of(2))]);
        }
        cells
    }

    pub(super) async fn connect(&self, slot: i16) -> PgConnection {
        let node = &self.nodes[usize::try_from(slot).unwrap()];
        node.connection().await.unwrap()
    }

    /// What functions read, with these nodes.
    fn environment(here: &str, there: &str) -> Environment {
        let nudges = format!("http://{NOBODY}/nudges");
        let variables = [
            ("DATABASE_URL", here.to_owned()),
            ("WALLET_NODES", format!(r#"["{there}"]"#)),
            ("TRANSFER_MODE", "deferred".to_owned()),
            ("EXCHANGE_RATE_MAX_AGE_DAYS", "7".to_owned()),
            ("QUEUE_OUTBOX_NUDGES_URL", nudges.clone()),
            ("QUEUE_TRANSFER_NUDGES_URL", nudges),
        ];
        Environment::of(variables.map(|(name, value)| (name.to_owned(), value)))
    }

    /// What a function reads; the second node may be out of its reach.
    pub(super) fn read<T: FromEnvironment>(&self, is_second_there: bool) -> T {
        let nowhere = format!("postgres://nobody@{NOBODY}/none");
        let there = if is_second_there {
            self.nodes[1].url()
        } else {
            nowhere.as_str()
        };
        let mut environment = Self::environment(self.nodes[0].url(), there);
        let read = T::read(&mut environment);
        environment.finish(read).unwrap()
    }

    /// What a function reads whose list of nodes has another order.
    pub(super) fn read_swapped<T: FromEnvironment>(&self) -> T {
        let mut environment = Self::environment(self.nodes[1].url(), self.nodes[0].url());
        let read = T::read(&mut environment);
        environment.finish(read).unwrap()
    }

    /// Transfers of an instance that has just begun.
    pub(super) fn transfers(&self, is_second_there: bool) -> Transfers {
        let there = self.read::<Nodes>(is_second_there);
        let databases = there.all().map(|(_, database)| database.clone()).collect();
        Transfers::deferred_at_nodes(databases, ClockHandle::system()).unwrap()
    }

    pub(super) async fn settle(&self, is_second_there: bool) -> Report {
        let orders = self.read::<TransferOrders>(is_second_there);
        orders.run(Deadline::after(Duration::from_mins(2))).await.unwrap()
    }

    pub(super) async fn balance(&self, whose: Whose) -> i64 {
        let balance =
            sqlx::query_scalar("SELECT balance FROM wallets WHERE client_id = $1 AND currency = 840");
        let balance = balance.bind(whose.number());
        let mut connection = self.connect(i16::try_from(whose.0).unwrap()).await;
        balance.fetch_one(&mut connection).await.unwrap()
    }

    pub(super) async fn balances(&self) -> [i64; 4] {
        [
            self.balance(HERE).await,
            self.balance(ALSO_HERE).await,
            self.balance(THERE).await,
            self.balance(ALSO_THERE).await,
        ]
    }

    pub(super) async fn execute(&self, slot: i16, statements: &'static str) {
        let mut connection = self.connect(slot).await;
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    pub(super) async fn numbers(&self, statement: &'static str) -> [i64; 2] {
        let number = async |slot| {
            let mut connection = self.connect(slot).await;
            let number = sqlx::query_scalar(statement).fetch_one(&mut connection);
            number.await.unwrap()
        };
        [number(0).await, number(1).await]
    }

    /// The kinds of the differences that are known at each node, after a run that got to all of it.
    pub(super) async fn differences(&self) -> [Vec<String>; 2] {
        let reconciler = self.read::<Reconciler>(true);
        let report = reconciler.run(Deadline::after(Duration::from_mins(2))).await;
        let report = report.unwrap();
        assert_eq!((report.failed.len(), report.clients_left), (0, 0));
        assert!(report.nodes_out_of_reach.is_empty() && report.out_of_reach == 0);
        let kinds = async |slot| {
            let mut connection = self.connect(slot).await;
            let kinds = sqlx::query_scalar("SELECT kind FROM wallet_differences ORDER BY kind");
            kinds.fetch_all(&mut connection).await.unwrap()
        };
        [kinds(0).await, kinds(1).await]
    }

    /// Nothing is on its way, and nothing was lost or made.
    pub(super) async fn books_are_right(&self) {
        assert_eq!(self.numbers("SELECT count(*) FROM transfer_orders").await, [0, 0]);
        let pending = "SELECT count(*) FROM payments WHERE payment_status = 1";
        assert_eq!(self.numbers(pending).await, [0, 0]);
        assert_eq!(self.balances().await.iter().sum::<i64>(), 4 * STOCK);
        assert_eq!(self.differences().await, [[""; 0], [""; 0]]);
    }
}

pub(super) fn caller() -> Caller {
    Caller::new("issuer", "shop")
}

pub(super) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(Some(text)).unwrap()
}

pub(super) fn order(payer: Whose, receiver: Whose, amount: i64) -> TransferRequest {
    TransferRequest {
        wallet_id: payer.wallet(),
        receiver_client_id: receiver.client(),
        receiver_currency: None,
        amount: Some(amount),
        receiver_amount: None,
    }
}

pub(super) async fn try_to_pay(
    transfers: &Transfers,
    name: &str,
    (payer, receiver, amount): (Whose, Whose, i64),
) -> Result<Replayable<PaymentView>, Error> {
    let mover = Mover::service(caller(), payer.client());
    let order = order(payer, receiver, amount);
    transfers.transfer(mover, &key(name), order).await
}

pub(super) async fn pay(
    transfers: &Transfers,
    name: &str,
    what: (Whose, Whose, i64),
) -> Replayable<PaymentView> {
    try_to_pay(transfers, name, what).await.unwrap()
}

pub(super) async fn batch(
    transfers: &Transfers,
    name: &str,
    mode: BatchMode,
    items: &[(Whose, Whose, i64)],
) -> Result<Replayable<Results>, Error> {
    let item = |(payer, receiver, amount): &(Whose, Whose, i64)| {
        let order = order(*payer, *receiver, *amount);
        Object(BatchTransfer {
            client_id: payer.client(),
            wallet_id: order.wallet_id,
            receiver_client_id: order.receiver_client_id,
            receiver_currency: None,
            amount: order.amount,
            receiver_amount: None,
            idempotency_key: None,
        })
    };
    let request = TransferBatchRequest {
        mode,
        transfers: items.iter().map(item).collect(),
    };
    transfers.batch(caller(), &key(name), request).await
}
