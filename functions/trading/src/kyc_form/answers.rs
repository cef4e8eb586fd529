//! The form's fields as they stand in requests and responses.

use domain::trading::kyc::form::{Answer, Form};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::Error;

/// The answers of the form. `GET /trading/kyc/form-config` says what each takes and which are needed. A field that is
/// missing or null stays as it is; an empty text empties it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KycAnswers {
    /// First name, as documents have it.
    pub first_name: Option<String>,
    /// Last name, as documents have it.
    pub last_name: Option<String>,
    /// Country of residence: ISO 3166 alpha-3.
    pub country: Option<String>,
    /// Phone, as `+1` and ten digits; it has to be proved by a code.
    pub phone_number: Option<String>,
    /// Mail address.
    pub email_address: Option<String>,
    /// Language of the broker's papers.
    pub language: Option<String>,
    /// Street and house; no P.O. box.
    pub address_street1: Option<String>,
    /// Apartment or floor.
    pub address_street2: Option<String>,
    /// City.
    pub address_city: Option<String>,
    /// State; in the USA by its two letters.
    pub address_province: Option<String>,
    /// Postal code.
    pub address_postal_code: Option<String>,
    /// Country: ISO 3166 alpha-3.
    pub address_country: Option<String>,
    /// Date of birth, `YYYY-MM-DD`.
    pub birthdate: Option<String>,
    /// Marital status.
    pub marital_status: Option<String>,
    /// Gender.
    pub gender: Option<String>,
    /// Citizenship: ISO 3166 alpha-3.
    pub citizenship: Option<String>,
    /// Whether the person pays taxes in the USA.
    pub is_us_tax_payer: Option<bool>,
    /// Whether their country has a tax treaty with the USA.
    pub tax_treaty_with_us: Option<bool>,
    /// Whether the IRS has told them of backup withholding.
    pub irs_backup_withholdings_notified: Option<bool>,
    /// Politically exposed persons among them and their family; `none` when there are none.
    pub politically_exposed_names: Option<String>,
    /// Type of the tax id.
    pub tax_id_type: Option<String>,
    /// Tax id. It is kept encrypted, and shown by its last four characters; what is shown, sent back, changes nothing.
    pub tax_id_value: Option<String>,
    /// Employment.
    pub employment_status: Option<String>,
    /// Company; needed of those who work.
    pub employment_company_name: Option<String>,
    /// Industry; needed of those who work.
    pub employment_type: Option<String>,
    /// Position; needed of those who work.
    pub employment_position: Option<String>,
    /// Whether they work for a broker.
    pub employment_affiliated_with_a_broker: Option<bool>,
    /// The public company that they direct, or own 10 % of.
    pub employment_is_director_of_a_public_company: Option<String>,
    /// Experience as an investor.
    pub investor_profile_experience: Option<String>,
    /// Yearly income in whole dollars.
    #[schema(minimum = 0)]
    pub investor_profile_annual_income: Option<i64>,
    /// Net worth in whole dollars.
    #[schema(minimum = 0)]
    pub investor_profile_net_worth_total: Option<i64>,
    /// Liquid net worth in whole dollars.
    #[schema(minimum = 0)]
    pub investor_profile_net_worth_liquid: Option<i64>,
    /// How much risk they take.
    pub investor_profile_risk_tolerance: Option<String>,
    /// What they aim at.
    pub investor_profile_objectives: Option<String>,
    /// The broker's terms of use are accepted.
    pub disclosures_drivewealth_terms_of_use: Option<bool>,
    /// The broker's customer agreement is accepted.
    pub disclosures_drivewealth_customer_agreement: Option<bool>,
    /// The agreement on retirement accounts is accepted.
    pub disclosures_drivewealth_ira_agreement: Option<bool>,
    /// The agreement on market data is accepted.
    pub disclosures_drivewealth_market_data_agreement: Option<bool>,
    /// Rule 14b is acknowledged.
    pub disclosures_rule14b: Option<bool>,
    /// The broker's privacy policy is accepted.
    pub disclosures_drivewealth_privacy_policy: Option<bool>,
    /// That data is shared with the broker is accepted.
    pub disclosures_drivewealth_data_sharing: Option<bool>,
    /// The full legal name, as a signature.
    pub disclosures_signed_by: Option<String>,
}

impl KycAnswers {
    /// The form of what is given, without the tax id.
    ///
    /// # Errors
    /// When the answers can't be written as JSON.
    pub(crate) fn form(&self) -> Result<Form, Error> {
        let mut given = self.clone();
        given.tax_id_value = None;
        let fields: BTreeMap<String, Value> =
            serde_json::from_value(serde_json::to_value(given).map_err(document)?).map_err(document)?;
        let answers = fields.into_iter().filter(|(_, value)| !value.is_null());
        let answers = answers
            .map(|(field, value)| Ok((field, serde_json::from_value::<Answer>(value).map_err(document)?)));
        Ok(Form::new(answers.collect::<Result<_, Error>>()?))
    }

    /// The answers of a form, with the tax id as it is shown.
    ///
    /// # Errors
    /// When the form has a field that isn't one any more.
    pub(crate) fn of(form: &Form, tax_id: Option<String>) -> Result<Self, Error> {
        let answers: Self =
            serde_json::from_value(serde_json::to_value(form).map_err(document)?).map_err(document)?;
        Ok(Self {
            tax_id_value: tax_id,
            ..answers
        })
    }
}

fn document(error: serde_json::Error) -> Error {
    platform::error::PlatformError::Document(error).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::trading::kyc::form::{FIELDS, TAX_ID};

    use super::*;

    #[test]
    fn answers_have_the_fields_of_the_form() {
        let written = serde_json::to_value(KycAnswers::default()).unwrap();
        let written: BTreeSet<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let fields: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(written, fields);
    }

    #[test]
    fn answers_and_form_say_the_same() {
        let given = KycAnswers {
            first_name: Some("Ada".to_owned()),
            is_us_tax_payer: Some(true),
            investor_profile_annual_income: Some(70_000),
            tax_id_value: Some("123-45-6789".to_owned()),
            ..KycAnswers::default()
        };
        let form = given.form().unwrap();
        assert_eq!(
            (form.text("first_name"), form.flag("is_us_tax_payer")),
            (Some("Ada"), Some(true))
        );
        assert_eq!(form.dollars("investor_profile_annual_income"), Some(70_000));
        assert!(!form.answers().contains_key(TAX_ID), "the tax id stays out");
        let back = KycAnswers::of(&form, Some("*****6789".to_owned())).unwrap();
        assert_eq!(
            (back.first_name.as_deref(), back.tax_id_value.as_deref()),
            (Some("Ada"), Some("*****6789"))
        );
    }
}
