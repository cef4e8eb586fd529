//! What can go wrong in trading, with its lane.

use chrono::NaiveDate;
use domain::currency::Currency;
use domain::lane::{Class, Laned, Rejection};
use domain::money::MoneyError;
use domain::rate::WeightError;
use domain::trading::balance::InvalidBalance;
use domain::trading::collection::order::RefusedOrder;
use domain::trading::collection::rebalancing::Uncountable;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::version::CollectionVersionStatus;
use domain::trading::collection::weights::InvalidWeights;
use domain::trading::kyc::document::DocumentRefusal;
use domain::trading::kyc::form::FieldProblem;
use domain::trading::kyc::phone::Try;
use domain::trading::kyc::status::KycStatus;
use domain::trading::money_flow::AmountRefusal;
use domain::trading::portfolio::InvalidPortfolio;
use platform::error::PlatformError;
use platform::http::Problem;
use providers::outcome::ProviderError;

/// A failure of trading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody has brought the profile in.
    #[error("there is no such profile")]
    ProfileNotFound,
    /// A value that isn't acceptable.
    #[error("{field} {message}")]
    InvalidValue {
        /// Its field.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Answers of the form that aren't acceptable.
    #[error("{}", summary("nothing was saved, because these answers can't be taken", .0))]
    InvalidKycForm(Vec<FieldProblem>),
    /// Answers without which the form can't be submitted.
    #[error("{}", summary("the form can't be submitted yet", .0))]
    IncompleteKycForm(Vec<FieldProblem>),
    /// The form can't be changed or submitted in this state.
    #[error("the form can't be changed or submitted now: its check is {status}")]
    KycFormLocked {
        /// The check's state.
        status: KycStatus,
    },
    /// The form was submitted, and the broker's answer isn't known yet; somebody is asking.
    #[error("the form is being submitted; ask for its status in a moment")]
    KycSubmissionInFlight,
    /// The broker's answer to the form was lost for too long.
    #[error("the form was submitted and the broker's answer is missing; somebody of us looks into it")]
    KycUnderReview,
    /// The broker doesn't take the form.
    #[error("the broker didn't take the form (code {code}); check your details and submit it again")]
    KycFormRefused {
        /// The broker's code.
        code: String,
    },
    /// Documents belong to a form that was submitted.
    #[error("the form wasn't submitted yet; a document is asked for after that")]
    KycNotSubmitted,
    /// A document that isn't taken.
    #[error(transparent)]
    Document(#[from] DocumentRefusal),
    /// The broker doesn't take the document.
    #[error("the broker didn't take the document (code {code}); send another one")]
    DocumentRefused {
        /// The broker's code.
        code: String,
    },
    /// There were too many documents within a day.
    #[error("too many documents were sent today; send the next one tomorrow")]
    TooManyDocuments,
    /// The broker's new account has no number.
    #[error("the broker's account has no number")]
    UnreadableAccount,
    /// No code was sent to the number.
    #[error("no code was sent to this number; have one sent first")]
    PhoneCodeNotSent,
    /// The last code is too young for another one.
    #[error("a code was sent already; the next one can be sent in {seconds} seconds")]
    PhoneCodeTooSoon {
        /// How long to wait.
        seconds: i64,
    },
    /// The code isn't the one, or is of no use any more.
    #[error("{}", code_refusal(.0))]
    PhoneCodeRefused(Try),
    /// Text messages don't reach the number.
    #[error("the number can't be reached by text messages; give another one")]
    PhoneNotReachable,
    /// The profile has no such trading account.
    #[error("there is no such trading account")]
    TradingAccountNotFound,
    /// The profile has no such bank account.
    #[error("there is no such bank account")]
    BankAccountNotFound,
    /// The profile has no trading account at all.
    #[error("this profile has no trading account yet; it is opened when KYC is approved")]
    NoTradingAccount,
    /// The account's state doesn't allow it.
    #[error("the trading account is {status}; this needs an open account")]
    AccountNotOpen {
        /// The state it is in.
        status: String,
    },
    /// The amount is refused.
    #[error("the amount {0}")]
    Amount(AmountRefusal),
    /// Deposits of the profile are suspended.
    #[error("deposits are suspended ({reason}); please contact support")]
    DepositsSuspended {
        /// Why.
        reason: String,
    },
    /// The bank wants its customer to sign in again.
    #[error("the bank account needs to be linked again: sign in to the bank and repeat the request")]
    BankNeedsSignIn,
    /// The bank account is in a currency that we don't take.
    #[error("the bank account is in {currency}; only USD can be deposited")]
    BankCurrency {
        /// Its currency.
        currency: Currency,
    },
    /// The public token is used up by somebody else, too old, or none.
    #[error("the public token is no good any more; link the bank again")]
    BadPublicToken,
    /// What Plaid's page has given is lost.
    #[error("the bank couldn't be linked, and this visit to Plaid's page is used up; link it again")]
    LinkAgain,
    /// The link has no such account.
    #[error("there is no such account among those of this visit to Plaid's page")]
    PlaidAccountNotFound,
    /// The same account of the bank is linked.
    #[error("this account of the bank is linked already")]
    BankAccountLinkedAlready,
    /// The customer has ended the link.
    #[error("the link to the bank has ended; link the bank again")]
    BankLinkEnded,
    /// The profile has had the banks asked as often as it may in a day.
    #[error("your banks were asked {limit} times today, which is the limit; try again tomorrow")]
    BankAskedTooOften {
        /// How often it may.
        limit: i32,
    },
    /// The profile has linked as many banks as it may in a day.
    #[error("no more than {limit} banks can be linked in a day; try again tomorrow")]
    TooManyLinks {
        /// How many it may.
        limit: i64,
    },
    /// A money flow of the bank account is under way.
    #[error("a deposit or withdrawal of this bank account is under way; unlink it afterwards")]
    BankAccountInUse,
    /// A webhook that Plaid hasn't signed, or not now.
    #[error("the signature is not valid")]
    InvalidSignature,
    /// A webhook that can't be read.
    #[error("the webhook can't be read")]
    UnreadableWebhook,
    /// The profile has no such document, or the broker doesn't have its file any more.
    #[error("there is no such document")]
    StatementNotFound,
    /// There is no such collection.
    #[error("there is no such collection")]
    CollectionNotFound,
    /// Another collection has the name.
    #[error("another collection has this uniq_id")]
    UniqIdTaken,
    /// The profile has no such collection version.
    #[error("there is no such collection version")]
    CollectionVersionNotFound,
    /// Only what is pending can be taken back.
    #[error("the order is {status}; only a pending one can be cancelled")]
    CollectionVersionNotPending {
        /// The state it is in.
        status: CollectionVersionStatus,
    },
    /// The account of an order is none of the profile's.
    #[error("there is no such trading account")]
    OrderAccountNotFound,
    /// The account of an order isn't open.
    #[error("the trading account is {status}; an order needs an open account")]
    OrderAccountNotOpen {
        /// The state it is in.
        status: String,
    },
    /// An order that doesn't say what it asks for.
    #[error("{field} {message}")]
    InvalidOrder {
        /// The field that is wrong.
        field: &'static str,
        /// What is wrong with it.
        message: &'static str,
    },
    /// Weights that can't be taken.
    #[error("the weights {reason}")]
    InvalidWeights {
        /// The field that is wrong.
        field: String,
        /// Why.
        reason: InvalidWeights,
    },
    /// A symbol that can't be traded.
    #[error("{symbol} can't be traded")]
    NotTradable {
        /// Where it stands.
        field: String,
        /// The symbol.
        symbol: Symbol,
    },
    /// The order takes more than there is, or moves nothing.
    #[error("{refused}")]
    Order {
        /// The field that asks for too much, or too little.
        field: &'static str,
        /// What is wrong.
        refused: RefusedOrder,
    },
    /// The profile may not buy.
    #[error("buying is suspended ({reason}); selling and withdrawing are possible")]
    BuyingSuspended {
        /// Why.
        reason: &'static str,
    },
    /// The broker has no portfolio for the account, or none that can be changed.
    #[error("the account has no portfolio at the broker, or is not open there")]
    NoPortfolio,
    /// Somebody else is changing the account.
    #[error("the account is being changed by somebody else; this comes again")]
    AccountBusy,
    /// Figures that can't be counted with.
    #[error(transparent)]
    Uncountable(#[from] Uncountable),
    /// A provider refuses what it should accept, or doesn't respond.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The broker's figures of a portfolio don't add up.
    #[error("the portfolio's figures don't hold together: {0}")]
    InvalidPortfolio(#[from] InvalidPortfolio),
    /// The broker's figures of an account can't be its balance.
    #[error("the broker's figures are not the account's balance: {0}")]
    InvalidBalance(#[from] InvalidBalance),
    /// Cash moved between two requests to the broker.
    #[error("the cash changed while cash and positions were fetched; they are fetched again")]
    BalanceMoved,
    /// The balance of a day that hasn't begun.
    #[error(
        "scheduled_time is on {business_date}, which has not begun in New York; give a time that is past"
    )]
    BusinessDateAhead {
        /// The day.
        business_date: NaiveDate,
    },
    /// An event's payload can't be read.
    #[error("the payload of a {kind} event can't be read: {reason}")]
    Event {
        /// The event's type.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that can't be normalised.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// Money arithmetic that doesn't work out.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] PlatformError),
}

impl Error {
    /// The problem that callers get: of the form, with everything that is wrong at once.
    pub fn into_problem(self) -> Problem {
        let problem = Problem::of(&self);
        match self {
            Self::InvalidKycForm(fields) | Self::IncompleteKycForm(fields) => fields
                .into_iter()
                .fold(problem, |problem, wrong| problem.at(wrong.field, wrong.message)),
            _ => problem,
        }
    }
}

/// What is wrong, with the fields' names; what each lacks stands beside it.
fn summary(what: &str, fields: &[FieldProblem]) -> String {
    let names: Vec<&str> = fields.iter().map(|wrong| wrong.field).collect();
    format!("{what}: {}", names.join(", "))
}

fn code_refusal(refused: &Try) -> String {
    match refused {
        Try::Wrong { left: 0 } | Try::Exhausted => {
            "this code was tried too often; have another one sent".to_owned()
        }
        Try::Wrong { left } => format!("this isn't the code; it may be tried {left} more times"),
        Try::Expired => "the code is too old; have another one sent".to_owned(),
        Try::Used | Try::Right => "the code has been used already".to_owned(),
    }
}

fn phone_code(refused: &Try) -> Class<'static> {
    match refused {
        Try::Wrong { .. } => Class::rejected(Rejection::Unprocessable, "phone-code-wrong"),
        Try::Exhausted => Class::rejected(Rejection::Unprocessable, "phone-code-exhausted"),
        Try::Expired => Class::rejected(Rejection::Unprocessable, "phone-code-expired"),
        Try::Used | Try::Right => Class::rejected(Rejection::Unprocessable, "phone-code-used"),
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Platform(PlatformError::Database(error))
    }
}

impl From<AmountRefusal> for Error {
    fn from(refusal: AmountRefusal) -> Self {
        Self::Amount(refusal)
    }
}

impl From<InvalidWeights> for Error {
    fn from(reason: InvalidWeights) -> Self {
        let field = match reason.position() {
            Some(position) if matches!(reason, InvalidWeights::Repeated { .. }) => {
                format!("weights[{position}].symbol")
            }
            Some(position) => format!("weights[{position}].weight"),
            None => "weights".to_owned(),
        };
        Self::InvalidWeights { field, reason }
    }
}

impl Laned for Error {
    fn class(&self) -> Class<'_> {
        use Rejection::{Conflict, NotFound, Unprocessable};
        let rejected = Class::rejected;
        match self {
            Self::ProfileNotFound => rejected(NotFound, "profile-not-found"),
            Self::InvalidValue { field, .. } => rejected(Unprocessable, "invalid-value").at(field),
            Self::InvalidKycForm(_) => rejected(Unprocessable, "invalid-kyc-form"),
            Self::IncompleteKycForm(_) => rejected(Unprocessable, "incomplete-kyc-form"),
            Self::KycFormLocked { .. } => rejected(Conflict, "kyc-form-locked"),
            Self::KycSubmissionInFlight => rejected(Conflict, "kyc-submission-in-flight"),
            Self::KycUnderReview => rejected(Conflict, "kyc-under-review"),
            Self::KycFormRefused { .. } => rejected(Unprocessable, "kyc-form-refused"),
            Self::KycNotSubmitted => rejected(Conflict, "kyc-not-submitted"),
            Self::Document(DocumentRefusal::NoBack(_)) => {
                rejected(Unprocessable, "document-has-no-back").at("side")
            }
            Self::Document(_) => rejected(Unprocessable, "document-not-taken").at("content"),
            Self::DocumentRefused { .. } => rejected(Unprocessable, "document-refused"),
            Self::TooManyDocuments => rejected(Conflict, "too-many-documents"),
            Self::UnreadableAccount => Class::fatal("internal"),
            Self::PhoneCodeNotSent => rejected(Unprocessable, "phone-code-not-sent").at("phone_number"),
            Self::PhoneCodeTooSoon { .. } => rejected(Conflict, "phone-code-too-soon").at("phone_number"),
            Self::PhoneCodeRefused(refused) => phone_code(refused).at("code"),
            Self::PhoneNotReachable => rejected(Unprocessable, "phone-not-reachable").at("phone_number"),
            Self::TradingAccountNotFound => {
                rejected(NotFound, "trading-account-not-found").at("trading_account_id")
            }
            Self::BankAccountNotFound => rejected(NotFound, "bank-account-not-found").at("bank_account_id"),
            Self::NoTradingAccount => rejected(NotFound, "no-trading-account"),
            Self::AccountNotOpen { .. } => {
                rejected(Conflict, "trading-account-not-open").at("trading_account_id")
            }
            Self::Amount(refusal) => amount(refusal).at("amount_cents"),
            Self::DepositsSuspended { .. } => rejected(Conflict, "deposits-suspended"),
            Self::BankNeedsSignIn => rejected(Conflict, "bank-account-needs-reauth").at("bank_account_id"),
            Self::BankCurrency { .. } => {
                rejected(Unprocessable, "bank-account-currency-not-supported").at("bank_account_id")
            }
            Self::BadPublicToken => rejected(Unprocessable, "public-token-invalid").at("public_token"),
            Self::LinkAgain => rejected(Conflict, "link-again"),
            Self::PlaidAccountNotFound => rejected(NotFound, "bank-account-not-found").at("account_id"),
            Self::BankAccountLinkedAlready => rejected(Conflict, "bank-account-linked-already"),
            Self::BankLinkEnded => rejected(Conflict, "link-ended").at("bank_account_id"),
            Self::BankAskedTooOften { .. } => rejected(Conflict, "bank-request-limit-reached"),
            Self::TooManyLinks { .. } => rejected(Conflict, "bank-link-limit-reached"),
            Self::BankAccountInUse => rejected(Conflict, "bank-account-in-use").at("bank_account_id"),
            Self::InvalidSignature => {
                rejected(Rejection::Malformed, "invalid-signature").at("Plaid-Verification")
            }
            Self::UnreadableWebhook => rejected(Rejection::Malformed, "malformed-request").at("body"),
            Self::StatementNotFound => rejected(NotFound, "statement-not-found").at("statement_id"),
            Self::CollectionNotFound => rejected(NotFound, "collection-not-found").at("collection_id"),
            Self::UniqIdTaken => rejected(Conflict, "uniq-id-taken").at("uniq_id"),
            Self::CollectionVersionNotFound => {
                rejected(NotFound, "collection-version-not-found").at("version_id")
            }
            Self::CollectionVersionNotPending { .. } => {
                rejected(Conflict, "collection-version-not-pending").at("version_id")
            }
            Self::OrderAccountNotFound => rejected(NotFound, "trading-account-not-found").at("account_id"),
            Self::OrderAccountNotOpen { .. } => {
                rejected(Conflict, "trading-account-not-open").at("account_id")
            }
            Self::InvalidOrder { field, .. } => rejected(Unprocessable, "invalid-order").at(field),
            Self::InvalidWeights { field, .. } => rejected(Unprocessable, "invalid-weights").at(field),
            Self::NotTradable { field, .. } => rejected(Unprocessable, "symbol-not-tradable").at(field),
            Self::Order { field, refused } => order(refused).at(field),
            Self::BuyingSuspended { .. } => rejected(Conflict, "buying-suspended"),
            Self::NoPortfolio => rejected(Conflict, "no-portfolio"),
            Self::AccountBusy => Class::transient("account-busy"),
            Self::Uncountable(_) => Class::fatal("internal"),
            Self::Provider(error) => error.class(),
            Self::InvalidPortfolio(_) => Class::transient("invalid-portfolio"),
            Self::InvalidBalance(_) => Class::transient("invalid-balance"),
            Self::BalanceMoved => Class::transient("balance-moved"),
            Self::BusinessDateAhead { .. } => {
                rejected(Unprocessable, "business-date-ahead").at("scheduled_time")
            }
            Self::Event { .. } => Class::fatal("unreadable-event"),
            Self::Weights(_) | Self::Money(_) => Class::fatal("internal"),
            Self::Platform(error) => error.class(),
        }
    }
}

fn amount(refusal: &AmountRefusal) -> Class<'static> {
    match refusal {
        AmountRefusal::NotPositive => Class::rejected(Rejection::Unprocessable, "amount-not-positive"),
        AmountRefusal::AboveLimit { .. } => Class::rejected(Rejection::Unprocessable, "amount-above-limit"),
        AmountRefusal::NotEnough { .. } => Class::rejected(Rejection::Conflict, "insufficient-funds"),
        AmountRefusal::Money(_) => Class::fatal("internal"),
    }
}

fn order(refused: &RefusedOrder) -> Class<'static> {
    match refused {
        RefusedOrder::NotEnoughCash { .. } | RefusedOrder::NotEnoughHeld { .. } => {
            Class::rejected(Rejection::Conflict, "insufficient-funds")
        }
        RefusedOrder::TooSmall { .. } => Class::rejected(Rejection::Conflict, "order-too-small"),
        RefusedOrder::OutOfRange(_) => Class::rejected(Rejection::Unprocessable, "invalid-order"),
    }
}
