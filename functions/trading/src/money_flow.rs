//! Deposits and withdrawals: check, write the intent, ask the broker, record what it said.
//!
//! The intent is committed before the broker is asked, under an idempotency key made from the flow's id, and no
//! transaction is open while it is asked. Whatever dies or times out in between leaves a flow that the same request
//! sent again, or the reconciler, finishes: the broker is asked under the same key. Spec "Trading", Money flow.

use std::sync::Arc;

use domain::clock::Clock;
use domain::currency::Currency;
use domain::ids::{BankAccountId, MoneyFlowId, ProfileId, TradingAccountId};
use domain::lookup::{LookupSchedule, Next};
use domain::money::Money;
use domain::trading::money_flow::{Direction, check_amount, check_cover};
use platform::clock::SystemClock;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, Claim, IdempotencyKey, KeptAnswer, KeyedRequest};
use providers::drivewealth::CashBalance;
use serde::Serialize;
use sqlx::PgConnection;

use crate::Error;
use crate::answer::Answer;
use crate::broker::{Bank, LinkedBankAccount, answered};
use crate::settlement::Settlement;
use crate::store::accounts::{self, Parties};
use crate::store::bank_accounts;
use crate::store::money_flow::{self, NewFlow};

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MoneyFlowRequest {
    /// To or from which trading account.
    pub trading_account_id: TradingAccountId,
    /// How much, in cents.
    pub amount_cents: i64,
    /// From or to which bank account.
    pub bank_account_id: BankAccountId,
}

/// How a request ends its checks.
enum Start {
    Flow(MoneyFlowId),
    Kept(KeptAnswer),
}

/// Deposits.
#[derive(Debug)]
pub struct Deposits {
    database: Arc<Database>,
    bank: Bank,
    settlement: Settlement,
    limit: Money,
}

/// Withdrawals.
#[derive(Debug)]
pub struct Withdrawals {
    database: Arc<Database>,
    settlement: Settlement,
    limit: Money,
}

impl Deposits {
    /// Reads the configuration; `DEPOSIT_LIMIT_CENTS` is the most that one deposit moves.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let bank = Bank::read(environment);
        let settlement = Settlement::read(environment, database.as_ref());
        let limit = environment
            .required("DEPOSIT_LIMIT_CENTS")
            .map(|cents| Money::new(cents, Currency::USD));
        Some(Self {
            database: database?,
            bank: bank?,
            settlement: settlement?,
            limit: limit?,
        })
    }

    /// Moves money from the bank into the trading account, once per key.
    ///
    /// # Errors
    /// Rejected for an amount, account or profile that doesn't allow it; nothing is written then.
    pub async fn deposit(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let keyed = KeyedRequest::of_profile(profile, "deposit_funds", key, &request)?;
        let start = match repeated(&self.database, &keyed).await? {
            Some(start) => start,
            None => self.start(profile, &keyed, request, deadline).await?,
        };
        finish(&self.settlement, start, &keyed, deadline).await
    }

    async fn start(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Start, Error> {
        let amount = Money::new(request.amount_cents, Currency::USD);
        check_amount(amount, self.limit)?;
        let parties = parties(&self.database, profile, &request).await?;
        let balance = self.balance(&parties.bank, deadline).await?;

        let mut transaction = self.database.begin().await?;
        if let Some(start) = claim(&mut transaction, keyed).await? {
            return Ok(start);
        }
        let account = accounts::lock(&mut transaction, request.trading_account_id).await?;
        if let Some(reason) = account.deposits_suspended {
            return Err(Error::DepositsSuspended { reason });
        }
        if !account.status.takes_deposits() {
            return Err(Error::AccountNotOpen {
                status: account.status.to_string(),
            });
        }
        // The account is locked, so no other deposit passes on the same balance.
        let currency = Currency::USD.code();
        let promised = money_flow::not_taken_yet(&mut transaction, request.bank_account_id, currency).await?;
        check_cover(amount, balance, promised)?;
        let flow = new_flow(profile, request, Direction::Deposit, amount);
        let id = intend(&mut transaction, keyed, &flow).await?;
        transaction.commit().await?;
        Ok(Start::Flow(id))
    }

    /// What can be taken from the bank account now. Whether the bank wants a new sign-in is noted on the way.
    async fn balance(&self, account: &LinkedBankAccount, deadline: Deadline) -> Result<Money, Error> {
        let balance = self.bank.balance(account, deadline).await;
        match &balance {
            Err(Error::BankNeedsSignIn) => {
                let mut connection = self.database.pool().await?.acquire().await?;
                bank_accounts::set_needs_sign_in(&mut connection, &account.item_id).await?;
            }
            Ok(_) if account.needs_sign_in => {
                let mut connection = self.database.pool().await?.acquire().await?;
                bank_accounts::set_signed_in(&mut connection, &account.item_id).await?;
            }
            _ => {}
        }
        match balance? {
            balance if balance.currency() == Currency::USD => Ok(balance),
            other => Err(Error::BankCurrency {
                currency: other.currency(),
            }),
        }
    }
}

impl Withdrawals {
    /// Reads the configuration; `WITHDRAWAL_LIMIT_CENTS` is the most that one withdrawal moves.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment).map(Arc::new);
        let settlement = Settlement::read(environment, database.as_ref());
        let limit = environment
            .required("WITHDRAWAL_LIMIT_CENTS")
            .map(|cents| Money::new(cents, Currency::USD));
        Some(Self {
            database: database?,
            settlement: settlement?,
            limit: limit?,
        })
    }

    /// Moves cash from the trading account to the bank, once per key.
    ///
    /// # Errors
    /// Rejected for an amount or account that doesn't allow it; nothing is written then.
    pub async fn withdraw(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        let keyed = KeyedRequest::of_profile(profile, "withdraw_funds", key, &request)?;
        let start = match repeated(&self.database, &keyed).await? {
            Some(start) => start,
            None => self.start(profile, &keyed, request, deadline).await?,
        };
        finish(&self.settlement, start, &keyed, deadline).await
    }

    async fn start(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: MoneyFlowRequest,
        deadline: Deadline,
    ) -> Result<Start, Error> {
        let amount = Money::new(request.amount_cents, Currency::USD);
        check_amount(amount, self.limit)?;
        let parties = parties(&self.database, profile, &request).await?;
        let client = self.settlement.broker().client().await?;
        let cash = answered(
            client
                .cash(&parties.drivewealth_account_id, deadline.instant())
                .await,
        )?;

        let mut transaction = self.database.begin().await?;
        if let Some(start) = claim(&mut transaction, keyed).await? {
            return Ok(start);
        }
        let account = accounts::lock(&mut transaction, request.trading_account_id).await?;
        if !account.status.gives_withdrawals() {
            return Err(Error::AccountNotOpen {
                status: account.status.to_string(),
            });
        }
        check_cash(&mut transaction, &parties, &request, &cash, amount).await?;
        let flow = new_flow(profile, request, Direction::Withdrawal, amount);
        let id = intend(&mut transaction, keyed, &flow).await?;
        transaction.commit().await?;
        Ok(Start::Flow(id))
    }
}

/// The broker's cash less what other withdrawals take has to cover the amount. The account is locked, so no other
/// withdrawal passes on the same cash.
async fn check_cash(
    connection: &mut PgConnection,
    parties: &Parties,
    request: &MoneyFlowRequest,
    cash: &CashBalance,
    amount: Money,
) -> Result<(), Error> {
    let account = request.trading_account_id;
    let reserved = money_flow::reserved(connection, account, parties.seen_at, Currency::USD.code()).await?;
    accounts::keep_cash(connection, &parties.drivewealth_account_id, cash, parties.seen_at).await?;
    Ok(check_cover(amount, cash.available_for_withdrawal, reserved)?)
}

/// What is known of a request that came before, without waiting for one that is being written.
async fn repeated(database: &Database, keyed: &KeyedRequest) -> Result<Option<Start>, Error> {
    let mut connection = database.pool().await?.acquire().await?;
    match idempotency::look_up(&mut connection, keyed).await? {
        Some(found) => from_claim(found),
        None => Ok(None),
    }
}

/// Claims the key; what is returned is a request that came first.
async fn claim(connection: &mut PgConnection, keyed: &KeyedRequest) -> Result<Option<Start>, Error> {
    from_claim(idempotency::claim(connection, keyed).await?)
}

fn from_claim(claim: Claim) -> Result<Option<Start>, Error> {
    Ok(match claim {
        Claim::New => None,
        Claim::Answered(answer) => Some(Start::Kept(answer)),
        Claim::Unanswered { resource_id } => Some(Start::Flow(crate::store::id(resource_id)?)),
    })
}

async fn parties(
    database: &Database,
    profile: ProfileId,
    request: &MoneyFlowRequest,
) -> Result<Parties, Error> {
    let mut connection = database.pool().await?.acquire().await?;
    accounts::parties(
        &mut connection,
        profile,
        request.trading_account_id,
        request.bank_account_id,
    )
    .await
}

fn new_flow(profile: ProfileId, request: MoneyFlowRequest, direction: Direction, amount: Money) -> NewFlow {
    let now = SystemClock.now();
    let next_lookup_at = match LookupSchedule::STANDARD.next(0, now, now) {
        Next::At(at) => at,
        Next::GiveUp => now,
    };
    NewFlow {
        profile_id: profile,
        trading_account_id: request.trading_account_id,
        bank_account_id: request.bank_account_id,
        direction,
        amount,
        next_lookup_at,
    }
}

/// Writes the intent and ties it to the key.
async fn intend(
    connection: &mut PgConnection,
    keyed: &KeyedRequest,
    flow: &NewFlow,
) -> Result<MoneyFlowId, Error> {
    let id = money_flow::insert(connection, flow).await?;
    idempotency::attach(connection, keyed, id.get()).await?;
    Ok(id)
}

async fn finish(
    settlement: &Settlement,
    start: Start,
    keyed: &KeyedRequest,
    deadline: Deadline,
) -> Result<Answer, Error> {
    match start {
        Start::Kept(answer) => Ok(Answer::Kept {
            answer,
            replayed: true,
        }),
        Start::Flow(id) => settlement.carry_out(id, Some(keyed), deadline).await,
    }
}
