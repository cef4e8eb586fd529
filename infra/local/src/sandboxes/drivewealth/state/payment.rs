//! Deposits and redemptions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{dollars, time};

/// Which way a payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// From the bank account into the trading account.
    Deposit,
    /// From the trading account to the bank account.
    Redemption,
}

impl PaymentKind {
    /// The name in events and in the money object.
    pub(crate) fn category(self) -> &'static str {
        match self {
            Self::Deposit => "DEPOSIT",
            Self::Redemption => "REDEMPTION",
        }
    }

    /// The first part of its events' types.
    pub(crate) fn topic(self) -> &'static str {
        match self {
            Self::Deposit => "deposits",
            Self::Redemption => "redemptions",
        }
    }
}

/// A deposit or a redemption.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    /// DriveWealth's id, `<accountNo>-<epoch ms>-<5 characters>`.
    pub id: String,
    /// Which way the money goes.
    pub kind: PaymentKind,
    /// The amount in cents, as it was asked for.
    pub amount_cents: i64,
    /// The account's id.
    pub account_id: String,
    /// The account's number.
    pub account_no: String,
    /// The user's id.
    pub user_id: String,
    /// The bank account's id; none for a payment inside DriveWealth.
    pub bank_account_id: Option<String>,
    /// `ACH`, or `CASH_TRANSFER` for fees.
    pub payment_type: String,
    /// The status' number.
    pub status: i32,
    /// The comment on the status.
    pub comment: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When the status last changed.
    pub updated: DateTime<Utc>,
    /// Whether the account's cash has moved for it.
    pub settled: bool,
    /// The statuses it has had, with the present one.
    pub path: Vec<i32>,
    /// Counts the payments from 1.
    pub number: u64,
    /// All envelopes made for it, oldest first.
    #[serde(skip)]
    pub events: Vec<Value>,
}

/// How a bank account declines a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Decline {
    /// The deposit is accepted, and becomes Rejected (15) with its next step.
    Rejected {
        /// The comment on the status.
        reason: String,
    },
    /// The deposit is refused at once for the daily limit of the bank transfers.
    DailyLimit,
    /// The bank's token has died: whatever goes through the account is refused (K110).
    TokenInvalid,
}

impl Payment {
    /// The money object of REST.
    pub(crate) fn json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "paymentID": self.id,
            "type": self.payment_type,
            "category": self.kind.category(),
            "amount": dollars(self.amount_cents),
            "currency": { "name": "USD", "symbol": "$" },
            "status": {
                "id": self.status,
                "message": status_message(self.status),
                "comment": self.comment,
                "updated": time(self.updated),
            },
            "accountDetails": {
                "accountID": self.account_id,
                "accountNo": self.account_no,
                "userID": self.user_id,
            },
            "bankAccountID": self.bank_account_id,
            "wlpFinTranTypeID": Value::Null,
            "created": time(self.created),
            "timestamp": time(self.created),
        });
        if let (PaymentKind::Redemption, Some(object)) = (self.kind, object.as_object_mut()) {
            object.insert("fees".to_owned(), json!([]));
            object.insert("finTranReference".to_owned(), json!(self.transaction_reference()));
        }
        object
    }

    /// The flat object of events, in which a redemption's amount is negative.
    pub(crate) fn event_payload(&self) -> Value {
        let amount_cents = match self.kind {
            PaymentKind::Deposit => self.amount_cents,
            PaymentKind::Redemption => -self.amount_cents.abs(),
        };
        json!({
            "paymentID": self.id,
            "category": self.kind.category(),
            "type": self.payment_type,
            "amount": dollars(amount_cents),
            "currency": "USD",
            "status": self.status,
            "statusMessage": status_message(self.status),
            "statusComment": self.comment,
            "userID": self.user_id,
            "accountID": self.account_id,
            "accountNo": self.account_no,
            "finTranRef": self.transaction_reference(),
        })
    }

    /// The transaction that moved the cash; its id follows from the payment's.
    fn transaction_reference(&self) -> Option<String> {
        self.settled
            .then(|| format!("KE.{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, self.id.as_bytes())))
    }
}

/// DriveWealth's name of a status, by its number.
pub(crate) fn status_message(status: i32) -> &'static str {
    match status {
        0 => "Started",
        1 => "Pending",
        2 => "Successful",
        3 => "Failed",
        4 => "Other",
        5 => "Returned",
        11 => "RIA_Pending",
        12 => "RIA_Approved",
        13 => "RIA_Rejected",
        14 => "Approved",
        15 => "Rejected",
        16 => "On Hold",
        _ => "Unknown",
    }
}
