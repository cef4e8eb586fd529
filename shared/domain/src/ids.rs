//! One type for each kind of id, so that one can't be taken for another. The ids of all areas are declared
//! here.
//!
//! Our own ids are positive numbers and numbers in JSON. Ids of outside systems are texts of at most
//! [`OUTSIDE_ID_MAX_BYTES`] visible ASCII characters, or [`SHORT_ID_MAX_BYTES`] where the outside system has less; one may
//! hold `/` or `?`, so whoever puts it in a URL encodes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::stored::stored_as;

/// The longest id of an outside system.
pub const OUTSIDE_ID_MAX_BYTES: usize = 128;
/// The longest id of the auction's systems.
pub const SHORT_ID_MAX_BYTES: usize = 64;

/// Why something isn't an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// Not a whole number above zero.
    #[error("an id must be a whole number above zero")]
    NotPositive,
    /// Empty, too long, or with a character other than visible ASCII.
    #[error("an id must be 1 to 128 visible ASCII characters")]
    NotVisibleAscii,
    /// The same for an id of the auction's systems.
    #[error("an id must be 1 to 64 visible ASCII characters")]
    NotShortVisibleAscii,
    /// Not a UUID.
    #[error("an id must be a UUID")]
    NotUuid,
}

/// Makes an id of our own: a positive 64-bit number.
macro_rules! typed_id {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The id of a number, if that is above zero.
            pub const fn new(id: i64) -> Option<$name> {
                if id > 0 { Some($name(id)) } else { None }
            }

            /// The number.
            pub const fn get(&self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads digits without a sign and without leading zeros.
            fn from_str(text: &str) -> Result<$name, InvalidId> {
                let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
                let id = if canonical { text.parse().ok() } else { None };
                id.and_then($name::new).ok_or(InvalidId::NotPositive)
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidId;

            fn try_from(id: i64) -> Result<$name, InvalidId> {
                $name::new(id).ok_or(InvalidId::NotPositive)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        stored_as!($name, i64, |id: &$name| id.0, $name::try_from);
    };
}

/// Makes an id that another system gave: a text of visible ASCII. A `short` one has fewer characters.
macro_rules! outside_id {
    ($(#[$documentation:meta])* $name:ident) => {
        outside_id! { @checked check_outside_id, "1 to 128", $(#[$documentation])* $name }
    };
    ($(#[$documentation:meta])* short $name:ident) => {
        outside_id! { @checked check_short_id, "1 to 64", $(#[$documentation])* $name }
    };
    (@checked $check:ident, $length:literal, $(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("The id of a text, if that is ", $length, " visible ASCII characters.")]
            pub fn parse(id: &str) -> Result<$name, InvalidId> {
                $check(id)?;
                Ok($name(id.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(id: &str) -> Result<$name, InvalidId> {
                $name::parse(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(id: String) -> Result<$name, InvalidId> {
                $check(&id)?;
                Ok($name(id))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        stored_as!($name, String, |id: &$name| id.0.clone(), $name::try_from);
    };
}

/// Makes an id that crosses systems: a UUID. Whoever makes the thing makes the UUID (version 7, so that ids sort by
/// time).
macro_rules! uuid_id {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id of a UUID.
            pub const fn from_uuid(id: Uuid) -> $name {
                $name(id)
            }

            /// The UUID.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                text.parse().map($name).map_err(|_| InvalidId::NotUuid)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> $name {
                $name(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }

        stored_as!($name, Uuid, |id: &$name| id.0, |id: Uuid| {
            Ok::<$name, std::convert::Infallible>($name(id))
        });
    };
}

typed_id! {
    /// A user of the app.
    ProfileId
}
typed_id! {
    /// A trader of funded accounts.
    UserId
}
typed_id! {
    /// A client with wallets.
    ClientId
}
typed_id! {
    /// An account that a profile trades with.
    TradingAccountId
}
typed_id! {
    /// A bank account that a profile has linked.
    BankAccountId
}
typed_id! {
    /// A deposit or a withdrawal.
    MoneyFlowId
}
typed_id! {
    /// A thematic collection of instruments.
    CollectionId
}
typed_id! {
    /// One change of what a profile holds of a collection.
    CollectionVersionId
}
typed_id! {
    /// A run of the broker's autopilot for one account.
    AutopilotRunId
}
typed_id! {
    /// A document of the broker's about an account: a statement, a trade confirmation or a tax form.
    StatementId
}
typed_id! {
    /// A connection to a bank that a profile has made through Plaid.
    PlaidItemId
}

typed_id! {
    /// A code that was sent to a phone.
    PhoneVerificationId
}
typed_id! {
    /// A report of the identity check's state.
    KycStatusId
}
typed_id! {
    /// A document that a profile has uploaded for the identity check.
    KycDocumentId
}

typed_id! {
    /// A wallet of a client, in one currency.
    WalletId
}
typed_id! {
    /// An exchange rate that is held because it changes too much at once.
    HeldRateId
}
typed_id! {
    /// One client's row of a payment.
    PaymentId
}

typed_id! {
    /// A review, which waits for a person's decision.
    ReviewId
}

typed_id! {
    /// An invoice for a period's commission.
    InvoiceId
}
typed_id! {
    /// A visit to Stripe's payment page, as we wrote it down.
    CheckoutId
}
typed_id! {
    /// One attempt to charge an invoice.
    ChargeId
}
typed_id! {
    /// A payment method that a profile has saved.
    PaymentMethodId
}

typed_id! {
    /// A trader's account with our money.
    FundedAccountId
}

typed_id! {
    /// A withdrawal of a trader's share of the profit of a funded account.
    WithdrawalId
}

outside_id! {
    /// A kind of funded account that is offered.
    TierId
}
outside_id! {
    /// A trader's examination, which the assessment system names.
    AssessmentId
}

typed_id! {
    /// A car dealer.
    DealerId
}
typed_id! {
    /// A bill put on a dealer's account.
    BillId
}

outside_id! {
    /// A dealer as the auction's systems know it.
    short CmeClientId
}
outside_id! {
    /// A deal of the auction, in which a dealer bought a car.
    short DealId
}
outside_id! {
    /// A client in Billing: one account of a dealer.
    BillingClientId
}
outside_id! {
    /// The payer of a client in Billing.
    BillingPayerId
}
outside_id! {
    /// The contract of a client in Billing.
    BillingContractId
}
outside_id! {
    /// A bill in Billing.
    BillingBillId
}
outside_id! {
    /// A payment in Billing, or the reversal of one.
    BillingPaymentId
}
outside_id! {
    /// A user at DriveWealth.
    DriveWealthUserId
}
outside_id! {
    /// An account at DriveWealth, as its API names it.
    DriveWealthAccountId
}
outside_id! {
    /// An account at DriveWealth, as a person reads it and as deposits name it.
    DriveWealthAccountNo
}
outside_id! {
    /// A bank account at DriveWealth.
    DriveWealthBankAccountId
}
outside_id! {
    /// A deposit or redemption at DriveWealth.
    DriveWealthPaymentId
}
outside_id! {
    /// A portfolio at DriveWealth.
    DriveWealthPortfolioId
}
outside_id! {
    /// An instrument at DriveWealth: what is traded under a symbol.
    DriveWealthInstrumentId
}
outside_id! {
    /// An autopilot run at DriveWealth.
    DriveWealthRunId
}
outside_id! {
    /// A fund of a portfolio at DriveWealth.
    DriveWealthFundId
}
outside_id! {
    /// A bank account at Plaid.
    PlaidAccountId
}
outside_id! {
    /// A customer at Stripe (`cus_`).
    StripeCustomerId
}
outside_id! {
    /// A payment method at Stripe (`pm_`, or `card_` and `src_` from earlier days).
    StripePaymentMethodId
}
outside_id! {
    /// A payment at Stripe, with all attempts to make it (`pi_`).
    StripePaymentIntentId
}
outside_id! {
    /// A visit to Stripe's own payment page (`cs_`).
    StripeCheckoutSessionId
}
outside_id! {
    /// The saving of a payment method at Stripe (`seti_`).
    StripeSetupIntentId
}
outside_id! {
    /// A charge at Stripe: one attempt of a payment (`ch_` or `py_`).
    StripeChargeId
}
outside_id! {
    /// A refund at Stripe (`re_` or `pyr_`).
    StripeRefundId
}
outside_id! {
    /// A customer's dispute of a charge at Stripe (`dp_` or `du_`).
    StripeDisputeId
}
outside_id! {
    /// A payout of a balance at Stripe, ours or a connected account's, to a bank (`po_`).
    StripePayoutId
}
outside_id! {
    /// An account at Stripe that is connected to ours: a person's whom we pay (`acct_`).
    StripeAccountId
}
outside_id! {
    /// Money that was moved from our balance at Stripe to a connected account's (`tr_`).
    StripeTransferId
}
outside_id! {
    /// Money of a transfer that was taken back (`trr_`).
    StripeTransferReversalId
}
outside_id! {
    /// A person's account at a bank, as Stripe knows it (`ba_`).
    StripeBankAccountId
}
outside_id! {
    /// An event that Stripe tells; a repeated one has the same (`evt_`).
    StripeEventId
}
outside_id! {
    /// What joins everything that one request set off; taken from the caller or made by the entry point.
    CorrelationId
}

uuid_id! {
    /// An event that areas tell each other; consumers recognise a repeated one by it.
    EventId
}
uuid_id! {
    /// A transaction between wallets: the same in the payments of both sides.
    TransactionId
}

fn check_outside_id(id: &str) -> Result<(), InvalidId> {
    if is_visible_ascii(id, OUTSIDE_ID_MAX_BYTES) {
        return Ok(());
    }
    Err(InvalidId::NotVisibleAscii)
}

fn check_short_id(id: &str) -> Result<(), InvalidId> {
    if is_visible_ascii(id, SHORT_ID_MAX_BYTES) {
        return Ok(());
    }
    Err(InvalidId::NotShortVisibleAscii)
}

fn is_visible_ascii(id: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_ids_are_above_zero() {
        assert_eq!(ProfileId::new(7).map(|id| id.get()), Some(7));
        for id in [0, -1, i64::MIN] {
            assert_eq!(ProfileId::new(id), None);
            assert_eq!(ProfileId::try_from(id), Err(InvalidId::NotPositive));
        }
        assert_eq!(
            "9223372036854775807".parse::<ProfileId>().unwrap().get(),
            i64::MAX
        );
        for text in ["", "0", "-1", "+1", "01", " 1", "1.0", "9223372036854775808", "x"] {
            assert_eq!(text.parse::<ProfileId>(), Err(InvalidId::NotPositive), "{text}");
        }
        assert_eq!(ProfileId::new(7).unwrap().to_string(), "7");
    }

    #[test]
    fn own_ids_are_numbers_in_json() {
        assert_eq!(serde_json::to_string(&MoneyFlowId::new(7).unwrap()).unwrap(), "7");
        assert_eq!(serde_json::from_str::<MoneyFlowId>("7").unwrap().get(), 7);
        for json in ["0", "-7", "7.0", "7.5", "\"7\"", "null", "9223372036854775808"] {
            assert!(serde_json::from_str::<MoneyFlowId>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn outside_ids_are_short_visible_ascii() {
        let longest = "x".repeat(OUTSIDE_ID_MAX_BYTES);
        for text in ["a", "GYEK000001-1584593290174-DVBOG", "~!", &longest] {
            let id = DriveWealthPaymentId::parse(text).unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<DriveWealthPaymentId>(&json).unwrap(), id);
        }
        let too_long = "x".repeat(OUTSIDE_ID_MAX_BYTES + 1);
        for text in ["", " ", "a b", "a\n", "é", "\u{7f}", "\0", &too_long] {
            assert_eq!(
                CorrelationId::parse(text),
                Err(InvalidId::NotVisibleAscii),
                "{text:?}"
            );
            assert_eq!(
                CorrelationId::try_from(text.to_owned()),
                Err(InvalidId::NotVisibleAscii)
            );
        }
        assert!(serde_json::from_str::<PlaidAccountId>("7").is_err());
    }

    #[test]
    fn ids_of_the_auction_are_shorter() {
        let longest = "x".repeat(SHORT_ID_MAX_BYTES);
        assert_eq!(CmeClientId::parse(&longest).map(|id| id.as_str().len()), Ok(64));
        for text in [format!("{longest}x"), String::new(), "\u{421}ME-1".to_owned()] {
            assert_eq!(
                CmeClientId::parse(&text),
                Err(InvalidId::NotShortVisibleAscii),
                "{text}"
            );
            assert_eq!(DealId::try_from(text), Err(InvalidId::NotShortVisibleAscii));
        }
    }

    #[test]
    fn event_ids_are_uuids() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        let id: EventId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(EventId::from_uuid(id.as_uuid()), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!("7".parse::<EventId>(), Err(InvalidId::NotUuid));
    }
}
