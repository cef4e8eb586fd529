//! The events of other areas that notifications are made of.
//!
//! Texts that people read are made here and in the templates alone: a code of another area (a reason, a rule) only chooses
//! among texts, and free text of other areas isn't shown, since it may reveal their insides.

mod commissions;
mod content;
mod funded_accounts;
mod trading;
mod value;

use domain::ids::{ProfileId, UserId};
use platform::messaging::event::Envelope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use content::{Content, Field};
pub(crate) use value::printable;

use crate::Error;
use crate::kind::Kind;
use crate::recipient::Recipient;
use content::{Describe, Parts};

/// An event as it comes; its payload is read by its type.
pub type DomainEvent = Envelope<Value>;

/// The content of the notification that an event makes; `None` for an event that makes none.
///
/// # Errors
/// [`Error::UnreadableEvent`] when an event of a known type doesn't have its data.
pub fn content(event: &DomainEvent) -> Result<Option<Content>, Error> {
    let Some(kind) = Kind::parse(&event.kind) else {
        return Ok(None);
    };
    let (recipient, parts) = match kind {
        Kind::MoneyFlowSucceeded | Kind::MoneyFlowFailed => read::<trading::MoneyFlow>(event)?,
        Kind::KycStatusChanged => read::<trading::KycStatus>(event)?,
        Kind::CommissionCharged => read::<commissions::Charged>(event)?,
        Kind::CommissionRefunded => read::<commissions::Refunded>(event)?,
        Kind::CommissionChargeFailed => read::<commissions::ChargeFailed>(event)?,
        Kind::CommissionConfirmationRequired => read::<commissions::ConfirmationRequired>(event)?,
        Kind::DepositsSuspended => read::<trading::DepositsSuspended>(event)?,
        Kind::DepositsResumed => read::<trading::DepositsResumed>(event)?,
        Kind::CheckoutPaid => read::<commissions::CheckoutPaid>(event)?,
        Kind::TradingSuspended | Kind::TradingResumed => read::<commissions::TradingChanged>(event)?,
        Kind::CollectionVersionCompleted => read::<trading::CollectionVersion>(event)?,
        Kind::CollectionVersionFailed => read::<trading::FailedCollectionVersion>(event)?,
        Kind::BankAccountNeedsReauth => read::<trading::BankAccount>(event)?,
        Kind::WithdrawalApproved
        | Kind::WithdrawalCompleted
        | Kind::WithdrawalRejected
        | Kind::WithdrawalReturned
        | Kind::WithdrawalFailed => read::<funded_accounts::Withdrawal>(event)?,
        Kind::FundedAccountWarned | Kind::FundedAccountClosed => {
            read::<funded_accounts::FundedAccount>(event)?
        }
    };
    let given = parts.data.into_iter().filter(|(_, value)| !value.is_empty());
    Ok(Some(Content {
        recipient,
        kind,
        data: given.map(|(name, value)| (name.to_owned(), value)).collect(),
        fields: parts.fields.into_iter().collect(),
    }))
}

#[derive(Deserialize)]
struct Payload<T> {
    profile_id: Option<ProfileId>,
    /// Of traders, who may have no profile.
    user_id: Option<UserId>,
    #[serde(flatten)]
    particulars: T,
}

fn read<T: DeserializeOwned + Describe>(event: &DomainEvent) -> Result<(Recipient, Parts), Error> {
    let unreadable = || Error::UnreadableEvent {
        kind: event.kind.clone(),
    };
    let payload: Payload<T> = serde_json::from_value(event.data.clone()).map_err(|_| unreadable())?;
    let trader = payload.user_id.map(Recipient::Trader);
    let recipient = payload.profile_id.map(Recipient::Profile).or(trader);
    Ok((recipient.ok_or_else(unreadable)?, payload.particulars.describe()))
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::currency::Currency;
    use domain::money::Money;
    use serde_json::json;

    use super::*;

    /// An event of a kind, as its area publishes it.
    pub(crate) fn sample(kind: Kind) -> DomainEvent {
        let more = match kind {
            Kind::MoneyFlowSucceeded | Kind::MoneyFlowFailed => {
                json!({"money_flow_id": 7, "trading_account_id": 3, "direction": "deposit", "reason": null})
            }
            Kind::KycStatusChanged => json!({"status": "doc_required", "message": "ERR_17: see queue 4"}),
            Kind::CommissionCharged => json!({
                "invoice_id": 12, "period_start": "2026-10-01", "period_end": "2026-10-31",
                "payment_method": "visa •••• 4242", "charged_at": "2026-11-03T09:00:00Z",
            }),
            Kind::CommissionRefunded => json!({
                "invoice_id": 12, "period_start": "2026-10-01", "period_end": "2026-10-31", "refunded_cents": 5_000,
                "payment_method": "visa •••• 4242", "refunded_at": "2026-11-03T09:00:00Z",
            }),
            Kind::CommissionChargeFailed => json!({
                "invoice_id": 12, "period_start": "2026-10-01", "period_end": "2026-10-31",
                "payment_method": null, "reason": "insufficient_funds", "next_attempt_on": "2026-11-06",
                "action_url": "https://app.example.com/pay?i=12&t=a",
            }),
            Kind::CommissionConfirmationRequired => json!({
                "invoice_id": 12, "payment_method": "visa •••• 4242", "confirm_until": "2026-11-04T09:00:00Z",
                "action_url": "https://app.example.com/pay",
            }),
            Kind::DepositsSuspended => json!({"money_flow_id": 7, "reason": "deposit-returned"}),
            Kind::DepositsResumed => json!({"reason": "deposit-returned"}),
            Kind::CheckoutPaid => json!({"checkout_id": 3, "price_id": "price_basic"}),
            Kind::TradingSuspended | Kind::TradingResumed => {
                json!({"reason": "commissions-unpaid", "action_url": "https://app.example.com/pay"})
            }
            Kind::CollectionVersionCompleted => json!({"collection_version_id": 5}),
            Kind::CollectionVersionFailed => json!({"collection_version_id": 5, "reason": "market-closed"}),
            Kind::BankAccountNeedsReauth => json!({"bank_account_id": 4, "name": "Checking"}),
            Kind::WithdrawalApproved
            | Kind::WithdrawalCompleted
            | Kind::WithdrawalRejected
            | Kind::WithdrawalReturned
            | Kind::WithdrawalFailed => json!({"withdrawal_id": 9, "reason": "an admin's words"}),
            Kind::FundedAccountWarned | Kind::FundedAccountClosed => {
                json!({"funded_account_id": "01a1f95d-46ff-75cc-9cae-ac2bff87d2ee", "rule": "risk_per_trade"})
            }
        };
        let mut data = json!({"profile_id": 1, "amount_cents": 123_456, "currency": "USD"});
        let more = more.as_object().cloned().unwrap_or_default();
        data.as_object_mut().unwrap().extend(more);
        serde_json::from_value(json!({
            "id": "01a1f95d-46ff-75cc-9cae-ac2bff87d2ee", "type": kind.name(),
            "occurred_at": "2026-11-03T09:00:00Z", "key": "profile-1", "correlation_id": "c", "data": data,
        }))
        .unwrap()
    }

    #[test]
    fn every_kind_gives_the_fields_that_its_templates_may_name() {
        for kind in Kind::ALL {
            let content = content(&sample(kind)).unwrap().unwrap();
            let given: std::collections::BTreeSet<_> = content.fields.keys().copied().collect();
            assert_eq!(given, kind.fields().iter().copied().collect(), "{}", kind.name());
            assert_eq!(content.kind, kind);
        }
    }

    #[test]
    fn a_receipt_has_the_day_of_new_york_like_the_invoice() {
        let mut event = sample(Kind::CommissionCharged);
        event.data["charged_at"] = json!("2026-11-04T03:30:00Z");
        let paid_on = Field::Day("2026-11-03".parse().unwrap());
        assert_eq!(content(&event).unwrap().unwrap().fields["charged_on"], paid_on);
    }

    #[test]
    fn a_refund_has_the_amount_that_was_given_back_and_not_the_invoices() {
        let content = content(&sample(Kind::CommissionRefunded)).unwrap().unwrap();
        let given_back = Field::Amount(Money::new(5_000, Currency::USD));
        assert_eq!(content.fields["amount"], given_back);
    }

    #[test]
    fn free_text_of_other_areas_is_left_out() {
        let of_sample = |kind| content(&sample(kind)).unwrap().unwrap();
        let rejected = of_sample(Kind::WithdrawalRejected);
        assert_eq!(rejected.fields["reason"], Field::Text(String::new()));
        assert!(!format!("{:?}", of_sample(Kind::KycStatusChanged)).contains("ERR_17"));
    }

    #[test]
    fn a_link_that_is_no_web_address_is_left_out() {
        for (link, kept) in [
            ("https://app.example.com/pay", true),
            ("http://app.example.com/pay", false),
            ("javascript:alert(1)", false),
            ("https://a.example\r\nBcc: x", false),
        ] {
            let mut event = sample(Kind::CommissionChargeFailed);
            event.data["action_url"] = json!(link);
            let content = content(&event).unwrap().unwrap();
            assert_eq!(content.data.contains_key("action_url"), kept, "{link}");
        }
    }

    #[test]
    fn an_event_without_its_data_is_an_error_and_one_of_no_kind_makes_no_notification() {
        let mut event = sample(Kind::CommissionCharged);
        event.data["amount_cents"] = json!("12");
        assert!(matches!(content(&event), Err(Error::UnreadableEvent { .. })));
        event.kind = "invoice.created".to_owned();
        assert_eq!(content(&event).unwrap(), None);
    }
}
