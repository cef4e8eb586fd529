//! Money flows against PostgreSQL with a clock that is moved. The broker isn't called: its payments are given.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::{Clock, ManualClock};
use domain::ids::{DriveWealthAccountId, DriveWealthPaymentId};
use domain::trading::money_flow::{MoneyFlowStatus, ProviderState};
use local_cloud::backends::TestDatabase;
use platform::config::FromEnvironment;
use platform::messaging::inbox::Arrival;
use providers::drivewealth::{Freshness, Payment, payment_status};
use serde_json::value::RawValue;

use super::store::{Flow, Lease};
use super::*;

/// A customer with a trading account that is open and a bank account that is linked.
const CUSTOMER: &str = "
    INSERT INTO profiles (id, email) VALUES (1, 'a@example.com');
    INSERT INTO plaid_items (id, profile_id, item_id, access_token_sealed) VALUES (1, 1, 'item-1', '');
    INSERT INTO bank_accounts (id, profile_id, plaid_item_id, plaid_account_id, name, mask)
    VALUES (1, 1, 1, 'plaid-1', 'Checking', '0001');
    INSERT INTO trading_accounts (id, profile_id, name) VALUES (1, 1, 'Trading');
    INSERT INTO drivewealth_users (ref_id, profile_id, status) VALUES ('user-1', 1, 'APPROVED');
    INSERT INTO drivewealth_accounts
        (ref_id, drivewealth_user_id, trading_account_id, account_no, status, status_updated_at)
    VALUES ('account-1', 'user-1', 1, 'MON000001', 'open', '2026-01-01T00:00:00Z');
    INSERT INTO drivewealth_bank_accounts (ref_id, drivewealth_user_id, bank_account_id, status)
    VALUES ('bank-1', 'user-1', 1, 'ACTIVE');";

/// The customer in a database of its own, whose time is the clock's.
struct Bench {
    ground: TestDatabase,
    database: Database,
    executor: PaymentExecutor,
    payments: PaymentRecorder,
    clock: Arc<ManualClock>,
}

impl Bench {
    async fn new() -> Self {
        let ground = TestDatabase::start().await.unwrap();
        let mut connection = ground.connection().await.unwrap();
        sqlx::raw_sql(CUSTOMER).execute(&mut connection).await.unwrap();
        // Nobody listens to wake-ups here, and there is no broker.
        let variables = [
            ("DATABASE_URL", ground.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
            ("DRIVEWEALTH_API_BASE", "http://127.0.0.1:9"),
            ("DRIVEWEALTH_SECRET", "{}"),
            ("PLAID_API_BASE", "http://127.0.0.1:9"),
            ("PLAID_SECRET", "{}"),
            ("DATA_KEY_SECRET", "{}"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        let clock = Arc::new(ManualClock::new("2026-11-24T15:00:00Z".parse().unwrap()));
        Self {
            database: Database::read(&mut environment).unwrap(),
            executor: PaymentExecutor::read(&mut environment)
                .unwrap()
                .with_clock(Arc::clone(&clock).into()),
            payments: PaymentRecorder::read(&mut environment)
                .unwrap()
                .with_clock(Arc::clone(&clock).into()),
            clock,
            ground,
        }
    }

    /// Writes the intent of a flow.
    async fn intend(&self, direction: Direction, amount_cents: i64) -> MoneyFlowId {
        let request = MoneyFlowRequest {
            trading_account_id: TradingAccountId::new(1).unwrap(),
            amount_cents,
            bank_account_id: BankAccountId::new(1).unwrap(),
        };
        let profile = ProfileId::new(1).unwrap();
        let flow = new_flow(profile, &request, direction, &Arc::clone(&self.clock).into());
        let inserting = self
            .database
            .with(async |connection| store::insert(connection, &flow).await);
        inserting.await.unwrap()
    }

    async fn flow(&self, id: MoneyFlowId) -> Flow {
        let loading = self
            .database
            .with(async |connection| store::load(connection, id).await);
        loading.await.unwrap()
    }

    async fn lease(&self, id: MoneyFlowId) -> Option<Lease> {
        let now = self.clock.now();
        let (until, forgotten_at) = (now + TimeDelta::seconds(23), now - TimeDelta::hours(95));
        let leasing = self
            .database
            .with(async |connection| store::try_lease(connection, id, now, until, forgotten_at).await);
        leasing.await.unwrap()
    }

    /// Records that the broker has carried the flow out, as a payment that waits.
    async fn accept(&self, id: MoneyFlowId) -> Payment {
        let flow = self.flow(id).await;
        let payment = self.payment(&flow, 1);
        let now = self.clock.now();
        let accepting = self
            .database
            .transaction(async |connection| state::accept(connection, &flow, &payment, now).await);
        accepting.await.unwrap();
        payment
    }

    /// The payment of a flow in the broker's status of this number, since now.
    fn payment(&self, flow: &Flow, status_code: i32) -> Payment {
        Payment {
            id: DriveWealthPaymentId::parse(&format!("payment-{}", flow.id)).unwrap(),
            account_id: Some(DriveWealthAccountId::parse("account-1").unwrap()),
            amount: flow.amount(),
            status: payment_status(status_code),
            status_code,
            status_message: String::new(),
            status_comment: None,
            status_updated_at: self.clock.now(),
            freshness: Freshness::Snapshot,
            kept: Arc::from(RawValue::from_string("{}".to_owned()).unwrap()),
        }
    }

    async fn record(&self, direction: Direction, payment: &Payment) -> Recorded {
        self.payments.record(direction, payment, None).await.unwrap()
    }

    /// What a statement gives, for what no use case shows.
    async fn value<T>(&self, statement: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = self.ground.connection().await.unwrap();
        let query = sqlx::query_scalar(statement);
        query.fetch_one(&mut connection).await.unwrap()
    }
}

#[tokio::test]
async fn a_lease_is_had_by_one_until_it_ends_and_leaves_a_doubt() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Deposit, 2_500).await;
    let first = bench.lease(id).await.unwrap();
    assert!(!first.previous_attempt_unknown);
    assert_eq!(first.flow.amount_cents, 2_500);
    bench.clock.advance(TimeDelta::seconds(22));
    assert!(bench.lease(id).await.is_none());
    bench.clock.advance(TimeDelta::seconds(1));
    assert!(bench.lease(id).await.unwrap().previous_attempt_unknown);
    bench.accept(id).await;
    assert_eq!(bench.flow(id).await.lease_until, None);
    bench.clock.advance(TimeDelta::hours(1));
    assert!(bench.lease(id).await.is_none(), "the broker has it");
}

#[tokio::test]
async fn a_flow_whose_key_may_be_forgotten_goes_into_review_without_a_call() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Withdrawal, 2_500).await;
    bench.clock.advance(TimeDelta::hours(95));
    let deadline = Deadline::after(Duration::from_secs(20));
    let reply = bench.executor.execute(id, None, deadline).await.unwrap();
    let MoneyFlowReply::Pending(view) = reply else {
        panic!("answered: {reply:?}");
    };
    assert!(view.under_review);
    assert_eq!(view.updated_at, bench.clock.now());
    let flow = bench.flow(id).await;
    assert_eq!(
        (flow.provider_state, flow.next_lookup_at),
        (ProviderState::Parked, None)
    );
}

#[tokio::test]
async fn an_open_outcome_is_looked_up_on_schedule_and_then_reviewed() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Deposit, 2_500).await;
    let created_at = bench.clock.now();
    for (lookups, delay) in [
        (0, TimeDelta::minutes(5)),
        (1, TimeDelta::hours(1)),
        (2, TimeDelta::days(1)),
    ] {
        let open = bench.look_up_later(id, lookups).await;
        assert_eq!(open.provider_state, ProviderState::Unknown);
        assert_eq!(open.next_lookup_at, Some(created_at + delay));
    }
    let given_up = bench.look_up_later(id, 3).await;
    assert_eq!(given_up.provider_state, ProviderState::Parked);
    // Known after all: the payment is linked, the review stays a person's to end.
    bench.accept(id).await;
    assert_eq!(bench.flow(id).await.provider_state, ProviderState::Parked);
}

impl Bench {
    async fn look_up_later(&self, id: MoneyFlowId, lookups: i32) -> Flow {
        let ordered = Flow {
            lookups,
            ..self.flow(id).await
        };
        let now = self.clock.now();
        let deferring = self.database.transaction(async |connection| {
            state::look_up_later(connection, &ordered, true, "timed out", now).await
        });
        deferring.await.unwrap()
    }
}

#[tokio::test]
async fn a_returned_deposit_fails_and_suspends_deposits_once() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Deposit, 2_500).await;
    bench.accept(id).await;
    let settled_at = bench.clock.advance(TimeDelta::hours(1));
    let successful = bench.payment(&bench.flow(id).await, 2);
    assert_eq!(
        bench.record(Direction::Deposit, &successful).await,
        Recorded::Changed
    );
    assert_eq!(
        bench.record(Direction::Deposit, &successful).await,
        Recorded::Unchanged
    );
    let flow = bench.flow(id).await;
    assert_eq!(
        (flow.status, flow.updated_at),
        (MoneyFlowStatus::Success, settled_at)
    );

    let returned_at = bench.clock.advance(TimeDelta::days(20));
    let returned = bench.payment(&flow, 5);
    assert_eq!(
        bench.record(Direction::Deposit, &returned).await,
        Recorded::Changed
    );
    // A report from before the return, come late.
    assert_eq!(
        bench.record(Direction::Deposit, &successful).await,
        Recorded::Unchanged
    );
    let flow = bench.flow(id).await;
    assert_eq!(flow.status, MoneyFlowStatus::Failed);
    assert_eq!(flow.failure_code.as_deref(), Some("returned-by-bank"));
    let suspended_at: DateTime<Utc> = bench
        .value("SELECT deposits_suspended_at FROM profiles WHERE id = 1")
        .await;
    assert_eq!(suspended_at, returned_at);
    let kinds: Vec<String> = bench
        .value("SELECT array_agg(DISTINCT kind ORDER BY kind) FROM outbox_messages")
        .await;
    assert_eq!(
        kinds,
        [
            "deposits.suspended",
            "money-flow.changed",
            "money-flow.failed",
            "money-flow.succeeded",
            "portfolio.cash-changed"
        ]
    );
}

#[tokio::test]
async fn a_payment_that_disagrees_or_repeats_its_event_changes_no_status() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Deposit, 2_500).await;
    bench.accept(id).await;
    bench.clock.advance(TimeDelta::minutes(1));
    let approved = bench.payment(&bench.flow(id).await, 14);
    let payload = RawValue::from_string("{}".to_owned()).unwrap();
    let arrival = Arrival {
        source: "drivewealth",
        event_id: "event-1",
        kind: "deposits.updated",
        occurred_at: bench.clock.now(),
        received_at: bench.clock.now(),
        payload: &payload,
    };
    for expected in [Recorded::Changed, Recorded::Duplicate] {
        let recording = bench
            .payments
            .record(Direction::Deposit, &approved, Some(&arrival));
        assert_eq!(recording.await.unwrap(), expected);
    }
    bench.clock.advance(TimeDelta::minutes(1));
    let other_amount = Payment {
        amount: Money::new(2_501, Currency::USD),
        ..bench.payment(&bench.flow(id).await, 2)
    };
    assert_eq!(
        bench.record(Direction::Deposit, &other_amount).await,
        Recorded::NeedsReview
    );
    let flow = bench.flow(id).await;
    assert_eq!(
        (flow.status, flow.provider_state),
        (MoneyFlowStatus::Approved, ProviderState::Parked)
    );
}

#[tokio::test]
async fn a_withdrawal_reserves_its_cash_until_figures_are_newer_than_its_end() {
    let bench = Bench::new().await;
    let id = bench.intend(Direction::Withdrawal, 2_500).await;
    bench.accept(id).await;
    let before = bench.clock.advance(TimeDelta::minutes(1));
    let settled_at = bench.clock.advance(TimeDelta::minutes(1));
    let successful = bench.payment(&bench.flow(id).await, 2);
    bench.record(Direction::Withdrawal, &successful).await;
    let account = TradingAccountId::new(1).unwrap();
    for (as_of, cents) in [
        (before, 2_500),
        (settled_at, 2_500),
        (settled_at + TimeDelta::microseconds(1), 0),
    ] {
        let summing = bench
            .database
            .with(async |connection| store::reserved(connection, account, as_of, Currency::USD).await);
        assert_eq!(summing.await.unwrap().minor(), cents);
    }
}
