//! What trading publishes.

use domain::trading::money_flow::Direction;
use serde::Deserialize;

use super::content::{Describe, Field, Parts};
use super::value::{Amount, Choice, Code, Name};

/// `money-flow.succeeded`, `money-flow.failed`.
#[derive(Deserialize)]
pub(super) struct MoneyFlow {
    money_flow_id: Code,
    direction: Direction,
    #[serde(flatten)]
    amount: Amount,
}

impl Describe for MoneyFlow {
    fn describe(self) -> Parts {
        let direction = self.direction.to_string();
        Parts {
            data: vec![
                ("money_flow_id", self.money_flow_id.0),
                ("direction", direction.clone()),
            ],
            fields: vec![
                ("direction", Field::Text(direction)),
                ("amount", self.amount.field()),
            ],
        }
    }
}

/// `kyc.status-changed`.
#[derive(Deserialize)]
pub(super) struct KycStatus {
    status: Code,
}

impl Describe for KycStatus {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("status", self.status.0.clone())],
            fields: vec![("status", Field::Text(self.status.0))],
        }
    }
}

/// `collection-version.completed`.
#[derive(Deserialize)]
pub(super) struct CollectionVersion {
    collection_version_id: Code,
}

impl Describe for CollectionVersion {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("collection_version_id", self.collection_version_id.0)],
            fields: Vec::new(),
        }
    }
}

/// `collection-version.failed`.
#[derive(Deserialize)]
pub(super) struct FailedCollectionVersion {
    collection_version_id: Code,
    #[serde(default)]
    reason: Choice,
}

impl Describe for FailedCollectionVersion {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("collection_version_id", self.collection_version_id.0)],
            fields: vec![("reason", Field::Text(self.reason.0))],
        }
    }
}

/// `bank-account.needs-reauth`.
#[derive(Deserialize)]
pub(super) struct BankAccount {
    bank_account_id: Code,
    #[serde(default)]
    name: Name,
}

impl Describe for BankAccount {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("bank_account_id", self.bank_account_id.0)],
            fields: vec![("name", Field::Text(self.name.0))],
        }
    }
}

/// `deposits.suspended`.
#[derive(Deserialize)]
pub(super) struct DepositsSuspended {
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    reason: Choice,
}

impl Describe for DepositsSuspended {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("reason", self.reason.0)],
            fields: vec![("amount", self.amount.field())],
        }
    }
}

/// `deposits.resumed`.
#[derive(Deserialize)]
pub(super) struct DepositsResumed {
    #[serde(default)]
    reason: Choice,
}

impl Describe for DepositsResumed {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("reason", self.reason.0)],
            fields: Vec::new(),
        }
    }
}
