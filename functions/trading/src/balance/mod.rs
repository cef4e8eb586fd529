//! The balance of every account, once per New York day: commissions are calculated from it.
//!
//! A schedule sends one message per account; each is handled by itself, so that an account of which the broker gives no
//! balance holds up no other. The message names the day. Handled twice, in any order, it leaves the newer balance.

mod store;

use chrono::{NaiveDate, TimeDelta};
use domain::ids::TradingAccountId;
use domain::market::MarketCalendar;
use domain::trading::balance::{Balance, Timing, timing};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::entry::schedule::ScheduledRun;
use platform::messaging::queue::Queue;
use platform::observability::{metrics, telemetry};
use providers::drivewealth::CashBalance;
use serde::{Deserialize, Serialize};

use self::store::Account;
use crate::Error;
use crate::broker::{Broker, PARTY};

/// Accounts that one statement reads; their messages are sent before the next ones are read.
const PAGE: i64 = 10_000;

/// The balance of an account is due for a day: for `update_account_balance` alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BalanceDue {
    /// The account.
    pub trading_account_id: TradingAccountId,
    /// The New York day that it is for, whenever the message is handled.
    pub business_date: NaiveDate,
}

/// The messages that a run has sent.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The New York day.
    pub business_date: NaiveDate,
    /// Accounts whose balance is due.
    pub accounts: usize,
    /// Statements that it took to find them.
    pub pages: u32,
}

/// Sends each account to `update_account_balance`.
#[derive(Debug)]
pub struct DailyBalances {
    database: Database,
    queue: Queue,
    clock: ClockHandle,
}

platform::from_environment!(DailyBalances {
    database,
    queue: Queue::named("ACCOUNT_BALANCES"),
    clock,
});

impl DailyBalances {
    /// Sends a message for each account that is neither applied for nor closed. Which day they are for follows from the
    /// time at which the run was due. When it fails, the repeated run sends all of them again, which does no harm.
    ///
    /// # Errors
    /// When the day has not begun, or the database or the queue fails.
    pub async fn run(&self, scheduled: ScheduledRun) -> Result<Report, Error> {
        let business_date = MarketCalendar::business_date(scheduled.due_at(&self.clock));
        if business_date > MarketCalendar::business_date(self.clock.now()) {
            return Err(Error::BusinessDateAhead { business_date });
        }
        let mut report = Report {
            business_date,
            accounts: 0,
            pages: 0,
        };
        let mut after = None;
        loop {
            let accounts = self.page(after).await?;
            report.pages += 1;
            report.accounts += accounts.len();
            let is_last = i64::try_from(accounts.len()).unwrap_or(PAGE) < PAGE;
            after = accounts.last().copied();
            let due = |trading_account_id| BalanceDue {
                trading_account_id,
                business_date,
            };
            let messages: Vec<BalanceDue> = accounts.into_iter().map(due).collect();
            self.queue.send_all(&messages).await?;
            if is_last {
                return Ok(report);
            }
        }
    }

    async fn page(&self, after: Option<TradingAccountId>) -> Result<Vec<TradingAccountId>, Error> {
        self.database
            .with(async |connection| store::accounts_with_balance(connection, after, PAGE).await)
            .await
    }
}

/// Fetches and saves the balance of one account.
#[derive(Debug)]
pub struct AccountBalances {
    database: Database,
    broker: Broker,
    clock: ClockHandle,
    grace_period: TimeDelta,
}

platform::from_environment!(AccountBalances {
    database,
    broker,
    clock,
    // How long after 17:00 New York the balance of a day may still be fetched.
    grace_period: |environment: &mut Environment| {
        let hours: u32 = environment.required("BALANCE_PATIENCE_HOURS")?;
        Some(TimeDelta::hours(i64::from(hours)))
    },
});

impl AccountBalances {
    /// Fetches the account's balance from the broker and saves it as the one of the message's day, unless a newer one is
    /// known.
    ///
    /// A message that comes when the next day's balance is due already is dropped and counted (`MissedBalances`): the
    /// account is worth something else by then, and would be charged for it. An account that is closed by now has no
    /// balance.
    ///
    /// # Errors
    /// Transient when the broker doesn't respond, or its figures aren't a balance of this account.
    pub async fn update(&self, due: &BalanceDue, deadline: Deadline) -> Result<(), Error> {
        let id = due.trading_account_id;
        let account = self
            .database
            .with(async |connection| store::load_account(connection, id).await)
            .await?;
        telemetry::identify(account.profile_id.get());
        if !account.status.has_balance() {
            tracing::info!(trading_account_id = %id, status = %account.status, "skipped an account without balance");
            return Ok(());
        }
        // Before the broker is asked: its figures are as new as this at least.
        let as_of = self.clock.now();
        let business_date = due.business_date;
        match timing(business_date, as_of, self.grace_period) {
            Timing::InTime => {}
            Timing::TooEarly => return Err(Error::BusinessDateAhead { business_date }),
            Timing::Missed => {
                tracing::error!(trading_account_id = %id, %business_date, "missed the balance of a day");
                metrics::count("MissedBalances", 1);
                return Ok(());
            }
        }
        let (balance, cash) = self.fetch(id, &account, deadline).await?;
        self.database
            .transaction(async |connection| {
                store::save_of_date(connection, id, business_date, &balance, as_of).await?;
                store::save_on_account(connection, id, &balance, &cash, as_of).await
            })
            .await
    }

    /// The broker has cash and positions under two addresses: what was bought between the two requests would be counted
    /// twice, or not at all. Only with the same cash before and after do they belong together.
    async fn fetch(
        &self,
        id: TradingAccountId,
        account: &Account,
        deadline: Deadline,
    ) -> Result<(Balance, CashBalance), Error> {
        let at_broker = &account.drivewealth_account_id;
        let client = self.broker.client().await?;
        let before = self.broker.cash(at_broker, deadline).await?;
        let positions = client
            .positions(at_broker, deadline.instant())
            .await
            .done(PARTY)?;
        let cash = self.broker.cash(at_broker, deadline).await?;
        if before.balance != cash.balance {
            return Err(Error::BalanceMoved);
        }
        let balance = Balance::check(account.currency, cash.balance, positions.value);
        let balance = balance.inspect_err(|reason| {
            tracing::error!(trading_account_id = %id, %reason, "refused the broker's figures of an account");
            metrics::count("InvalidBalances", 1);
        })?;
        Ok((balance, cash))
    }
}
