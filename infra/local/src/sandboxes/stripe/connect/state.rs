//! What is kept of Connect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sandboxes::stripe::params::Metadata;

/// What we have at Stripe at first, in cents of USD.
const FIRST_AVAILABLE: i64 = 100_000_000;

/// Connected accounts and money on its way to them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::sandboxes::stripe) struct Connect {
    pub(in crate::sandboxes::stripe) accounts: BTreeMap<String, ConnectedAccount>,
    pub(super) links: BTreeMap<String, OnboardingLink>,
    pub(super) transfers: BTreeMap<String, Transfer>,
    pub(super) reversals: BTreeMap<String, TransferReversal>,
    pub(super) payouts: BTreeMap<String, Payout>,
    /// Our own balance, in cents of USD.
    pub(super) available: i64,
    /// Whether payouts wait until they are told to go on.
    pub(super) hold_payouts: bool,
    /// After how many seconds a transfer can be paid out.
    pub(super) transfers_arrive_after_s: i64,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            links: BTreeMap::new(),
            transfers: BTreeMap::new(),
            reversals: BTreeMap::new(),
            payouts: BTreeMap::new(),
            available: FIRST_AVAILABLE,
            hold_payouts: false,
            transfers_arrive_after_s: 0,
        }
    }
}

/// An account that is connected to ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedAccount {
    /// Its id, `acct_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The country, two capital letters.
    pub country: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
    /// Who pays out: `manual` is us, anything else Stripe.
    pub payout_interval: String,
    /// Whether the person has sent the page of onboarding.
    pub details_submitted: bool,
    /// What Stripe wants to know.
    pub currently_due: Vec<String>,
    /// Why it can't be paid.
    pub disabled_reason: Option<String>,
    /// Where it is paid.
    pub bank: Option<BankAccount>,
    /// Whether it is connected no more.
    pub is_revoked: bool,
    /// What came by transfers: when it can be paid out, in seconds since 1970, and how much.
    pub arrivals: Vec<(i64, i64)>,
    /// What was paid out or reversed.
    pub taken: i64,
}

impl ConnectedAccount {
    /// Whether it can be paid.
    pub fn is_enabled(&self) -> bool {
        self.details_submitted && self.disabled_reason.is_none()
    }

    /// What can be paid out at a time.
    pub fn available(&self, now: i64) -> i64 {
        let arrived = self.arrivals.iter().filter(|(at, _)| *at <= now);
        arrived
            .map(|(_, amount)| amount)
            .sum::<i64>()
            .saturating_sub(self.taken)
    }

    /// What can't be paid out yet.
    pub fn pending(&self, now: i64) -> i64 {
        let coming = self.arrivals.iter().filter(|(at, _)| *at > now);
        coming.map(|(_, amount)| amount).sum()
    }
}

/// A person's account at a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccount {
    /// Its id, `ba_…`.
    pub id: String,
    /// The number of Stripe's test account.
    pub number: String,
    /// Whether a payout came back from it.
    pub is_errored: bool,
}

/// A link to the page of onboarding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardingLink {
    /// The account.
    pub account: String,
    /// When it is no good any more, in seconds since 1970.
    pub expires_at: i64,
    /// Whether it was opened.
    pub is_used: bool,
    /// Where the person goes afterwards.
    pub return_url: String,
    /// Where the person goes who comes too late, or again.
    pub refresh_url: String,
}

/// Money from our balance to that of a connected account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its id, `tr_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in cents of USD.
    pub amount: i64,
    /// How much of it was taken back.
    pub amount_reversed: i64,
    /// The account.
    pub destination: String,
    /// What it belongs to.
    pub transfer_group: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
}

/// Money of a transfer that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReversal {
    /// Its id, `trr_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in cents of USD.
    pub amount: i64,
    /// The transfer.
    pub transfer: String,
    /// The metadata.
    pub metadata: Metadata,
}

/// How far a payout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutStatus {
    /// It waits to be handed to the bank.
    Pending,
    /// The bank has it.
    InTransit,
    /// It arrived, as far as Stripe knows.
    Paid,
    /// It came back.
    Failed,
    /// It was called back.
    Canceled,
}

/// Money from a balance to a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its id, `po_…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The amount in cents of USD.
    pub amount: i64,
    /// The connected account that it is of; our own without one.
    pub account: Option<String>,
    /// The bank account.
    pub destination: Option<String>,
    /// How far it is.
    pub status: PayoutStatus,
    /// Why it came back.
    pub failure_code: Option<String>,
    /// The metadata.
    pub metadata: Metadata,
}

impl PayoutStatus {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InTransit => "in_transit",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}
