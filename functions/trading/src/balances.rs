//! What every account is worth, once per New York day: commissions count by it.
//!
//! A schedule sends one message per account; each is handled by itself, so that an account about which the broker can't
//! be asked keeps no other waiting. The message names the day. Handled twice, in any order, it leaves the newer reading.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::clock::Clock;
use domain::ids::TradingAccountId;
use domain::market::MarketCalendar;
use domain::trading::balance::{Balance, Timing, timing};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::messaging::queue::Queue;
use platform::observability::metrics;
use platform::observability::telemetry;
use providers::drivewealth::CashBalance;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::broker::{Broker, answered};
use crate::store::balances::{self, Account};

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

/// What a run has asked for.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The New York day.
    pub business_date: NaiveDate,
    /// Accounts whose balance is due.
    pub accounts: usize,
    /// Statements that it took to find them.
    pub pages: u32,
}

/// Sends each account to have its balance taken.
#[derive(Debug)]
pub struct DailyBalances {
    database: Database,
    queue: Queue,
}

impl DailyBalances {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let queue = Queue::read(environment, "ACCOUNT_BALANCES");
        Some(Self {
            database: database?,
            queue: queue?,
        })
    }

    /// Sends a message for each account that is neither applied for nor closed. Which day they are for follows from the
    /// time at which the run was due. When it fails, the repeated run sends all of them again, which does no harm.
    ///
    /// # Errors
    /// When the day has not begun, or the database or the queue fails.
    pub async fn run(&self, due_at: DateTime<Utc>) -> Result<Report, Error> {
        let business_date = MarketCalendar::business_date(due_at);
        if business_date > MarketCalendar::business_date(SystemClock.now()) {
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
        let mut connection = self.database.pool().await?.acquire().await?;
        balances::with_balance(&mut connection, after, PAGE).await
    }
}

/// Takes balances.
#[derive(Debug)]
pub struct Balances {
    database: Arc<Database>,
    broker: Broker,
    patience: TimeDelta,
}

impl Balances {
    /// Reads the configuration; `BALANCE_PATIENCE_HOURS` is how long after 17:00 New York the balance of a day may still
    /// be taken.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let broker = Broker::read(environment, database.as_ref());
        let patience = environment.required::<u32>("BALANCE_PATIENCE_HOURS");
        Some(Self {
            database: database?,
            broker: broker?,
            patience: TimeDelta::hours(i64::from(patience?)),
        })
    }

    /// Asks the broker what the account is worth, and keeps it as the balance of the message's day, unless a newer one
    /// is kept.
    ///
    /// A message that comes when the next day's balance is due already is dropped and counted (`MissedBalances`): what
    /// the account is worth by then is not what it was worth, and would be charged for. An account that is closed by
    /// now has no balance.
    ///
    /// # Errors
    /// Transient when the broker doesn't answer, or its figures aren't a balance of this account.
    pub async fn take(&self, due: &BalanceDue, deadline: Deadline) -> Result<(), Error> {
        let account = {
            let mut connection = self.database.pool().await?.acquire().await?;
            balances::account(&mut connection, due.trading_account_id).await?
        };
        telemetry::identify(account.profile_id.get());
        if !account.status.has_balance() {
            tracing::info!(status = %account.status, "the account has no balance");
            return Ok(());
        }
        let business_date = due.business_date;
        match timing(business_date, account.seen_at, self.patience) {
            Timing::InTime => {}
            Timing::TooEarly => return Err(Error::BusinessDateAhead { business_date }),
            Timing::Missed => {
                let account = due.trading_account_id.get();
                tracing::error!(account, %business_date, "a balance can't be had any more");
                metrics::count("MissedBalances", 1);
                return Ok(());
            }
        }
        let (balance, cash) = self.ask(&account, deadline).await?;

        let mut transaction = self.database.begin().await?;
        let (id, as_of) = (due.trading_account_id, account.seen_at);
        balances::keep(&mut transaction, id, business_date, &balance, as_of).await?;
        balances::keep_on_account(&mut transaction, id, &balance, &cash, as_of).await?;
        Ok(transaction.commit().await?)
    }

    /// The broker tells cash and positions one after the other: what was bought between the two would be counted twice,
    /// or not at all. Only with the same cash before and after do they belong together.
    async fn ask(&self, account: &Account, deadline: Deadline) -> Result<(Balance, CashBalance), Error> {
        let client = self.broker.client().await?;
        let id = &account.drivewealth_account_id;
        let before = answered(client.cash(id, deadline.instant()).await)?;
        let positions = answered(client.positions(id, deadline.instant()).await)?;
        let cash = answered(client.cash(id, deadline.instant()).await)?;
        if before.balance != cash.balance {
            return Err(Error::BalanceMoved);
        }
        let balance = Balance::check(account.currency, cash.balance, positions.value);
        let balance = balance.inspect_err(|reason| {
            tracing::error!(%reason, "the broker's figures are not used");
            metrics::count("InvalidBalances", 1);
        })?;
        Ok((balance, cash))
    }
}
