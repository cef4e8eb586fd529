//! What traders see of the account to which their money goes.

use chrono::{DateTime, Utc};
use domain::funded::payee::{PayeeStatus, in_words};
use providers::stripe::connect::OnboardingLink;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::KnownPayee;

/// The account at Stripe to which a trader's money goes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PayoutAccountView {
    /// How far it is: `not-started`, `incomplete` while something is wanted of the trader, `waiting` while Stripe looks at it
    /// or has stopped it, `ready`.
    #[schema(schema_with = status_schema)]
    pub status: PayeeStatus,
    /// What Stripe wants to know, in words.
    pub due: Vec<&'static str>,
    /// The last digits of the bank account that is paid.
    pub bank_last4: Option<String>,
    /// When Stripe said so (RFC 3339, UTC).
    pub as_of: Option<DateTime<Utc>>,
}

/// The way to Stripe's page, where a trader says who he is and where to pay.
#[derive(Serialize, ToSchema)]
pub struct PayoutAccountLinkView {
    /// The page's address. It is a secret, and can be opened once.
    pub url: String,
    /// When it is no good any more (RFC 3339, UTC).
    pub expires_at: DateTime<Utc>,
}

impl PayoutAccountView {
    pub(super) fn not_started() -> Self {
        Self {
            status: PayeeStatus::NotStarted,
            due: Vec::new(),
            bank_last4: None,
            as_of: None,
        }
    }
}

impl From<&KnownPayee> for PayoutAccountView {
    fn from(payee: &KnownPayee) -> Self {
        if payee.account.is_none() {
            return Self::not_started();
        }
        let due = &payee.currently_due.0;
        Self {
            status: payee.payability().status(due.len()),
            due: in_words(due),
            bank_last4: payee.bank_last4.clone(),
            as_of: payee.as_of,
        }
    }
}

impl From<&OnboardingLink> for PayoutAccountLinkView {
    fn from(link: &OnboardingLink) -> Self {
        Self {
            url: link.url.expose_secret().to_owned(),
            expires_at: link.expires_at,
        }
    }
}

fn status_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("How far it is."))
        .enum_values(Some(PayeeStatus::ALL.map(|status| status.name())))
        .build()
}
