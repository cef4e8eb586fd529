//! The form of the identity check: its fields, what each takes, and which are missing.
//!
//! One table says all of it. The form's configuration, the check of what is written, and the list of what is missing
//! come from it, so that they can't contradict each other.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::choices::{self, Choice};
use super::format::{
    MAX_TEXT_LENGTH, birthdate_problem, choice_problem, control_problem, country_problem, dollars_problem,
    email_problem, length_problem, listed, phone_problem, postal_code_problem, street_problem,
};

/// The longest name that the broker takes (its K110), in characters.
pub const MAX_NAME_LENGTH: usize = 36;
/// What says that nobody is politically exposed.
pub const NOBODY: &str = "none";
/// The field that is kept sealed, outside of the form.
pub const TAX_ID: &str = "tax_id_value";
/// The country that is meant where none is given.
pub const USA: &str = "USA";

/// An answer in a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// Yes or no.
    Flag(bool),
    /// Whole dollars.
    Amount(i64),
    /// Anything that is written, a choice or a date too.
    Text(String),
}

/// What a field takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// A name of at most [`MAX_NAME_LENGTH`] characters.
    Name,
    /// A text of at most [`MAX_TEXT_LENGTH`] characters.
    Text,
    /// A mail address.
    Email,
    /// A phone number of the USA, as `+1` and ten digits.
    Phone,
    /// A street with a house, not a P.O. box.
    Street,
    /// A postal code: of five digits, or nine, in the USA.
    PostalCode,
    /// A state: one of a list in the USA.
    Province,
    /// One of a list.
    OneOf(&'static [Choice]),
    /// A country of the list that isn't barred.
    Country,
    /// A date of birth.
    Birthdate,
    /// Whole dollars, from zero.
    Dollars,
    /// Yes or no.
    Flag,
    /// Yes; a no can't be submitted.
    Consent,
    /// A tax id, which is kept elsewhere.
    TaxId,
}

/// When a field has to be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Always.
    Always,
    /// By those who work for somebody, or for themselves.
    WhenEmployed,
    /// Never.
    Never,
}

/// A field of the form.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it has to be filled in.
    pub needed: Needed,
}

const fn always(name: &'static str, takes: Takes) -> Field {
    field(name, takes, Needed::Always)
}

const fn employed(name: &'static str, takes: Takes) -> Field {
    field(name, takes, Needed::WhenEmployed)
}

const fn optional(name: &'static str, takes: Takes) -> Field {
    field(name, takes, Needed::Never)
}

const fn field(name: &'static str, takes: Takes, needed: Needed) -> Field {
    Field { name, takes, needed }
}

/// The fields, in the order in which people are asked.
pub const FIELDS: &[Field] = &[
    always("first_name", Takes::Name),
    always("last_name", Takes::Name),
    always("country", Takes::Country),
    always("phone_number", Takes::Phone),
    always("email_address", Takes::Email),
    always("language", Takes::OneOf(choices::LANGUAGES)),
    always("address_street1", Takes::Street),
    optional("address_street2", Takes::Street),
    always("address_city", Takes::Text),
    always("address_province", Takes::Province),
    always("address_postal_code", Takes::PostalCode),
    always("address_country", Takes::Country),
    always("birthdate", Takes::Birthdate),
    always("marital_status", Takes::OneOf(choices::MARITAL_STATUSES)),
    optional("gender", Takes::OneOf(choices::GENDERS)),
    always("citizenship", Takes::Country),
    always("is_us_tax_payer", Takes::Flag),
    always("tax_treaty_with_us", Takes::Flag),
    optional("irs_backup_withholdings_notified", Takes::Flag),
    always("politically_exposed_names", Takes::Text),
    always("tax_id_type", Takes::OneOf(choices::TAX_ID_TYPES)),
    always(TAX_ID, Takes::TaxId),
    always("employment_status", Takes::OneOf(choices::EMPLOYMENT_STATUSES)),
    employed("employment_company_name", Takes::Text),
    employed("employment_type", Takes::OneOf(choices::EMPLOYMENT_TYPES)),
    employed("employment_position", Takes::OneOf(choices::EMPLOYMENT_POSITIONS)),
    optional("employment_affiliated_with_a_broker", Takes::Flag),
    optional("employment_is_director_of_a_public_company", Takes::Text),
    always("investor_profile_experience", Takes::OneOf(choices::EXPERIENCES)),
    always("investor_profile_annual_income", Takes::Dollars),
    always("investor_profile_net_worth_total", Takes::Dollars),
    always("investor_profile_net_worth_liquid", Takes::Dollars),
    always(
        "investor_profile_risk_tolerance",
        Takes::OneOf(choices::RISK_TOLERANCES),
    ),
    always("investor_profile_objectives", Takes::OneOf(choices::OBJECTIVES)),
    always("disclosures_drivewealth_terms_of_use", Takes::Consent),
    always("disclosures_drivewealth_customer_agreement", Takes::Consent),
    optional("disclosures_drivewealth_ira_agreement", Takes::Flag),
    always("disclosures_drivewealth_market_data_agreement", Takes::Consent),
    always("disclosures_rule14b", Takes::Consent),
    always("disclosures_drivewealth_privacy_policy", Takes::Consent),
    always("disclosures_drivewealth_data_sharing", Takes::Consent),
    always("disclosures_signed_by", Takes::Text),
];

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong, for people.
    pub message: String,
}

/// A form as far as it is filled in. The tax id isn't in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Form(BTreeMap<String, Answer>);

impl Form {
    /// A form of these answers.
    pub fn new(answers: BTreeMap<String, Answer>) -> Form {
        Form(answers)
    }

    /// All answers by the fields' names.
    pub fn answers(&self) -> &BTreeMap<String, Answer> {
        &self.0
    }

    /// The text of a field.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.0.get(field) {
            Some(Answer::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The yes or no of a field.
    pub fn flag(&self, field: &str) -> Option<bool> {
        match self.0.get(field) {
            Some(Answer::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The dollars of a field.
    pub fn dollars(&self, field: &str) -> Option<i64> {
        match self.0.get(field) {
            Some(Answer::Amount(dollars)) => Some(*dollars),
            _ => None,
        }
    }

    /// The form with other answers written over its own. Texts lose spaces at their ends; an empty one empties its field.
    #[must_use]
    pub fn merged(mut self, given: Form) -> Form {
        for (field, answer) in given.0 {
            let answer = match answer {
                Answer::Text(text) => Answer::Text(text.trim().to_owned()),
                other => other,
            };
            if answer == Answer::Text(String::new()) {
                self.0.remove(&field);
            } else {
                self.0.insert(field, answer);
            }
        }
        self
    }

    /// Everything that is wrong with the answers on a day, all at once.
    pub fn problems(&self, today: NaiveDate) -> Vec<FieldProblem> {
        let problems = FIELDS.iter().filter_map(|field| {
            let message = self.problem(field, self.0.get(field.name)?, today)?;
            Some(FieldProblem {
                field: field.name,
                message,
            })
        });
        problems.collect()
    }

    /// The fields without which the form can't be submitted, and those whose answer forbids it.
    pub fn missing(&self, has_tax_id: bool) -> Vec<FieldProblem> {
        let problems = FIELDS.iter().filter_map(|field| {
            let is_filled = match field.name {
                TAX_ID => has_tax_id,
                name => self.0.contains_key(name),
            };
            let message = match field.takes {
                _ if !is_filled && self.needs(field) => "has to be filled in",
                Takes::Consent if self.flag(field.name) == Some(false) => "has to be accepted",
                _ => return None,
            };
            Some(FieldProblem {
                field: field.name,
                message: message.to_owned(),
            })
        });
        problems.collect()
    }

    /// Whether the field has to be filled in, given the other answers.
    pub fn needs(&self, field: &Field) -> bool {
        match field.needed {
            Needed::Always => true,
            Needed::WhenEmployed => {
                matches!(self.text("employment_status"), Some("EMPLOYED" | "SELF_EMPLOYED"))
            }
            Needed::Never => false,
        }
    }

    fn problem(&self, field: &Field, answer: &Answer, today: NaiveDate) -> Option<String> {
        match (field.takes, answer) {
            (Takes::Flag | Takes::Consent, Answer::Flag(_)) => None,
            (Takes::Dollars, Answer::Amount(dollars)) => dollars_problem(*dollars),
            (Takes::Flag | Takes::Consent | Takes::Dollars, _) | (_, Answer::Flag(_) | Answer::Amount(_)) => {
                Some("is of another kind".to_owned())
            }
            (takes, Answer::Text(text)) => {
                control_problem(text).or_else(|| self.text_problem(takes, text, today))
            }
        }
    }

    fn text_problem(&self, takes: Takes, text: &str, today: NaiveDate) -> Option<String> {
        let in_usa = self.text("address_country").unwrap_or(USA) == USA;
        match takes {
            Takes::Name => length_problem(text, MAX_NAME_LENGTH),
            Takes::Email => email_problem(text),
            Takes::Phone => phone_problem(text),
            Takes::Street => length_problem(text, MAX_TEXT_LENGTH).or_else(|| street_problem(text)),
            Takes::PostalCode if in_usa => postal_code_problem(text),
            Takes::Province if in_usa => {
                choice_problem(text, choices::US_PROVINCES, "a state of the USA, such as NY")
            }
            Takes::OneOf(list) => choice_problem(text, list, &listed(list)),
            Takes::Country => country_problem(text),
            Takes::Birthdate => birthdate_problem(text, today),
            _ => length_problem(text, MAX_TEXT_LENGTH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{last_four, masked_tax_id, tax_id_problem, tax_id_type};
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 28).unwrap()
    }

    fn form(answers: &[(&str, Answer)]) -> Form {
        Form::new(
            answers
                .iter()
                .map(|(field, answer)| ((*field).to_owned(), answer.clone()))
                .collect(),
        )
    }

    fn text(text: &str) -> Answer {
        Answer::Text(text.to_owned())
    }

    fn is_refused(field: &str, answer: &str) -> bool {
        !form(&[(field, text(answer))]).problems(today()).is_empty()
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let form = form(&[
            ("first_name", text(&"a".repeat(37))),
            ("country", text("IRN")),
            ("birthdate", text("2010-01-01")),
            ("investor_profile_annual_income", Answer::Amount(-1)),
            ("gender", text("Male")),
        ]);
        let named: Vec<&str> = form
            .problems(today())
            .iter()
            .map(|problem| problem.field)
            .collect();
        assert_eq!(
            named,
            [
                "first_name",
                "country",
                "birthdate",
                "investor_profile_annual_income"
            ]
        );
    }

    #[test]
    fn a_box_at_the_post_office_is_no_street() {
        for street in [
            "P.O. Box 12",
            "PO Box 12",
            "p o box 12",
            "Post Office Box 1",
            "POBox 7",
            "12 Main St, PO BOX 3",
        ] {
            assert!(is_refused("address_street1", street), "{street}");
        }
        for street in [
            "12 Main St",
            "1 Boxwood Lane",
            "5 Polo Street",
            "3 Post Office Road",
        ] {
            assert!(!is_refused("address_street1", street), "{street}");
        }
    }

    #[test]
    fn formats_are_checked() {
        for (field, good, bad) in [
            ("phone_number", "+12025550123", "2025550123"),
            ("phone_number", "+12025550123", "+11025550123"),
            ("email_address", "ada@example.com", "ada@example"),
            ("email_address", "ada@example.com", "a da@example.com"),
            ("address_postal_code", "10001-1234", "1000"),
            ("address_province", "NY", "New York"),
            ("citizenship", "DEU", "Germany"),
            ("birthdate", "2008-11-28", "2008-11-29"),
            ("birthdate", "1990-01-31", "1990-1-31"),
            ("tax_id_type", "US_TIN", "other"),
            ("address_city", "New York", "New\u{0}York"),
        ] {
            assert!(!is_refused(field, good), "{field} {good}");
            assert!(is_refused(field, bad), "{field} {bad}");
        }
    }

    #[test]
    fn abroad_a_province_and_a_postal_code_are_texts() {
        let form = form(&[
            ("address_country", text("GBR")),
            ("address_province", text("Greater London")),
            ("address_postal_code", text("SW1A 1AA")),
        ]);
        assert_eq!(form.problems(today()), []);
    }

    #[test]
    fn the_company_is_needed_of_those_who_work() {
        let missing = |status: &str| {
            let missing = form(&[("employment_status", text(status))]).missing(true);
            missing
                .iter()
                .any(|problem| problem.field == "employment_company_name")
        };
        assert!(missing("EMPLOYED") && missing("SELF_EMPLOYED"));
        assert!(!missing("STUDENT"));
    }

    #[test]
    fn a_consent_has_to_be_given() {
        let refused = form(&[("disclosures_rule14b", Answer::Flag(false))]).missing(true);
        assert!(
            refused
                .iter()
                .any(|problem| problem.message == "has to be accepted")
        );
        let all = FIELDS
            .iter()
            .filter(|field| field.needed == Needed::Always)
            .count();
        assert_eq!(Form::default().missing(false).len(), all);
    }

    #[test]
    fn an_empty_text_empties_its_field() {
        let form = form(&[
            ("address_street2", text("Apt 1")),
            ("address_city", text("Boston")),
        ]);
        let form = form.merged(Form::new([("address_street2".to_owned(), text("  "))].into()));
        assert_eq!(
            (form.text("address_street2"), form.text("address_city")),
            (None, Some("Boston"))
        );
    }

    #[test]
    fn a_tax_id_is_checked_by_its_type_and_shown_by_its_end() {
        assert_eq!(tax_id_problem(Some("SSN"), "123-45-6789"), None);
        assert!(tax_id_problem(None, "000000000").is_some());
        assert!(tax_id_problem(Some("EIN"), "12345678").is_some());
        assert_eq!(tax_id_problem(Some("FTIN"), "AB1234"), None);
        assert_eq!(masked_tax_id(&last_four("123-45-6789")), "*****6789");
        assert_eq!(tax_id_type("TIN"), "US_TIN");
    }

    #[test]
    fn every_field_has_one_name() {
        let mut names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
    }
}
