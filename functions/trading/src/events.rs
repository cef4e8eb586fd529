//! The events that trading publishes, in the transaction of the change that they are about.

use chrono::{DateTime, Utc};
use domain::ids::{
    BankAccountId, CollectionId, CollectionVersionId, DriveWealthAccountId, MoneyFlowId, ProfileId,
    TradingAccountId,
};
use domain::money::Money;
use domain::trading::kyc::status::KycStatus;
use domain::trading::money_flow::{Direction, MoneyFlowStatus};
use platform::messaging::event::Envelope;
use platform::messaging::outbox::{self, Destination};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::Error;

/// A money flow has succeeded.
pub const MONEY_FLOW_SUCCEEDED: &str = "money-flow.succeeded";
/// A money flow has failed, or the bank has taken back one that had succeeded.
pub const MONEY_FLOW_FAILED: &str = "money-flow.failed";
/// A trading account is open for the first time.
pub const TRADING_ACCOUNT_OPENED: &str = "trading-account.opened";
/// A profile can't deposit until a person has looked at it.
pub const DEPOSITS_SUSPENDED: &str = "deposits.suspended";
/// It can again.
pub const DEPOSITS_RESUMED: &str = "deposits.resumed";
/// The reason of a suspension: the bank took a deposit back.
pub(crate) const DEPOSIT_RETURNED: &str = "deposit-returned";
/// The identity check came into another state.
pub const KYC_STATUS_CHANGED: &str = "kyc.status-changed";
/// A bank account can't be used until its customer signs in to the bank again.
pub const BANK_ACCOUNT_NEEDS_REAUTH: &str = "bank-account.needs-reauth";
/// A money flow is another one than its owner has seen: for the apps that look on.
pub const MONEY_FLOW_CHANGED: &str = "money-flow.changed";
/// The cash of an account changed by a money flow: for `on_cash_changed` alone.
pub const CASH_CHANGED: &str = "portfolio.cash-changed";

/// A collection version was carried out.
pub const COLLECTION_VERSION_COMPLETED: &str = "collection-version.completed";
/// A collection version was not carried out.
pub const COLLECTION_VERSION_FAILED: &str = "collection-version.failed";
/// Something is to be done for an account's collection versions: for `apply_collection_version` alone.
pub const COLLECTION_VERSIONS_DUE: &str = "collection-versions.due";

/// Every subscriber of trading.
const ALL_SUBSCRIBERS: [Destination; 2] = [
    Destination::Topic("trading.events"),
    Destination::Queue("domain-events"),
];
/// Apps that look on.
const LIVE_UPDATES: [Destination; 1] = [Destination::Queue("live-updates")];
/// Changes of a portfolio, one account at a time.
const PORTFOLIO_CHANGES: [Destination; 1] = [Destination::Queue("portfolio-changes")];

/// Orders of an account, one account at a time.
const COLLECTION_VERSIONS: [Destination; 1] = [Destination::Queue("collection-versions")];

/// The end of a money flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoneyFlowEnded {
    /// The flow.
    pub money_flow_id: MoneyFlowId,
    /// Whose it is.
    pub profile_id: ProfileId,
    /// The account it moves money to or from.
    pub trading_account_id: TradingAccountId,
    /// Deposit or withdrawal.
    pub direction: Direction,
    /// The amount in minor units, above zero in either direction.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Why it failed, as a code; null when it succeeded.
    pub reason: Option<String>,
}

/// A money flow as its owner sees it from now on, under the names of the API.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MoneyFlowChanged {
    /// Whose it is.
    pub(crate) profile_id: ProfileId,
    /// The flow.
    pub(crate) id: MoneyFlowId,
    pub(crate) direction: Direction,
    pub(crate) trading_account_id: TradingAccountId,
    pub(crate) bank_account_id: BankAccountId,
    pub(crate) amount_cents: i64,
    pub(crate) currency: &'static str,
    pub(crate) status: MoneyFlowStatus,
    pub(crate) failure_code: Option<String>,
    pub(crate) under_review: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// The cash of an account changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CashChanged {
    /// The account at DriveWealth.
    pub drivewealth_account_id: DriveWealthAccountId,
    /// The flow that changed it.
    pub money_flow_id: MoneyFlowId,
    /// Whose it is.
    pub profile_id: ProfileId,
}

/// The end of a collection version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectionVersionEnded {
    /// The version.
    pub collection_version_id: CollectionVersionId,
    /// Whose it is.
    pub profile_id: ProfileId,
    /// The account it is carried out in.
    pub trading_account_id: TradingAccountId,
    /// The collection.
    pub collection_id: CollectionId,
    /// What was traded for it in cents, below zero where it was sold; null when it failed.
    pub actual_amount_cents: Option<i64>,
    /// Why it failed, as a code; null when it was carried out.
    pub reason: Option<String>,
}

/// An account for whose collection versions something is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDue {
    /// The account at DriveWealth.
    pub drivewealth_account_id: DriveWealthAccountId,
    /// The account.
    pub trading_account_id: TradingAccountId,
    /// Whose it is.
    pub profile_id: ProfileId,
}

/// A trading account was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TradingAccountOpened {
    /// The account.
    pub trading_account_id: TradingAccountId,
    /// Whose it is.
    pub profile_id: ProfileId,
}

/// Deposits of a profile were suspended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DepositsSuspended {
    /// Whose.
    pub profile_id: ProfileId,
    /// The deposit that the bank took back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money_flow_id: Option<MoneyFlowId>,
    /// Why, as a code.
    pub reason: String,
    /// The amount of the deposit in minor units.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Deposits of a profile are possible again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DepositsResumed {
    /// Whose.
    pub profile_id: ProfileId,
    /// Why they were suspended, as a code.
    pub reason: String,
}

/// The identity check came into another state, or found something else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KycStatusChanged {
    /// Whose check.
    pub profile_id: ProfileId,
    /// The state.
    pub status: KycStatus,
    /// What the check has found, by the broker's names.
    pub error_codes: Vec<String>,
}

/// The bank wants its customer to sign in again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BankAccountNeedsReauth {
    /// Whose it is.
    pub profile_id: ProfileId,
    /// The bank account.
    pub bank_account_id: BankAccountId,
    /// Its name.
    pub name: String,
}

impl MoneyFlowEnded {
    /// The end of this flow; `reason` is the code of its failure.
    pub fn new(
        money_flow_id: MoneyFlowId,
        profile_id: ProfileId,
        trading_account_id: TradingAccountId,
        direction: Direction,
        amount: Money,
        reason: Option<String>,
    ) -> Self {
        Self {
            money_flow_id,
            profile_id,
            trading_account_id,
            direction,
            amount_cents: amount.minor(),
            currency: amount.currency().code().to_owned(),
            reason,
        }
    }
}

/// Publishes a flow's end, as [`MONEY_FLOW_SUCCEEDED`] or [`MONEY_FLOW_FAILED`].
pub(crate) async fn publish_money_flow_ended(
    connection: &mut PgConnection,
    kind: &str,
    at: DateTime<Utc>,
    ended: MoneyFlowEnded,
) -> Result<(), Error> {
    let event = Envelope::new(kind, profile_key(ended.profile_id), at, ended);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes what a flow has become, for the apps that look on.
pub(crate) async fn publish_money_flow_changed(
    connection: &mut PgConnection,
    changed: MoneyFlowChanged,
) -> Result<(), Error> {
    let key = format!("money-flow-{}", changed.id);
    let event = Envelope::new(MONEY_FLOW_CHANGED, key, changed.updated_at, changed);
    Ok(outbox::publish(connection, &event, &LIVE_UPDATES).await?)
}

/// Publishes a change of cash, which the portfolio's targets have to follow.
pub(crate) async fn publish_cash_changed(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    changed: CashChanged,
) -> Result<(), Error> {
    let event = Envelope::new(
        CASH_CHANGED,
        changed.drivewealth_account_id.as_str().to_owned(),
        at,
        changed,
    );
    Ok(outbox::publish(connection, &event, &PORTFOLIO_CHANGES).await?)
}

/// Publishes that deposits of a profile were suspended, for all subscribers.
pub(crate) async fn publish_deposits_suspended(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    suspended: DepositsSuspended,
) -> Result<(), Error> {
    let event = Envelope::new(
        DEPOSITS_SUSPENDED,
        profile_key(suspended.profile_id),
        at,
        suspended,
    );
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes that the identity check came into another state.
pub(crate) async fn publish_kyc_status_changed(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    changed: KycStatusChanged,
) -> Result<(), Error> {
    let event = Envelope::new(KYC_STATUS_CHANGED, profile_key(changed.profile_id), at, changed);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes that a bank wants its customer to sign in again.
pub(crate) async fn publish_bank_account_needs_reauth(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    needs: BankAccountNeedsReauth,
) -> Result<(), Error> {
    let event = Envelope::new(
        BANK_ACCOUNT_NEEDS_REAUTH,
        profile_key(needs.profile_id),
        at,
        needs,
    );
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes that a profile can deposit again.
pub(crate) async fn publish_deposits_resumed(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    resumed: DepositsResumed,
) -> Result<(), Error> {
    let event = Envelope::new(DEPOSITS_RESUMED, profile_key(resumed.profile_id), at, resumed);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

/// Publishes the ends of versions, as [`COLLECTION_VERSION_COMPLETED`] or [`COLLECTION_VERSION_FAILED`].
pub(crate) async fn publish_collection_versions_ended(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    ended: Vec<CollectionVersionEnded>,
) -> Result<(), Error> {
    let event = |ended: CollectionVersionEnded| {
        let kind = match ended.reason {
            None => COLLECTION_VERSION_COMPLETED,
            Some(_) => COLLECTION_VERSION_FAILED,
        };
        Envelope::new(kind, profile_key(ended.profile_id), at, ended)
    };
    let events: Vec<_> = ended.into_iter().map(event).collect();
    Ok(outbox::publish_all(connection, &events, &ALL_SUBSCRIBERS).await?)
}

/// Publishes accounts for whose collection versions something is to be done.
pub(crate) async fn publish_accounts_due(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    accounts: Vec<AccountDue>,
) -> Result<(), Error> {
    let event = |due: AccountDue| {
        let key = due.drivewealth_account_id.as_str().to_owned();
        Envelope::new(COLLECTION_VERSIONS_DUE, key, at, due)
    };
    let events: Vec<_> = accounts.into_iter().map(event).collect();
    Ok(outbox::publish_all(connection, &events, &COLLECTION_VERSIONS).await?)
}

/// Publishes the opening of an account.
pub(crate) async fn publish_trading_account_opened(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    opened: TradingAccountOpened,
) -> Result<(), Error> {
    let event = Envelope::new(TRADING_ACCOUNT_OPENED, profile_key(opened.profile_id), at, opened);
    Ok(outbox::publish(connection, &event, &ALL_SUBSCRIBERS).await?)
}

fn profile_key(profile: ProfileId) -> String {
    format!("profile-{profile}")
}
