//! Bills as services ask for them.

use chrono::{DateTime, Utc};
use domain::dealers::bill::{self, BillOperation, BillStatus};
use domain::dealers::{calendar, kopecks};
use domain::ids::{BillId, DealId};
use domain::money::Money;
use platform::config::{Environment, FromEnvironment};
use platform::http::Problem;
use platform::pagination::PageRequest;
use rust_decimal::Decimal;
use serde::Deserialize;
use utoipa::ToSchema;

use super::store::{Bill, Filter};
use crate::Error;

platform::list! {
    /// The bills of a dealer, oldest first.
    pub(crate) BillList: BillId = "bills"
}

/// The most that one deal may be about: a billion rubles.
pub(crate) const MAX_AMOUNT: Money = kopecks(100_000_000_000);
/// Most characters of the reason for which a bill is taken back.
const MAX_REASON: usize = 500;

/// A bill to put on an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBillRequest {
    /// `GET_REWARD`: our commission, put on COMMISSION. `GET_SETTLEMENT`: the price of a car bought for the dealer, put on
    /// SETTLEMENT.
    #[schema(value_type = String, pattern = "^(GET_REWARD|GET_SETTLEMENT)$", examples("GET_REWARD"))]
    pub operation: BillOperation,
    /// The deal: 1 to 64 visible ASCII characters. There is one bill for each operation and deal.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^[\x21-\x7E]+$", examples("deal-1001"))]
    pub deal_id: DealId,
    /// With `GET_REWARD`: the price of the deal in kopecks, of which the commission is a share.
    #[schema(minimum = 1, maximum = 100000000000i64)]
    pub deal_price: Option<i64>,
    /// With `GET_SETTLEMENT`: what the dealer owes, in kopecks.
    #[schema(minimum = 1, maximum = 100000000000i64)]
    pub amount: Option<i64>,
}

/// Why a bill is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidBillRequest {
    /// The reason, which Billing is told: 1 to 500 characters.
    #[schema(
        min_length = 1,
        max_length = 500,
        examples("the price of the deal has changed")
    )]
    pub reason: String,
}

/// Which bills.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillsQuery {
    /// `open`, the default, is what the dealer has to pay: `created`, `issued` and `partially_paid` together.
    #[schema(pattern = "^(open|created|issued|partially_paid|paid|voided|all)$")]
    pub status: Option<String>,
    /// `next_cursor` of the page before; nothing for the first page.
    #[schema(max_length = 512)]
    pub cursor: Option<String>,
    /// Entries of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
}

/// What bills are made by: the commission rate, and in how many days each kind is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    rate: Decimal,
    reward_due_days: u32,
    settlement_due_days: u32,
}

impl FromEnvironment for Terms {
    /// Reads `DEALER_COMMISSION_RATE`, `REWARD_DUE_DAYS` and `SETTLEMENT_DUE_DAYS`.
    fn read(environment: &mut Environment) -> Option<Self> {
        let rate = environment.required::<Decimal>("DEALER_COMMISSION_RATE");
        let reward_due_days = environment.required("REWARD_DUE_DAYS");
        let settlement_due_days = environment.required("SETTLEMENT_DUE_DAYS");
        let rate = rate?;
        if rate <= Decimal::ZERO || rate >= Decimal::ONE {
            environment.problem("DEALER_COMMISSION_RATE has to be above 0 and below 1".to_owned());
            return None;
        }
        Some(Self {
            rate,
            reward_due_days: reward_due_days?,
            settlement_due_days: settlement_due_days?,
        })
    }
}

/// What a bill is to be about, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge {
    /// What the caller has given: the deal's price, or the amount.
    pub(crate) given: Money,
    /// What is billed.
    pub(crate) common: Money,
    /// With a commission, the rate.
    pub(crate) rate: Option<Decimal>,
    /// From when on it is overdue.
    pub(crate) due_at: DateTime<Utc>,
}

impl Charge {
    /// Whether a bill that is there is about the same.
    pub(crate) fn is_of(&self, bill: &Bill) -> bool {
        // The rate may have changed since: what the caller gives decides.
        bill.deal_price.unwrap_or(bill.common_sum) == self.given.minor()
    }
}

impl CreateBillRequest {
    /// What the bill is about, by the terms of now.
    pub(crate) fn charge(&self, terms: &Terms, now: DateTime<Utc>) -> Result<Charge, Error> {
        let (wanted, other, field, other_field) = match self.operation {
            BillOperation::GetReward => (self.deal_price, self.amount, "deal_price", "amount"),
            BillOperation::GetSettlement => (self.amount, self.deal_price, "amount", "deal_price"),
        };
        if other.is_some() {
            return Err(Error::OneAmountNeeded { field: other_field });
        }
        let given = kopecks(wanted.ok_or(Error::OneAmountNeeded { field })?);
        check_amount(given, field)?;
        let (common, rate, days) = match self.operation {
            BillOperation::GetReward => {
                let reward = bill::reward(given, terms.rate)?;
                (reward, Some(terms.rate), terms.reward_due_days)
            }
            BillOperation::GetSettlement => (given, None, terms.settlement_due_days),
        };
        if !common.is_positive() {
            return Err(Error::RewardIsNothing);
        }
        Ok(Charge {
            given,
            common,
            rate,
            due_at: calendar::due_at(now, days),
        })
    }
}

/// Passes an amount above zero and up to the limit.
fn check_amount(amount: Money, field: &'static str) -> Result<(), Error> {
    if !amount.is_positive() {
        return Err(Error::AmountNotPositive { field });
    }
    if amount.minor() > MAX_AMOUNT.minor() {
        return Err(Error::AmountTooLarge {
            field,
            limit: MAX_AMOUNT,
        });
    }
    Ok(())
}

impl VoidBillRequest {
    /// The reason, if it is one.
    pub(crate) fn check(&self) -> Result<&str, Error> {
        let reason = self.reason.trim();
        let length = reason.chars().count();
        if (1..=MAX_REASON).contains(&length) && !reason.chars().any(char::is_control) {
            return Ok(reason);
        }
        Err(Error::Invalid {
            field: "reason",
            message: format!("has to be 1 to {MAX_REASON} characters in one line"),
        })
    }
}

impl BillsQuery {
    /// The filter and the page.
    ///
    /// # Errors
    /// 400 naming `status`, `cursor` or `limit`.
    pub fn read(&self) -> Result<BillsPage, Problem> {
        let open = Filter {
            status: None,
            is_open: true,
        };
        let filter = match self.status.as_deref() {
            None | Some("open") => open,
            Some("all") => Filter {
                is_open: false,
                ..open
            },
            Some(name) => Filter {
                status: Some(BillStatus::parse(name).ok_or_else(|| {
                    Problem::malformed(
                        "status",
                        "has to be open, created, issued, partially_paid, paid, voided or all",
                    )
                })?),
                is_open: false,
            },
        };
        Ok(BillsPage {
            filter,
            page: PageRequest::read(self.cursor.as_deref(), self.limit)?,
        })
    }
}

/// The page that a caller requests, of the bills that he wants to see.
#[derive(Debug, Clone, Copy)]
pub struct BillsPage {
    pub(crate) filter: Filter,
    pub(crate) page: PageRequest<BillList>,
}
