//! What callers see of the form: what it asks for, and what is filled in.

use chrono::{DateTime, Utc};
use domain::trading::kyc::form::{Field, Form, Needed, Takes};
use domain::trading::kyc::{choices, countries::COUNTRIES};
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::KycAnswers;

/// The form as it is filled in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KycFormView {
    /// The answers; null where there is none.
    pub form: KycAnswers,
    /// State of the identity check.
    pub status: String,
    /// Whether the form can't be changed now: it is being checked, or is approved.
    pub is_locked: bool,
    /// Whether the form's phone number is proved by a code.
    pub phone_is_verified: bool,
    /// The fields without which the form can't be submitted.
    pub missing: Vec<String>,
    /// When it was last changed (RFC 3339, UTC); null before the first time.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What the form asks for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KycFormConfigView {
    /// The fields, in the order in which people are asked.
    pub fields: Vec<FieldConfigView>,
    /// The page with all of the broker's disclosures.
    pub disclosures_url: String,
}

/// A field of the form.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldConfigView {
    /// Its name in the form.
    pub name: String,
    /// What it takes: `text`, `choice`, `date`, `dollars` or `flag`.
    pub kind: &'static str,
    /// Whether the form can't be submitted without it, as far as it is filled in.
    pub required: bool,
    /// What to propose.
    pub placeholder: Option<String>,
    /// Its choices; empty where anything may be written.
    pub choices: Vec<ChoiceView>,
}

/// One of a field's choices.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChoiceView {
    /// What is stored.
    pub value: &'static str,
    /// What people read.
    pub name: &'static str,
}

impl FieldConfigView {
    pub(super) fn new(field: &Field, form: &Form, placeholder: Option<String>) -> Self {
        let list: &[choices::Choice] = match field.takes {
            Takes::OneOf(list) => list,
            Takes::Country => COUNTRIES,
            Takes::Province => choices::US_PROVINCES,
            _ => &[],
        };
        let choices = list.iter().map(|choice| ChoiceView {
            value: choice.value,
            name: choice.name,
        });
        Self {
            name: field.name.to_owned(),
            kind: kind(field.takes),
            required: field.needed != Needed::Never && form.needs(field),
            placeholder,
            choices: choices.collect(),
        }
    }
}

fn kind(takes: Takes) -> &'static str {
    match takes {
        Takes::OneOf(_) | Takes::Country | Takes::Province => "choice",
        Takes::Birthdate => "date",
        Takes::Dollars => "dollars",
        Takes::Flag | Takes::Consent => "flag",
        Takes::Name
        | Takes::Text
        | Takes::Email
        | Takes::Phone
        | Takes::Street
        | Takes::PostalCode
        | Takes::TaxId => "text",
    }
}
