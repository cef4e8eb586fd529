//! What Moneta reads of connected accounts.

use chrono::{DateTime, Utc};
use domain::funded::payee::Payability;
use domain::ids::{StripeAccountId, StripeBankAccountId, UserId};
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
