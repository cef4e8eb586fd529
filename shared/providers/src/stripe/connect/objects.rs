//! What Moneta reads of connected accounts.

use chrono::{DateTime, Utc};
use domain::funded::payee::Payability;
use domain::ids::{
    StripeAccountId, StripeBankAccountId, StripePayoutId, StripeTransferId, UserId, WithdrawalId,
};
use domain::money::Money;
use secrecy::SecretString;

/// A person whose account is to be made.
#[derive(Debug, Clone)]
pub struct NewPayee {
    /// Who.
    pub user_id: UserId,
    /// Two capital letters. It can't be changed afterwards.
    pub country: String,
}

/// A person's account as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// Its id.
    pub id: StripeAccountId,
    /// Whose it is, by the metadata that it was made with.
    pub user_id: Option<UserId>,
    /// Whether it can be paid.
    pub payability: Payability,
    /// What Stripe wants to know, as Stripe names it.
    pub currently_due: Vec<String>,
    /// Where it is paid.
    pub bank: Option<PayeeBank>,
}

/// A person's account at a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayeeBank {
    /// Its id.
    pub id: StripeBankAccountId,
    /// The last digits of its number.
    pub last4: String,
}

/// Where Stripe's page of onboarding leads back.
#[derive(Debug, Clone, Copy)]
pub struct OnboardingPages<'a> {
    /// Afterwards, whether something is still missing or not.
    pub return_url: &'a str,
    /// When the link is used up or too old: a page that asks for another.
    pub refresh_url: &'a str,
}

/// The way to Stripe's page of onboarding. Whoever has it can say where the person is paid.
#[derive(Debug, Clone)]
pub struct OnboardingLink {
    /// Its address; it can be opened once.
    pub url: SecretString,
    /// When it is no good any more.
    pub expires_at: DateTime<Utc>,
}

/// Money to be moved to a person's account.
#[derive(Debug, Clone)]
pub struct NewTransfer {
    /// What it is for.
    pub withdrawal: WithdrawalId,
    /// Which of its attempts this is.
    pub attempt: i64,
    /// How much.
    pub amount: Money,
    /// The account.
    pub destination: StripeAccountId,
}

/// Money that was moved to a person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: StripeTransferId,
    /// How much.
    pub amount: Money,
    /// How much of it was taken back.
    pub amount_reversed: Money,
    /// Whether that is all of it.
    pub is_reversed: bool,
    /// The account.
    pub destination: Option<StripeAccountId>,
    /// What it is for, by its metadata.
    pub withdrawal: Option<WithdrawalId>,
    /// Which attempt it was.
    pub attempt: Option<i64>,
}

/// Money to be paid to a person's bank.
#[derive(Debug, Clone)]
pub struct NewPayout {
    /// What it is for.
    pub withdrawal: WithdrawalId,
    /// Which of its attempts this is.
    pub attempt: i64,
    /// How much.
    pub amount: Money,
    /// The bank account.
    pub destination: StripeBankAccountId,
}

/// Money on its way to a person's bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Its id.
    pub id: StripePayoutId,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: PayoutState,
    /// Why it came back.
    pub failure_code: Option<String>,
    /// What it is for, by its metadata.
    pub withdrawal: Option<WithdrawalId>,
    /// Which attempt it was.
    pub attempt: Option<i64>,
    /// When the bank is expected to have it.
    pub arrives_at: DateTime<Utc>,
}

/// How far a payout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutState {
    /// It is on its way.
    OnItsWay,
    /// The bank has it, as far as Stripe knows: it may still come back, for days.
    Paid,
    /// It came back; the money is in the person's account.
    Failed,
    /// It was called back; the money is in the person's account.
    Canceled,
}

impl PayoutState {
    /// Whether the money is in the person's account again.
    pub const fn has_come_back(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled)
    }
}
