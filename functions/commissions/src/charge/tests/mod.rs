//! Charging against PostgreSQL with a clock that is moved. Stripe isn't called: its responses are given.

mod withdrawn;

use std::sync::Arc;

use domain::clock::{Clock, ManualClock};
use domain::money::Money;
use local_cloud::backends::TestDatabase;
use platform::config::{Environment, FromEnvironment};
use platform::entry::schedule::ScheduledRun;
use providers::outcome::Decline;
use serde_json::value::RawValue;
use sqlx::Row;

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
    _database: TestDatabase,
}

impl Bench {
    async fn new(setup: &[&'static str]) -> Self {
        let database = TestDatabase::start().await.unwrap();
        let mut connection = database.connection().await.unwrap();
        for statements in setup {
            sqlx::raw_sql(*statements).execute(&mut connection).await.unwrap();
        }
        // Nobody listens to wake-ups here, and there is no Stripe.
        let variables = [
            ("DATABASE_URL", database.url()),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
            ("STRIPE_API_BASE", "http://127.0.0.1:9"),
            ("STRIPE_SECRET", "{}"),
            ("BILLING_PAGE_URL", "https://app.example.com/billing"),
            ("COMMISSION_YEARLY_RATE", "0.0096"),
            ("COMMISSION_YEARLY_MINIMUM_CENTS", "9600"),
            ("COMMISSION_FREE_LIMIT_CENTS", "10000"),
            ("COMMISSION_SMALLEST_CHARGES", "USD=50"),
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
            _database: database,
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

    /// The charge that is to be looked up alone, and why.
    async fn next_lookup(&self) -> (Charge, &'static str) {
        match self.next_step().await {
            Step::LookUp { charge, code } => (*charge, code),
            other => panic!("it isn't looked up: {other:?}"),
        }
    }

    /// Records that Stripe has no payment of a charge that must not be sent any more.
    async fn record_unsent(&self, charge: &Charge, code: &str) {
        let observation = Observation {
            source: SOURCE,
            at: self.clock.now(),
        };
        let recording = self.charger.recorder.record_unsent(charge, code, observation);
        recording.await.unwrap();
    }

    /// Records that Stripe refused the card of a charge.
    async fn decline(&self, charge: &Charge, code: &str) {
        let refusal = Decline {
            is_customers: true,
            ..Decline::new(code, "", 402)
        };
        self.refuse(charge, &refusal).await;
    }

    /// Records that Stripe has no longer what a field of the charge names.
    async fn lose(&self, charge: &Charge, field: &str) {
        let refusal = Decline {
            field: Some(field.to_owned()),
            ..Decline::new("resource_missing", "No such thing", 400)
        };
        self.refuse(charge, &refusal).await;
    }

    async fn refuse(&self, charge: &Charge, refusal: &Decline) {
        let observation = Observation {
            source: SOURCE,
            at: self.clock.now(),
        };
        let recording = self.charger.recorder.record_refusal(charge, refusal, observation);
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
            kept: RawValue::from_string("{}".to_owned()).unwrap(),
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
}

/// Of two events about one charge, each asks Stripe for all refunds before it is recorded.
#[tokio::test]
async fn refunds_are_not_recorded_by_whoever_asked_before_another_recorded_them() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, _) = bench.next_call().await;
    let connection = &mut bench.connection;
    let asked_first = refunds_version(connection, charge.id).await.unwrap();
    let asked_second = refunds_version(connection, charge.id).await.unwrap();
    // Meanwhile the refund has failed.
    let newer = set_refunded(connection, charge.id, 0, asked_second)
        .await
        .unwrap();
    let older = set_refunded(connection, charge.id, 1_631, asked_first)
        .await
        .unwrap();
    assert_eq!((newer, older), (Some(0), None));
    let asked_again = refunds_version(connection, charge.id).await.unwrap();
    for (refunded, more) in [(631, 631), (1_631, 1_000), (1_000, -631)] {
        let version = refunds_version(connection, charge.id).await.unwrap();
        assert_eq!(
            set_refunded(connection, charge.id, refunded, version)
                .await
                .unwrap(),
            Some(more)
        );
    }
    assert_eq!(
        set_refunded(connection, charge.id, 1_631, asked_again)
            .await
            .unwrap(),
        None
    );
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
}

/// What Stripe refuses through a fault of ours is no decline of a card, however often: nobody is told, and nothing counts.
#[tokio::test]
async fn a_refusal_that_is_ours_keeps_the_charge_open_and_tells_nobody() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let first_run = bench.clock.now();
    for day in 0..=20 {
        bench.clock.set(first_run + TimeDelta::days(day));
        assert!(
            bench.picks(first_run + TimeDelta::days(day)).await,
            "on day {day}"
        );
        let (charge, _) = bench.next_call().await;
        assert_eq!(charge.key, "invoice-1-1");
        let codes = ["parameter_unknown", "amount_too_small", "account_invalid"];
        let code = codes[usize::try_from(day).unwrap() % codes.len()];
        bench
            .refuse(&charge, &Decline::new(code, "a fault of ours", 400))
            .await;
    }
    let state =
        "SELECT invoice.status || ' ' || failed_attempts || ' ' || payment.status || ' ' || refusal_code
        FROM invoices AS invoice JOIN invoice_payments AS payment ON payment.invoice_id = invoice.id";
    assert_eq!(bench.texts(state).await, ["open 0 unknown account_invalid"]);
    assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
    let review = "SELECT kind || ' ' || subject || ' ' || state || ' ' || seen FROM reviews";
    assert_eq!(bench.texts(review).await, ["charge-refused charge-1 open 21"]);
    // The fault is mended, and the charge goes through: nothing is left to decide.
    let (charge, _) = bench.next_call().await;
    let mut intent = bench.intent(&charge, IntentStatus::Succeeded);
    intent.amount_received = intent.amount;
    bench.record(&charge, &intent).await;
    assert_eq!(bench.texts("SELECT state FROM reviews").await, ["applied"]);
    assert_eq!(bench.texts("SELECT status FROM invoices").await, ["paid"]);
}

/// A payment that Stripe made and refused for another reason than the card's.
#[tokio::test]
async fn a_payment_that_failed_through_a_fault_of_ours_keeps_the_charge_open() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, _) = bench.next_call().await;
    let mut intent = bench.intent(&charge, IntentStatus::Failed);
    intent.failure = Some(providers::stripe::ChargeFailure {
        code: "amount_too_large".to_owned(),
        message: None,
        decline_kind: domain::commissions::decline::DeclineKind::Soft,
        is_customers: false,
    });
    bench.record(&charge, &intent).await;
    assert_eq!(
        bench.texts("SELECT status FROM invoice_payments").await,
        ["unknown"]
    );
    assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
}

#[tokio::test]
async fn a_card_that_is_gone_at_stripe_does_not_count_and_the_other_one_is_charged() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let older = "INSERT INTO payment_methods (profile_id, name, stripe_ref_id, set_active_at)
        VALUES (1, 'mastercard •••• 4444, 04/29', 'pm_0', '2026-10-01T00:00:00Z')";
    sqlx::raw_sql(older).execute(&mut bench.connection).await.unwrap();
    let (first, _) = bench.next_call().await;
    assert_eq!(first.stripe_method.as_str(), "pm_1");
    bench.lose(&first, "payment_method").await;
    assert!(bench.picks(bench.clock.now()).await, "the invoice isn't picked");
    let (second, _) = bench.next_call().await;
    assert_eq!(
        (second.key.as_str(), second.stripe_method.as_str()),
        ("invoice-1-2", "pm_0")
    );
    assert_eq!(
        bench.texts("SELECT failed_attempts::TEXT FROM invoices").await,
        ["0"]
    );
    assert!(bench.texts(EVENTS).await.is_empty(), "somebody was told");
}

#[tokio::test]
async fn a_customer_who_is_gone_at_stripe_is_asked_for_another_card() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, _) = bench.next_call().await;
    bench.lose(&charge, "customer").await;
    let gone = "SELECT ref_id || ' ' || (gone_at IS NOT NULL) FROM stripe_customers";
    assert_eq!(bench.texts(gone).await, ["cus_1 true"]);
    bench.pay().await;
    let told = "SELECT payload -> 'data' ->> 'reason' FROM outbox_messages
        WHERE kind = 'commission.charge-failed' AND destination_kind = 'topic'";
    assert_eq!(bench.texts(told).await, ["no_payment_method"]);
    assert_eq!(
        bench.texts("SELECT failed_attempts::TEXT FROM invoices").await,
        ["0"]
    );
}

/// $0.26 can't be charged at Stripe: it waits until it can.
#[tokio::test]
async fn an_amount_too_small_to_be_charged_is_carried_over() {
    let mut bench = Bench::new(&[PROFILE]).await;
    // One day of October, at the minimum of $96 a year, then all of November.
    let account = "
        INSERT INTO trading_accounts (id, profile_id, name, opened_at) VALUES (1, 1, 'Investing', '2026-10-31T15:00:00Z');
        INSERT INTO trading_account_balances (trading_account_id, business_date, equity_cents, cash_cents, currency, as_of)
        VALUES (1, '2026-10-31', 200000, 0, 'USD', '2026-10-31T22:00:00Z'),
               (1, '2026-11-01', 200000, 0, 'USD', '2026-11-01T22:00:00Z');
        DELETE FROM invoices";
    sqlx::raw_sql(account)
        .execute(&mut bench.connection)
        .await
        .unwrap();
    bench.clock.set("2026-11-01T12:30:00Z".parse().unwrap());
    for carried in [1, 0] {
        let report = bench.creation.run(ScheduledRun::default()).await.unwrap();
        let october = &report.periods[0];
        assert_eq!((october.created, october.carried_over), (0, carried));
    }
    let waiting = "SELECT amount_cents::TEXT FROM commission_carryovers WHERE invoice_id IS NULL";
    assert_eq!(bench.texts(waiting).await, ["26"]);
    bench.clock.set("2026-12-01T12:30:00Z".parse().unwrap());
    bench.creation.run(ScheduledRun::default()).await.unwrap();
    // 30 days of $96 a year are $7.89.
    let made = "SELECT amount_cents || ' ' || (metadata ->> 'carried_over_cents') FROM invoices";
    assert_eq!(bench.texts(made).await, ["815 26"]);
    assert!(bench.texts(waiting).await.is_empty(), "it is carried over twice");
}

/// Stripe worked on the charge when it was looked at first, and asks for its customer later.
#[tokio::test]
async fn a_charge_in_processing_that_needs_its_customer_after_all_asks_for_the_customer() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let (charge, _) = bench.next_call().await;
    for status in [IntentStatus::Processing, IntentStatus::RequiresAction] {
        bench.record(&charge, &bench.intent(&charge, status)).await;
    }
    let state = "SELECT status || ' ' || (confirm_until IS NOT NULL) FROM invoice_payments";
    assert_eq!(bench.texts(state).await, ["requires_action true"]);
    assert_eq!(bench.texts(EVENTS).await, ["commission.confirmation-required"]);
}

/// The webhook of a card that was saved in October comes in December; its owner has chosen another one since.
#[tokio::test]
async fn a_card_that_is_heard_of_late_does_not_take_the_place_of_the_chosen_one() {
    let mut bench = Bench::new(&[PROFILE, CARD]).await;
    let card = |id: &str, saved_at: &str| providers::stripe::PaymentMethod {
        id: id.parse().unwrap(),
        customer: None,
        name: "mastercard •••• 4444, 04/29".to_owned(),
        fingerprint: None,
        created_at: saved_at.parse().unwrap(),
    };
    let profile = domain::ids::ProfileId::new(1).unwrap();
    let now = bench.clock.now();
    for (id, saved_at, active) in [
        ("pm_late", "2026-10-15T00:00:00Z", "pm_1"),
        ("pm_new", "2026-12-01T12:44:00Z", "pm_new"),
    ] {
        let saved = card(id, saved_at);
        payment_method::save(&mut bench.connection, profile, &saved, now)
            .await
            .unwrap();
        let chosen = "SELECT stripe_ref_id FROM payment_methods ORDER BY set_active_at DESC, id DESC LIMIT 1";
        assert_eq!(bench.texts(chosen).await, [active]);
    }
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
    // The event goes on to the customer's phone, and whoever pays may not be whose card it is.
    let told = "SELECT payload -> 'data' ->> 'reason' FROM outbox_messages
        WHERE kind = 'commission.charge-failed' AND destination_kind = 'topic' ORDER BY id";
    assert_eq!(bench.texts(told).await, ["insufficient_funds", "card_declined"]);
    bench.clock.advance(TimeDelta::days(14));
    assert!(matches!(bench.next_step().await, Step::Nothing));
    let finished = "SELECT (finished_at - created_at)::TEXT FROM invoice_payments ORDER BY attempt";
    assert_eq!(bench.texts(finished).await, ["00:00:00", "00:00:00"]);
}
