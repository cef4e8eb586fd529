//! What commissions publishes.

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::market::MarketCalendar;
use domain::money::Money;
use serde::Deserialize;

use super::content::{Describe, Field, Parts};
use super::value::{Amount, Choice, Code, Link, Name};

#[derive(Deserialize)]
struct Period {
    period_start: NaiveDate,
    period_end: NaiveDate,
}

/// `commission.charged`.
#[derive(Deserialize)]
pub(super) struct Charged {
    invoice_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(flatten)]
    period: Period,
    #[serde(default)]
    payment_method: Name,
    charged_at: DateTime<Utc>,
}

impl Describe for Charged {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("invoice_id", self.invoice_id.0)],
            fields: vec![
                ("amount", self.amount.field()),
                ("period_start", Field::Day(self.period.period_start)),
                ("period_end", Field::Day(self.period.period_end)),
                ("payment_method", Field::Text(self.payment_method.0)),
                (
                    "charged_on",
                    Field::Day(MarketCalendar::business_date(self.charged_at)),
                ),
            ],
        }
    }
}

/// `commission.refunded`. The event's own amount is the invoice's.
#[derive(Deserialize)]
pub(super) struct Refunded {
    invoice_id: Code,
    refunded_cents: i64,
    currency: Currency,
    #[serde(flatten)]
    period: Period,
    #[serde(default)]
    payment_method: Name,
    refunded_at: DateTime<Utc>,
}

impl Describe for Refunded {
    fn describe(self) -> Parts {
        let amount = Money::new(self.refunded_cents, self.currency);
        Parts {
            data: vec![("invoice_id", self.invoice_id.0)],
            fields: vec![
                ("amount", Field::Amount(amount)),
                ("period_start", Field::Day(self.period.period_start)),
                ("period_end", Field::Day(self.period.period_end)),
                ("payment_method", Field::Text(self.payment_method.0)),
                (
                    "refunded_on",
                    Field::Day(MarketCalendar::business_date(self.refunded_at)),
                ),
            ],
        }
    }
}

/// `commission.charge-failed`.
#[derive(Deserialize)]
pub(super) struct ChargeFailed {
    invoice_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(flatten)]
    period: Period,
    #[serde(default)]
    payment_method: Name,
    #[serde(default)]
    reason: Choice,
    next_attempt_on: Option<NaiveDate>,
    #[serde(default)]
    action_url: Link,
}

impl Describe for ChargeFailed {
    fn describe(self) -> Parts {
        let next_attempt = self.next_attempt_on;
        Parts {
            data: vec![
                ("invoice_id", self.invoice_id.0),
                ("reason", self.reason.0.clone()),
                ("action_url", self.action_url.0.clone()),
            ],
            fields: vec![
                ("amount", self.amount.field()),
                ("period_start", Field::Day(self.period.period_start)),
                ("period_end", Field::Day(self.period.period_end)),
                ("payment_method", Field::Text(self.payment_method.0)),
                ("reason", Field::Text(self.reason.0)),
                (
                    "next_attempt_on",
                    next_attempt.map_or_else(|| Field::Text(String::new()), Field::Day),
                ),
                ("action_url", Field::Text(self.action_url.0)),
            ],
        }
    }
}

/// `commission.confirmation-required`.
#[derive(Deserialize)]
pub(super) struct ConfirmationRequired {
    invoice_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    payment_method: Name,
    confirm_until: DateTime<Utc>,
    #[serde(default)]
    action_url: Link,
}

impl Describe for ConfirmationRequired {
    fn describe(self) -> Parts {
        Parts {
            data: vec![
                ("invoice_id", self.invoice_id.0),
                ("action_url", self.action_url.0.clone()),
            ],
            fields: vec![
                ("amount", self.amount.field()),
                ("payment_method", Field::Text(self.payment_method.0)),
                ("confirm_until", Field::Time(self.confirm_until)),
                ("action_url", Field::Text(self.action_url.0)),
            ],
        }
    }
}

/// `checkout.paid`.
#[derive(Deserialize)]
pub(super) struct CheckoutPaid {
    checkout_id: Code,
    #[serde(flatten)]
    amount: Amount,
}

impl Describe for CheckoutPaid {
    fn describe(self) -> Parts {
        Parts {
            data: vec![("checkout_id", self.checkout_id.0)],
            fields: vec![("amount", self.amount.field())],
        }
    }
}

/// `trading.suspended`, `trading.resumed`.
#[derive(Deserialize)]
pub(super) struct TradingChanged {
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    reason: Choice,
    #[serde(default)]
    action_url: Link,
}

impl Describe for TradingChanged {
    fn describe(self) -> Parts {
        Parts {
            data: vec![
                ("reason", self.reason.0),
                ("action_url", self.action_url.0.clone()),
            ],
            fields: vec![
                ("amount", self.amount.field()),
                ("action_url", Field::Text(self.action_url.0)),
            ],
        }
    }
}
