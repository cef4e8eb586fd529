//! What other areas tell that is worth a notification.
//!
//! Words that people read are made here and in the templates alone: a code of another area (a reason, a rule) only chooses
//! among words, and free text of other areas isn't shown, since it may tell of their insides.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::currency::Currency;
use domain::ids::ProfileId;
use domain::money::Money;
use domain::trading::money_flow::Direction;
use platform::messaging::event::Envelope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::kind::Kind;

/// Longest name of a customer's own that is shown, in characters.
const MAX_NAME_LENGTH: usize = 80;
/// Longest code or id that is taken over, in bytes.
const MAX_CODE_LENGTH: usize = 64;

/// An event as it comes; its data is read by its type.
pub type DomainEvent = Envelope<Value>;

/// News for a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Whose it is.
    pub profile: ProfileId,
    /// What it is.
    pub kind: Kind,
    /// Ids with which the app finds what it is about.
    pub data: BTreeMap<String, String>,
    /// What the templates tell of it: a value for each of [`Kind::fields`].
    pub fields: BTreeMap<&'static str, Field>,
}

/// A value that is told, in words that depend on the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// As it is; nothing where there is none.
    Text(String),
    /// Money.
    Amount(Money),
    /// A day.
    Day(NaiveDate),
    /// A moment.
    Time(DateTime<Utc>),
}

/// The news in an event; `None` for an event that nobody is told of.
///
/// # Errors
/// When an event of a known type doesn't have its data.
pub fn news(event: &DomainEvent) -> Result<Option<News>, Error> {
    let Some(kind) = Kind::named(&event.kind) else {
        return Ok(None);
    };
    let (profile, told) = match kind {
        Kind::MoneyFlowSucceeded | Kind::MoneyFlowFailed => read::<MoneyFlow>(event)?,
        Kind::KycStatusChanged => read::<KycStatus>(event)?,
        Kind::CommissionCharged => read::<Charged>(event)?,
        Kind::CommissionChargeFailed => read::<ChargeFailed>(event)?,
        Kind::CommissionConfirmationRequired => read::<ConfirmationRequired>(event)?,
        Kind::TradingSuspended | Kind::TradingResumed => read::<TradingChanged>(event)?,
        Kind::CollectionVersionCompleted => read::<CollectionVersion>(event)?,
        Kind::CollectionVersionFailed => read::<FailedCollectionVersion>(event)?,
        Kind::BankAccountNeedsReauth => read::<BankAccount>(event)?,
        Kind::WithdrawalApproved
        | Kind::WithdrawalCompleted
        | Kind::WithdrawalRejected
        | Kind::WithdrawalFailed => read::<Withdrawal>(event)?,
        Kind::FundedAccountWarned | Kind::FundedAccountClosed => read::<FundedAccount>(event)?,
    };
    let owned = |(name, value): (&'static str, String)| (name.to_owned(), value);
    Ok(Some(News {
        profile,
        kind,
        data: told
            .data
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(owned)
            .collect(),
        fields: told.fields.into_iter().collect(),
    }))
}

#[derive(Deserialize)]
struct Owned<T> {
    profile_id: ProfileId,
    #[serde(flatten)]
    data: T,
}

fn read<T: DeserializeOwned + Tell>(event: &DomainEvent) -> Result<(ProfileId, Told), Error> {
    let owned: Owned<T> = serde_json::from_value(event.data.clone()).map_err(|_| Error::Event {
        kind: event.kind.clone(),
    })?;
    Ok((owned.profile_id, owned.data.tell()))
}

/// The parts of [`News`] that are particular to a kind.
struct Told {
    data: Vec<(&'static str, String)>,
    fields: Vec<(&'static str, Field)>,
}

trait Tell {
    fn tell(self) -> Told;
}

/// An id or a code of another area: letters, digits and what joins them.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Code(String);

impl TryFrom<Value> for Code {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) if number.is_i64() => number.to_string(),
            _ => return Err("neither a text nor a whole number"),
        };
        let joins = |byte: u8| b"-_.:".contains(&byte);
        let fits = !text.is_empty()
            && text.len() <= MAX_CODE_LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || joins(byte));
        fits.then_some(Self(text)).ok_or("not an id or a code")
    }
}

/// A text that only chooses among words: whatever isn't a code is as good as none.
#[derive(Default, Deserialize)]
#[serde(from = "Value")]
struct Choice(String);

impl From<Value> for Choice {
    fn from(value: Value) -> Self {
        Code::try_from(value).map_or_else(|_| Self::default(), |code| Self(code.0))
    }
}

/// A name that the customer knows: of a bank account, of a card.
#[derive(Default, Deserialize)]
#[serde(from = "Option<String>")]
struct Name(String);

impl From<Option<String>> for Name {
    fn from(name: Option<String>) -> Self {
        Self(printable(&name.unwrap_or_default()))
    }
}

/// A text of somebody's own without what doesn't print, and not too long.
pub(crate) fn printable(text: &str) -> String {
    let kept = text.chars().filter(|character| !character.is_control());
    let short: String = kept.take(MAX_NAME_LENGTH).collect();
    short.trim().to_owned()
}

/// Where something can be done about it. What is no web address over TLS is left out, and the rest told all the same.
#[derive(Default, Deserialize)]
#[serde(from = "Option<String>")]
struct Link(String);

impl From<Option<String>> for Link {
    fn from(link: Option<String>) -> Self {
        let fits = |link: &String| {
            link.starts_with("https://")
                && link.len() <= 2048
                && link.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self(link.filter(fits).unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Amount {
    amount_cents: i64,
    currency: Currency,
}

impl Amount {
    fn field(&self) -> Field {
        Field::Amount(Money::new(self.amount_cents, self.currency))
    }
}

#[derive(Deserialize)]
struct MoneyFlow {
    money_flow_id: Code,
    direction: Direction,
    #[serde(flatten)]
    amount: Amount,
}

impl Tell for MoneyFlow {
    fn tell(self) -> Told {
        let direction = self.direction.to_string();
        Told {
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

#[derive(Deserialize)]
struct KycStatus {
    status: Code,
}

impl Tell for KycStatus {
    fn tell(self) -> Told {
        Told {
            data: vec![("status", self.status.0.clone())],
            fields: vec![("status", Field::Text(self.status.0))],
        }
    }
}

#[derive(Deserialize)]
struct Period {
    period_start: NaiveDate,
    period_end: NaiveDate,
}

#[derive(Deserialize)]
struct Charged {
    invoice_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(flatten)]
    period: Period,
    #[serde(default)]
    payment_method: Name,
    charged_at: DateTime<Utc>,
}

impl Tell for Charged {
    fn tell(self) -> Told {
        Told {
            data: vec![("invoice_id", self.invoice_id.0)],
            fields: vec![
                ("amount", self.amount.field()),
                ("period_start", Field::Day(self.period.period_start)),
                ("period_end", Field::Day(self.period.period_end)),
                ("payment_method", Field::Text(self.payment_method.0)),
                ("charged_on", Field::Day(self.charged_at.date_naive())),
            ],
        }
    }
}

#[derive(Deserialize)]
struct ChargeFailed {
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

impl Tell for ChargeFailed {
    fn tell(self) -> Told {
        let next_attempt = self.next_attempt_on;
        Told {
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

#[derive(Deserialize)]
struct ConfirmationRequired {
    invoice_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    payment_method: Name,
    confirm_until: DateTime<Utc>,
    #[serde(default)]
    action_url: Link,
}

impl Tell for ConfirmationRequired {
    fn tell(self) -> Told {
        Told {
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

#[derive(Deserialize)]
struct TradingChanged {
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    reason: Choice,
    #[serde(default)]
    action_url: Link,
}

impl Tell for TradingChanged {
    fn tell(self) -> Told {
        Told {
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

#[derive(Deserialize)]
struct CollectionVersion {
    collection_version_id: Code,
}

impl Tell for CollectionVersion {
    fn tell(self) -> Told {
        Told {
            data: vec![("collection_version_id", self.collection_version_id.0)],
            fields: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct FailedCollectionVersion {
    collection_version_id: Code,
    #[serde(default)]
    reason: Choice,
}

impl Tell for FailedCollectionVersion {
    fn tell(self) -> Told {
        Told {
            data: vec![("collection_version_id", self.collection_version_id.0)],
            fields: vec![("reason", Field::Text(self.reason.0))],
        }
    }
}

#[derive(Deserialize)]
struct BankAccount {
    bank_account_id: Code,
    #[serde(default)]
    name: Name,
}

impl Tell for BankAccount {
    fn tell(self) -> Told {
        Told {
            data: vec![("bank_account_id", self.bank_account_id.0)],
            fields: vec![("name", Field::Text(self.name.0))],
        }
    }
}

#[derive(Deserialize)]
struct Withdrawal {
    withdrawal_id: Code,
    #[serde(flatten)]
    amount: Amount,
    #[serde(default)]
    reason: Choice,
}

impl Tell for Withdrawal {
    fn tell(self) -> Told {
        Told {
            data: vec![("withdrawal_id", self.withdrawal_id.0)],
            fields: vec![
                ("amount", self.amount.field()),
                ("reason", Field::Text(self.reason.0)),
            ],
        }
    }
}

#[derive(Deserialize)]
struct FundedAccount {
    funded_account_id: Code,
    #[serde(default)]
    rule: Choice,
}

impl Tell for FundedAccount {
    fn tell(self) -> Told {
        Told {
            data: vec![
                ("funded_account_id", self.funded_account_id.0),
                ("rule", self.rule.0.clone()),
            ],
            fields: vec![("rule", Field::Text(self.rule.0))],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// An event of every kind, as its area sends it.
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
            Kind::CommissionChargeFailed => json!({
                "invoice_id": 12, "period_start": "2026-10-01", "period_end": "2026-10-31",
                "payment_method": null, "reason": "insufficient_funds", "next_attempt_on": "2026-11-06",
                "action_url": "https://app.example.com/pay?i=12&t=a",
            }),
            Kind::CommissionConfirmationRequired => json!({
                "invoice_id": 12, "payment_method": "visa •••• 4242", "confirm_until": "2026-11-04T09:00:00Z",
                "action_url": "https://app.example.com/pay",
            }),
            Kind::TradingSuspended | Kind::TradingResumed => {
                json!({"reason": "commissions-unpaid", "action_url": "https://app.example.com/pay"})
            }
            Kind::CollectionVersionCompleted => json!({"collection_version_id": 5}),
            Kind::CollectionVersionFailed => json!({"collection_version_id": 5, "reason": "market-closed"}),
            Kind::BankAccountNeedsReauth => json!({"bank_account_id": 4, "name": "Checking"}),
            Kind::WithdrawalApproved
            | Kind::WithdrawalCompleted
            | Kind::WithdrawalRejected
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
            let news = news(&sample(kind)).unwrap().unwrap();
            let given: std::collections::BTreeSet<_> = news.fields.keys().copied().collect();
            assert_eq!(given, kind.fields().iter().copied().collect(), "{}", kind.name());
            assert_eq!(news.kind, kind);
        }
    }

    #[test]
    fn what_others_worded_themselves_is_not_taken_over() {
        let told = |kind| news(&sample(kind)).unwrap().unwrap();
        let rejected = told(Kind::WithdrawalRejected);
        assert_eq!(rejected.fields["reason"], Field::Text(String::new()));
        assert!(!format!("{:?}", told(Kind::KycStatusChanged)).contains("ERR_17"));
    }

    #[test]
    fn a_link_leads_to_a_web_address_or_nowhere() {
        for (link, kept) in [
            ("https://app.example.com/pay", true),
            ("http://app.example.com/pay", false),
            ("javascript:alert(1)", false),
            ("https://a.example\r\nBcc: x", false),
        ] {
            let mut event = sample(Kind::CommissionChargeFailed);
            event.data["action_url"] = json!(link);
            let news = news(&event).unwrap().unwrap();
            assert_eq!(news.data.contains_key("action_url"), kept, "{link}");
        }
    }

    #[test]
    fn an_event_without_its_data_is_an_error_and_one_for_nobody_is_none() {
        let mut event = sample(Kind::CommissionCharged);
        event.data["amount_cents"] = json!("12");
        assert!(matches!(news(&event), Err(Error::Event { .. })));
        event.kind = "invoice.created".to_owned();
        assert_eq!(news(&event).unwrap(), None);
    }
}
