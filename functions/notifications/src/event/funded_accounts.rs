//! What funded accounts publish.

use serde::Deserialize;

use super::content::{Describe, Field, Parts};
use super::value::{Amount, Choice, Code};

/// `withdrawal.approved`, `withdrawal.completed`, `withdrawal.rejected`, `withdrawal.returned`, `withdrawal.failed`.
#[derive(Deserialize)]
pub(super) struct Withdrawal {
    withdrawal_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    reason: Choice,
}

impl Describe for Withdrawal {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("withdrawal_id", self.withdrawal_id.0)],
            fields: vec![
                ("amount", self.amount.field()),
                ("reason", Field::Text(self.reason.0)),
            ],
        }
    }
}

/// `funded-account.warned`, `funded-account.closed`.
#[derive(Deserialize)]
pub(super) struct FundedAccount {
    funded_account_id: Code,
    #[serde(default)]
    rule: Choice,
}

impl Describe for FundedAccount {
    fn describe(self) -> Parts {
        Parts {
            data: vec![
                ("funded_account_id", self.funded_account_id.0),
                ("rule", self.rule.0.clone()),
            ],
            fields: vec![("rule", Field::Text(self.rule.0))],
        }
    }
}
