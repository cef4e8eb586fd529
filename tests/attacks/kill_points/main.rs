//! A function is killed (SIGKILL) at the points of its work, and nothing is lost or done twice.
//!
//! The points aren't listed by hand: each chunk of bytes between the function and its backends is one or two (see
//! `end_to_end::wire`), and each is played with a flow of its own, until a run goes through: all of them in `make soak`, a
//! sample of them in `make test`.

#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod bank_tokens;
mod collections;
mod commissions;
mod dealers;
mod funded_accounts;
mod messages;
mod money_flows;
mod notifications;
mod onboarding;
mod sweep;
mod wallets;

use std::{collections::BTreeMap, pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use end_to_end::{Answer, Fixture, Result, Tester, options};
use libtest_mimic::{Arguments, Failed, Trial};
use local_cloud::{Options, sandboxes::drivewealth::Payment};
use tokio::{runtime::Builder, time::Instant};

const CENTS: i64 = 100;
/// A message that the function failed comes back after this. It is given up when it has come ten times, which must take far
/// longer than the turn of a dead process (see `shorten_claims`), since until that has ended it fails.
const REDELIVERY: Duration = Duration::from_millis(60);
/// A scenario that takes longer hangs; all points take a while on a machine that does other things too.
const TIMEOUT: Duration = Duration::from_secs(1_200);
const PAUSE: Duration = Duration::from_millis(8);
/// Scenarios at the same time: they wait more than they work.
const THREADS: usize = 3;

type Outcome = Pin<Box<dyn Future<Output = Result>>>;

/// Trials by the names of their functions.
macro_rules! trials {
    ($($module:ident::$name:ident),+ $(,)?) => {
        vec![$(trial(concat!(stringify!($module), "::", stringify!($name)), |fixture| {
            Box::pin($module::$name(fixture))
        })),+]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    // The longest first.
    let trials = trials![
        messages::killed_relay_loses_nothing_and_keeps_the_order,
        messages::killed_drivewealth_event_is_applied_once_when_it_comes_again,
        money_flows::killed_withdrawal_is_finished_by_its_repetition_or_the_reconciler,
        money_flows::killed_deposit_is_finished_by_its_repetition_or_the_reconciler,
        messages::killed_change_of_targets_is_made_when_its_message_comes_again,
        onboarding::killed_way_to_an_account_makes_one_of_each,
        bank_tokens::killed_renewal_of_a_bank_token_makes_one_bank_account,
        onboarding::killed_link_makes_one_bank_account,
        onboarding::killed_submission_makes_one_user,
        collections::killed_order_is_carried_out_once_when_its_message_comes_again,
        commissions::killed_charge_is_made_once_when_its_message_comes_again,
        dealers::killed_account_is_made_once_when_its_message_comes_again,
        dealers::killed_bill_is_made_once_when_its_message_comes_again,
        dealers::killed_payment_of_a_dealer_is_applied_once_when_it_comes_again,
        commissions::killed_webhook_is_processed_once_when_it_comes_again,
        messages::killed_balance_is_recorded_once_when_its_message_comes_again,
        wallets::killed_payment_between_wallets_is_done_once_by_its_repetition,
        wallets::killed_settlement_of_transfers_is_done_by_the_next,
        notifications::killed_notification_is_recorded_once_when_its_message_comes_again,
        notifications::killed_mail_is_sent_under_one_id_when_its_record_comes_again,
        funded_accounts::killed_withdrawal_is_paid_once_when_it_goes_on,
        funded_accounts::killed_approval_is_given_once_by_its_repetition,
        funded_accounts::killed_payout_account_is_made_once_by_its_repetition,
        funded_accounts::killed_activation_makes_one_account_when_its_record_comes_again,
        funded_accounts::killed_closure_is_told_once_when_its_record_comes_again,
        funded_accounts::killed_snapshot_is_applied_when_its_record_comes_again,
        notifications::killed_marks_are_counted_once_when_they_are_repeated,
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A scenario on a local cloud of its own, since each kills what the others need.
fn trial(name: &'static str, steps: fn(Arc<Fixture>) -> Outcome) -> Trial {
    Trial::test(name, move || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime
            .block_on(play(steps))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

async fn play(steps: fn(Arc<Fixture>) -> Outcome) -> Result {
    let options = Options {
        redelivery_after: Some(REDELIVERY),
        ..options()
    };
    let fixture = Arc::new(Fixture::start(options).await?);
    let outcome = match quiet(&fixture).await {
        Ok(()) => tokio::time::timeout(TIMEOUT, steps(Arc::clone(&fixture))).await,
        Err(error) => Ok(Err(error)),
    };
    if let Some(fixture) = Arc::into_inner(fixture) {
        fixture.stop().await;
    }
    outcome.with_context(|| format!("not finished after {} s", TIMEOUT.as_secs()))?
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deposit,
    Withdrawal,
}

impl Kind {
    fn function(self) -> &'static str {
        match self {
            Self::Deposit => "deposit_funds",
            Self::Withdrawal => "withdraw_funds",
        }
    }

    fn backends(self) -> &'static [&'static str] {
        match self {
            Self::Deposit => &[
                "DATABASE_URL",
                "DRIVEWEALTH_API_BASE",
                "PLAID_API_BASE",
                "AWS_ENDPOINT_URL_SQS",
            ],
            Self::Withdrawal => &["DATABASE_URL", "DRIVEWEALTH_API_BASE", "AWS_ENDPOINT_URL_SQS"],
        }
    }

    async fn request(self, tester: &Tester, key: &str) -> Result<Answer> {
        match self {
            Self::Deposit => tester.deposit_under(key, CENTS).await,
            Self::Withdrawal => tester.withdraw_under(key, CENTS).await,
        }
    }

    /// What the broker has, by account.
    fn payments(self, fixture: &Fixture) -> Payments {
        let drivewealth = fixture.cloud.drivewealth();
        let all = match self {
            Self::Deposit => drivewealth.deposits(),
            Self::Withdrawal => drivewealth.redemptions(),
        };
        let mut payments = BTreeMap::new();
        for payment in all {
            let of_account: &mut Vec<Payment> = payments.entry(payment.account_id.clone()).or_default();
            of_account.push(payment);
        }
        Payments(payments)
    }
}

struct Payments(BTreeMap<String, Vec<Payment>>);

impl Payments {
    fn of(&self, tester: &Tester) -> &[Payment] {
        let account = &tester.customer.drivewealth_account_id;
        self.0.get(account).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A process that died while it signed in to DriveWealth, or asked it to move money, is waited for as long as its claim
/// lasts: 10 seconds and more, and here less.
async fn shorten_claims(fixture: &Fixture) -> Result {
    for statement in [
        "CREATE OR REPLACE FUNCTION shorten_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.renewing_until = LEAST(NEW.renewing_until, now() + interval '200 ms'); RETURN NEW; END $$",
        "CREATE OR REPLACE TRIGGER shorten_claim BEFORE INSERT OR UPDATE ON drivewealth_sessions \
         FOR EACH ROW EXECUTE FUNCTION shorten_claim()",
        "CREATE OR REPLACE FUNCTION shorten_turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.asked_until = LEAST(NEW.asked_until, now() + interval '200 ms'); RETURN NEW; END $$",
        "CREATE OR REPLACE TRIGGER shorten_turn BEFORE UPDATE ON trading_money_flow \
         FOR EACH ROW EXECUTE FUNCTION shorten_turn()",
    ] {
        sql(fixture, statement).await?;
    }
    Ok(())
}

async fn sql(fixture: &Fixture, statement: &'static str) -> Result {
    sqlx::query(statement).execute(fixture.database.pool()).await?;
    Ok(())
}

/// From now on events come and messages are relayed only when a scenario says so.
async fn quiet(fixture: &Fixture) -> Result {
    shorten_claims(fixture).await?;
    fixture.cloud.drivewealth().auto_advance(None);
    fixture.cloud.drivewealth().hold_events(true);
    fixture.cloud.pause_event_source("outbox-nudges", true).await
}

/// Waits until a look succeeds, without losing time.
async fn soon<T>(what: &str, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let end = Instant::now() + end_to_end::TIMEOUT;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(seen) if Instant::now() >= end => return Err(seen.context(format!("waited: {what}"))),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn events_of_success() -> Vec<String> {
    [
        "money-flow.succeeded → domain-events",
        "money-flow.succeeded → trading.events",
        "portfolio.cash-changed → portfolio-changes",
    ]
    .map(str::to_owned)
    .to_vec()
}
