//! Charging against PostgreSQL with a clock that is moved. Stripe isn't called: its responses are given.

use std::sync::Arc;

use domain::clock::{Clock, ManualClock};
use local_cloud::backends::Postgres;
use platform::config::{Environment, FromEnvironment};
use providers::outcome::Decline;
use sqlx::{Connection, Row};

use super::*;

/// A profile that owes an invoice from 1 December on, without a payment method.
const PROFILE: &str = "
    INSERT INTO profiles (id, email) VALUES (1, 'a@example.com');
    INSERT INTO stripe_customers (profile_id, ref_id) VALUES (1, 'cus_1');
    INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end)
    VALUES (1, 1631, 'USD', '2026-12-01T12:30:00Z', 'Commission for October 2026', '2026-10-01', '2026-10-31');";
/// A card that was saved before.
const CARD: &str = "
    INSERT INTO payment_methods (profile_id, name, stripe_ref_id, set_active_at)
    VALUES (1, 'visa •••• 4242, 04/29', 'pm_1', '2026-11-01T00:00:00Z');";
/// Events of a profile, in their order.
const EVENTS: &str = "SELECT kind FROM outbox_messages WHERE destination_kind = 'topic' ORDER BY id";

/// The profile in a database of its own, whose time is the clock's.
struct Bench {
    charger: Charger,
    clock: Arc<ManualClock>,
    connection: PgConnection,
    postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new(setup: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(folder.path()).await.unwrap();
        let mut connection = PgConnection::connect(postgres.url()).await.unwrap();
        sqlx::migrate!("../../infra/migrations")
            .run(&mut connection)
            .await
            .unwrap();
        for statements in setup {
            sqlx::raw_sql(*statements).execute(&mut connection).await.unwrap();
        }
        // Nobody listens to wake-ups here, and there is no Stripe.
        let variables = [
            ("DATABASE_URL", postgres.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
            ("STRIPE_API_BASE", "http://127.0.0.1:9"),
            ("STRIPE_SECRET", "{}"),
            ("BILLING_PAGE_URL", "https://app.example.com/billing"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        let clock = Arc::new(ManualClock::new("2026-12-01T12:45:00Z".parse().unwrap()));
        let mut charger = Charger::read(&mut environment).unwrap();
        charger.clock = Arc::clone(&clock).into();
        charger.recorder = charger.recorder.with_clock(Arc::clone(&clock).into());
        Self {
            charger,
            clock,
            connection,
            postgres,
            _folder: folder,
        }
    }

    fn invoice() -> InvoiceId {
        InvoiceId::new(1).unwrap()
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    /// What `pay_invoice` does now.
    async fn pay(&self) {
        let due = DueInvoice {
            invoice_id: Self::invoice(),
            as_of: self.clock.now(),
        };
        self.charger.pay(&due, Self::deadline()).await.unwrap();
    }

    /// What has to be done now.
    async fn next_step(&self) -> Step {
        let step = self
            .charger
            .next_step(Self::invoice(), self.clock.now(), Self::deadline());
        step.await.unwrap()
    }

    /// The charge that Stripe is to be called for, and whether it may have been called before.
    async fn next_call(&self) -> (Charge, bool) {
        match self.next_step().await {
            Step::Call {
                charge,
                previous_call_unknown,
            } => (*charge, previous_call_unknown),
            other => panic!("Stripe isn't called: {other:?}"),
        }
    }

    /// Records that Stripe refused a charge.
    async fn decline(&self, charge: &Charge, code: &str) {
        let refusal = Decline {
            code: code.to_owned(),
            message: String::new(),
            status: 402,
        };
        let observation = Observation {
            source: SOURCE,
            at: self.clock.now(),
        };
        let recording = self
            .charger
            .recorder
            .record_refusal(charge, &refusal, observation);
        recording.await.unwrap();
    }

    /// The first column of a query's rows.
    async fn texts(&mut self, query: &'static str) -> Vec<String> {
        let rows = sqlx::raw_sql(query)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn stop(self) {
        self.connection.close().await.unwrap();
        self.postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_invoice_without_a_payment_method_is_uncollectible_after_16_days_and_buying_is_suspended() {
    let mut bench = Bench::new(&[PROFILE]).await;
    for _ in 0..2 {
        bench.pay().await;
    }
    assert_eq!(bench.texts(EVENTS).await, ["commission.charge-failed"]);
    bench.clock.advance(TimeDelta::days(16) - TimeDelta::seconds(1));
    bench.pay().await;
    assert_eq!(bench.texts("SELECT status FROM invoices").await, ["open"]);
    bench.clock.advance(TimeDelta::seconds(1));
    for _ in 0..2 {
        bench.pay().await;
    }
    assert_eq!(
        bench.texts(EVENTS).await,
        [
            "commission.charge-failed",
            "invoice.uncollectible",
            "trading.suspended"
        ]
    );
    assert_eq!(
        bench.texts("SELECT status FROM invoices").await,
        ["uncollectible"]
    );
    let suspended_since = "SELECT suspended_at::TEXT FROM buying_suspensions";
    assert_eq!(bench.texts(suspended_since).await.len(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_charge_that_is_leased_is_left_alone_until_the_lease_has_ended() {
    let bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, previous_call_unknown) = bench.next_call().await;
    assert_eq!(
        (charge.key.as_str(), previous_call_unknown),
        ("invoice-1-1", false)
    );
    assert_eq!(charge.amount().minor(), 1631);
    bench.clock.advance(TimeDelta::seconds(11));
    assert!(matches!(bench.next_step().await, Step::Leased { key } if key == "invoice-1-1"));
    // Ten seconds until the deadline, and two more.
    bench.clock.advance(TimeDelta::seconds(1));
    let (again, previous_call_unknown) = bench.next_call().await;
    assert_eq!((again.id, previous_call_unknown), (charge.id, true));
    assert!(matches!(bench.next_step().await, Step::Leased { .. }));
    bench.stop().await;
}

#[tokio::test]
async fn a_declined_charge_is_retried_after_1_day_and_a_hard_decline_is_not() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (first, _) = bench.next_call().await;
    bench.decline(&first, "insufficient_funds").await;
    assert!(matches!(bench.next_step().await, Step::Nothing));
    bench.clock.advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    assert!(matches!(bench.next_step().await, Step::Nothing));
    bench.clock.advance(TimeDelta::seconds(1));
    let (second, previous_call_unknown) = bench.next_call().await;
    assert_eq!(
        (second.key.as_str(), previous_call_unknown),
        ("invoice-1-2", false)
    );
    bench.decline(&second, "stolen_card").await;
    bench.clock.advance(TimeDelta::days(14));
    assert!(matches!(bench.next_step().await, Step::Nothing));
    let finished = "SELECT (finished_at - created_at)::TEXT FROM invoice_payments ORDER BY attempt";
    assert_eq!(bench.texts(finished).await, ["00:00:00", "00:00:00"]);
    bench.stop().await;
}
