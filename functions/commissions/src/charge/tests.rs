//! Charging against PostgreSQL with a clock that is moved. Stripe isn't called: its responses are given.

use std::sync::Arc;

use domain::clock::{Clock, ManualClock};
use domain::money::Money;
use local_cloud::backends::Postgres;
use platform::config::{Environment, FromEnvironment};
use platform::entry::schedule::ScheduledRun;
use providers::outcome::Decline;
use serde_json::value::RawValue;
use sqlx::{Connection, Row};

use super::*;
use crate::dunning::DueInvoices;
use crate::invoice::InvoiceCreation;

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
/// The profile's account, and what it was worth in November.
const BALANCES: &str = "
    INSERT INTO trading_accounts (id, profile_id, name, opened_at) VALUES (1, 1, 'Investing', '2026-01-05T15:00:00Z');
    INSERT INTO trading_account_balances (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of)
    VALUES (1, '2026-11-01', 2000000, 0, 'USD', '2026-11-01T22:00:00Z');";
/// Events of a profile, in their order.
const EVENTS: &str = "SELECT kind FROM outbox_messages WHERE destination_kind = 'topic' ORDER BY id";

/// The profile in a database of its own, whose time is the clock's.
struct Bench {
    charger: Charger,
    due_invoices: DueInvoices,
    creation: InvoiceCreation,
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
            ("COMMISSION_YEARLY_RATE", "0.0096"),
            ("COMMISSION_YEARLY_MINIMUM_CENTS", "9600"),
            ("COMMISSION_FREE_LIMIT_CENTS", "10000"),
            ("INVOICE_DUE_DAYS", "7"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        let clock = Arc::new(ManualClock::new("2026-12-01T12:45:00Z".parse().unwrap()));
        let mut charger = Charger::read(&mut environment).unwrap();
        charger.clock = Arc::clone(&clock).into();
        charger.recorder = charger.recorder.with_clock(Arc::clone(&clock).into());
        let due_invoices = DueInvoices::read(&mut environment).unwrap();
        let creation = InvoiceCreation::read(&mut environment).unwrap();
        Self {
            charger,
            due_invoices: due_invoices.with_clock(Arc::clone(&clock).into()),
            creation: creation.with_clock(Arc::clone(&clock).into()),
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

    /// Whether a run of `pay_invoices` that was due at a time, and executes now, picks the invoice.
    async fn picks(&self, scheduled_time: DateTime<Utc>) -> bool {
        let run = ScheduledRun {
            scheduled_time: Some(scheduled_time),
        };
        self.due_invoices.pick(run).await.unwrap().invoices == 1
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

    /// The payment of a charge as Stripe has it.
    fn intent(&self, charge: &Charge, status: IntentStatus) -> PaymentIntent {
        PaymentIntent {
            id: "pi_1".parse().unwrap(),
            status,
            amount: charge.amount(),
            amount_received: Money::new(0, charge.amount().currency()),
            customer: Some(charge.customer.clone()),
            payment_method: Some(charge.stripe_method.clone()),
            attempt_key: Some(charge.key.clone()),
            profile_id: Some(charge.profile_id),
            invoice_id: Some(charge.invoice_id),
            failure: None,
            client_secret: None,
            latest_charge: None,
            created_at: self.clock.now(),
            raw: RawValue::from_string("{}".to_owned()).unwrap(),
        }
    }

    /// Records what Stripe says of a charge.
    async fn record(&self, charge: &Charge, intent: &PaymentIntent) {
        let observation = Observation {
            source: SOURCE,
            at: self.clock.now(),
        };
        let recording = self.charger.recorder.record(charge, intent, observation);
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
    // The last moment of the fifteenth day in New York.
    bench.clock.set("2026-12-17T04:59:59Z".parse().unwrap());
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

/// The runs of a month execute some seconds after the time of their schedule, as EventBridge has it, and not always as many.
#[tokio::test]
async fn a_declined_charge_is_retried_on_the_days_that_were_told() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let first_run = bench.clock.now();
    let mut attempts = Vec::new();
    for day in 0..=20 {
        let scheduled_time = first_run + TimeDelta::days(day);
        bench
            .clock
            .set(scheduled_time + TimeDelta::seconds((20 - day) * 13 % 60));
        if bench.picks(scheduled_time).await {
            let (charge, _) = bench.next_call().await;
            bench.clock.advance(TimeDelta::seconds(2));
            bench.decline(&charge, "insufficient_funds").await;
            attempts.push(day);
        }
    }
    assert_eq!(attempts, [0, 1, 4, 9, 16]);
    let told = "SELECT payload -> 'data' ->> 'next_attempt_on' FROM outbox_messages
        WHERE kind = 'commission.charge-failed' AND destination_kind = 'topic' AND payload -> 'data' ->> 'next_attempt_on' IS NOT NULL
        ORDER BY id";
    assert_eq!(
        bench.texts(told).await,
        ["2026-12-02", "2026-12-05", "2026-12-10", "2026-12-17"]
    );
    assert_eq!(
        bench.texts("SELECT status FROM invoices").await,
        ["uncollectible"]
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_charge_that_nobody_confirms_is_closed_by_the_run_of_the_seventh_day() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let first_run = bench.clock.now();
    bench.clock.advance(TimeDelta::seconds(40));
    let (charge, _) = bench.next_call().await;
    let intent = bench.intent(&charge, IntentStatus::RequiresAction);
    bench.record(&charge, &intent).await;
    let until = "SELECT to_char(confirm_until AT TIME ZONE 'America/New_York', 'YYYY-MM-DD HH24:MI') FROM invoice_payments";
    assert_eq!(bench.texts(until).await, ["2026-12-08 00:00"]);
    for day in 1..=7 {
        let scheduled_time = first_run + TimeDelta::days(day);
        bench.clock.set(scheduled_time + TimeDelta::seconds(3));
        assert_eq!(bench.picks(scheduled_time).await, day == 7, "on day {day}");
    }
    assert!(matches!(bench.next_step().await, Step::Close(_)));
    bench.stop().await;
}

/// A run that was held up, or comes again, dates what it makes from the day on which it executes.
#[tokio::test]
async fn an_invoice_of_a_late_run_is_due_7_days_after_the_run_executes() {
    let mut bench = Bench::new(&[PROFILE, BALANCES]).await;
    bench.clock.set("2026-12-12T03:00:00Z".parse().unwrap());
    let run = ScheduledRun {
        scheduled_time: Some("2026-12-01T12:30:00Z".parse().unwrap()),
    };
    for created in [1, 0] {
        let report = bench.creation.run(run).await.unwrap();
        let counts = report.periods.iter().map(|period| period.created);
        assert_eq!(counts.sum::<i64>(), created);
    }
    let made = "SELECT period_start || ', created ' || (created_at AT TIME ZONE 'UTC')::DATE || ', due '
        || to_char(due_date AT TIME ZONE 'America/New_York', 'YYYY-MM-DD HH24:MI') FROM invoices WHERE id > 1";
    assert_eq!(
        bench.texts(made).await,
        ["2026-11-01, created 2026-12-12, due 2026-12-18 00:00"]
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_hard_decline_is_not_retried() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (first, _) = bench.next_call().await;
    bench.decline(&first, "insufficient_funds").await;
    assert!(matches!(bench.next_step().await, Step::Nothing));
    // The last moment of the day in New York.
    bench.clock.set("2026-12-02T04:59:59Z".parse().unwrap());
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
