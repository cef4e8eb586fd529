//! Deposits and withdrawals: check, write the intent, ask the broker, record its response (README, Money flow).
//!
//! The intent is committed before the broker is asked, under an idempotency key made from the flow's id, and no transaction
//! is open while it is asked. A crash or a time-out in between leaves a flow that the same request sent again, or the
//! reconciler, finishes: the broker is asked under the same key.
//!
//! A deposit costs 16 statements, begin and commit counted: 2 before the checks outside, 8 for the intent, 1 for the lease
//! under which the broker is asked, 5 to record its response. A status other than `pending` in the response costs one more.

mod execute;
mod failure;
mod record;
mod state;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod view;

use domain::currency::Currency;
use domain::ids::{BankAccountId, MoneyFlowId, ProfileId, TradingAccountId};
use domain::lookup::{LookupSchedule, Next};
use domain::market::MarketCalendar;
use domain::money::Money;
use domain::trading::account::AccountStatus;
use domain::trading::money_flow::{Direction, check_amount, check_cover};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, IdempotencyKey, KeyedRequest, Progress};
use platform::pagination::{Page, PageRequest};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

pub use self::execute::PaymentExecutor;
pub use self::record::PaymentRecorder;
pub use self::state::Recorded;
pub(crate) use self::state::{Ruled, Ruling, rule};
pub use self::view::{MoneyFlowReply, MoneyFlowView};

use self::store::{Ends, NewFlow};
use crate::account::store::LockedAccount;
use crate::bank_account::BankAccounts;
use crate::broker::Broker;
use crate::{Error, account, profile};

platform::list! {
    /// The money flows of a profile, newest first.
    pub MoneyFlowList: MoneyFlowId = "money-flows"
}

/// A deposit or a withdrawal to make.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyFlowRequest {
    /// The trading account that gets or pays the money; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    pub trading_account_id: TradingAccountId,
    /// The amount in cents, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(25_000))]
    pub amount_cents: i64,
    /// The bank account that pays or gets the money; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    pub bank_account_id: BankAccountId,
}

impl MoneyFlowRequest {
    fn amount(&self) -> Money {
        Money::new(self.amount_cents, Currency::USD)
    }
}

/// By then a bank shows a deposit in its customer's balance: banking days, which the exchange's days stand for.
const SHOWN_AFTER_DAYS: usize = 3;

/// Deposits.
#[derive(Debug)]
pub struct Deposits {
    database: Database,
    bank_accounts: BankAccounts,
    executor: PaymentExecutor,
    clock: ClockHandle,
    limit: Money,
}

platform::from_environment!(Deposits {
    database,
    bank_accounts,
    executor,
    clock,
    // The most that one deposit moves.
    limit: |environment: &mut Environment| limit(environment, "DEPOSIT_LIMIT_CENTS"),
});

/// Withdrawals.
#[derive(Debug)]
pub struct Withdrawals {
    database: Database,
    broker: Broker,
    executor: PaymentExecutor,
    clock: ClockHandle,
    limit: Money,
}

platform::from_environment!(Withdrawals {
    database,
    broker,
    executor,
    clock,
    // The most that one withdrawal moves.
    limit: |environment: &mut Environment| limit(environment, "WITHDRAWAL_LIMIT_CENTS"),
});

fn limit(environment: &mut Environment, name: &str) -> Option<Money> {
    let cents = environment.required(name)?;
    Some(Money::new(cents, Currency::USD))
}

impl Deposits {
    /// Moves money from the bank into the trading account, once per key.
    ///
    /// # Errors
    /// Rejected for an amount, account or profile that doesn't allow it; nothing is written then.
    pub async fn deposit(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: &MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<MoneyFlowReply, Error> {
        let keyed = KeyedRequest::of_profile(profile, "deposit_funds", key, request)?;
        let progress = match idempotency::find(&self.database, &keyed).await? {
            Some(progress) => progress,
            None => self.start(profile, &keyed, request, deadline).await?,
        };
        self.executor.finish(progress, &keyed, deadline).await
    }

    async fn start(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: &MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Progress<MoneyFlowId>, Error> {
        let amount = request.amount();
        check_amount(amount, self.limit)?;
        let ends = find_ends(&self.database, profile, request).await?;
        let balance = self.bank_accounts.available(&ends.bank, amount, deadline).await?;

        idempotency::intend(&self.database, keyed, async |connection| {
            let account = lock_ends(connection, profile, request).await?;
            if let Some(reason) = account.deposits_suspended {
                return Err(Error::DepositsSuspended { reason });
            }
            if !account.status.takes_deposits() {
                return Err(not_open(&account.status));
            }
            // The account is locked, so no other deposit passes on the same balance.
            let settled_since = MarketCalendar::trading_days_before(self.clock.now(), SHOWN_AFTER_DAYS);
            let promised = store::promised(
                connection,
                request.bank_account_id,
                settled_since,
                amount.currency(),
            )
            .await?;
            check_cover(amount, balance, promised)?;
            let flow = new_flow(profile, request, Direction::Deposit, &self.clock);
            store::insert(connection, &flow).await
        })
        .await
    }
}

impl Withdrawals {
    /// Moves cash from the trading account to the bank, once per key.
    ///
    /// # Errors
    /// Rejected for an amount or account that doesn't allow it; nothing is written then.
    pub async fn withdraw(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: &MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<MoneyFlowReply, Error> {
        let keyed = KeyedRequest::of_profile(profile, "withdraw_funds", key, request)?;
        let progress = match idempotency::find(&self.database, &keyed).await? {
            Some(progress) => progress,
            None => self.start(profile, &keyed, request, deadline).await?,
        };
        self.executor.finish(progress, &keyed, deadline).await
    }

    async fn start(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: &MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Progress<MoneyFlowId>, Error> {
        let amount = request.amount();
        check_amount(amount, self.limit)?;
        let ends = find_ends(&self.database, profile, request).await?;
        // Before the broker is asked: the cash of what settles later isn't sure to be missing from its figures.
        let as_of = self.clock.now();
        let at_broker = &ends.drivewealth_account_id;
        let cash = self.broker.cash(at_broker, deadline).await?;

        idempotency::intend(&self.database, keyed, async |connection| {
            let account = lock_ends(connection, profile, request).await?;
            if !account.status.gives_withdrawals() {
                return Err(not_open(&account.status));
            }
            // The account is locked, so no other withdrawal passes on the same cash.
            let reserved =
                store::reserved(connection, request.trading_account_id, as_of, amount.currency()).await?;
            account::store::save_cash(connection, at_broker, &cash, as_of).await?;
            check_cover(amount, cash.available_for_withdrawal, reserved)?;
            let flow = new_flow(profile, request, Direction::Withdrawal, &self.clock);
            store::insert(connection, &flow).await
        })
        .await
    }
}

/// The list of a profile's deposits and withdrawals.
#[derive(Debug)]
pub struct MoneyFlowHistory {
    database: Database,
}

platform::from_environment!(MoneyFlowHistory { database });

impl MoneyFlowHistory {
    /// A page of the profile's flows, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        page: PageRequest<MoneyFlowList>,
    ) -> Result<Page<MoneyFlowView>, Error> {
        let flows = self
            .database
            .with(async |connection| store::list(connection, profile, page.after, page.rows()).await)
            .await?;
        let page = Page::from_overfetched(&flows, &page, |flow| MoneyFlowView::from(flow), |flow| flow.id);
        Ok(page?)
    }
}

async fn find_ends(
    database: &Database,
    profile: ProfileId,
    request: &MoneyFlowRequest,
) -> Result<Ends, Error> {
    let (account, bank_account) = (request.trading_account_id, request.bank_account_id);
    database
        .with(async |connection| store::find_ends(connection, profile, account, bank_account).await)
        .await
}

/// Locks both ends. The bank account may have been unlinked while somebody outside was asked.
async fn lock_ends(
    connection: &mut PgConnection,
    profile: ProfileId,
    request: &MoneyFlowRequest,
) -> Result<LockedAccount, Error> {
    profile::store::lock_for_flow(connection, profile).await?;
    let account =
        account::store::lock(connection, request.trading_account_id, request.bank_account_id).await?;
    match account.is_bank_linked {
        true => Ok(account),
        false => Err(Error::BankAccountNotFound),
    }
}

fn not_open(status: &AccountStatus) -> Error {
    Error::AccountNotOpen {
        status: status.to_string(),
    }
}

fn new_flow(
    profile: ProfileId,
    request: &MoneyFlowRequest,
    direction: Direction,
    clock: &ClockHandle,
) -> NewFlow {
    let now = clock.now();
    let next_lookup_at = match LookupSchedule::STANDARD.next(0, now, now) {
        Next::At(at) => at,
        Next::GiveUp => now,
    };
    NewFlow {
        profile_id: profile,
        trading_account_id: request.trading_account_id,
        bank_account_id: request.bank_account_id,
        direction,
        amount: request.amount(),
        created_at: now,
        next_lookup_at,
    }
}
