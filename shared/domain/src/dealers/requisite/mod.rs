//! A dealer's requisite: who he legally is, and his bank account. One that exists is right as far as that can be computed.
//!
//! It is personal and legal data: `Debug` shows nothing of it, and callers see it masked.

mod checks;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::email::is_address;
use crate::stored::named_enum;
use checks::digits;

/// Most characters of a name, of an address, and of the others.
const MAX_NAME: usize = 300;
const MAX_ADDRESS: usize = 500;
const MAX_SIGNATORY: usize = 200;
const MAX_EMAIL: usize = 254;
/// Digits of an international telephone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

named_enum! {
    /// What a dealer is before the law.
    pub enum LegalForm {
        /// A company: INN of ten digits, KPP, OGRN.
        LegalEntity = "LEGAL_ENTITY",
        /// A person with a registered business: INN of twelve digits, OGRNIP.
        SoleProprietor = "SOLE_PROPRIETOR",
    }
}

/// A requisite as it was written, not checked yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequisiteFields {
    /// What the dealer is before the law.
    pub legal_form: LegalForm,
    /// The registered name.
    pub name: String,
    /// Number of the taxpayer.
    pub inn: String,
    /// Code of the reason of registration; companies alone have one.
    pub kpp: Option<String>,
    /// Number in the state register: OGRN or OGRNIP.
    pub ogrn: String,
    /// The bank's code.
    pub bik: String,
    /// The dealer's account there.
    pub settlement_account: String,
    /// The bank's own account at the Bank of Russia.
    pub correspondent_account: String,
    /// The registered address.
    pub legal_address: String,
    /// Who signs for the dealer.
    pub signatory: String,
    /// Where bills are sent.
    pub email: String,
    /// In international form, `+7` and ten digits.
    pub phone: String,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongField {
    /// The field.
    pub field: &'static str,
    /// What is wrong, and what it has to be.
    pub message: String,
}

/// A requisite whose every field is right.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RequisiteFields", into = "RequisiteFields")]
pub struct Requisite(RequisiteFields);

/// That a stored requisite isn't right; the values stay out of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wrong fields of a requisite: {0}")]
pub struct InvalidRequisite(String);

impl RequisiteFields {
    /// A text of somebody who was sent these fields, without what stands in them.
    pub fn removed_from(&self, text: &str) -> String {
        let values = [
            &self.name,
            &self.inn,
            &self.ogrn,
            &self.bik,
            &self.settlement_account,
            &self.correspondent_account,
            &self.legal_address,
            &self.signatory,
            &self.email,
            &self.phone,
        ];
        let values = values
            .into_iter()
            .chain(&self.kpp)
            .filter(|value| !value.is_empty());
        values.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "***"))
    }
}

impl fmt::Debug for RequisiteFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RequisiteFields({}, redacted)", self.legal_form)
    }
}

impl fmt::Debug for Requisite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Requisite({}, redacted)", self.0.legal_form)
    }
}

impl TryFrom<RequisiteFields> for Requisite {
    type Error = InvalidRequisite;

    fn try_from(fields: RequisiteFields) -> Result<Self, InvalidRequisite> {
        Self::new(fields).map_err(|wrong| {
            let names: Vec<&str> = wrong.iter().map(|wrong| wrong.field).collect();
            InvalidRequisite(names.join(", "))
        })
    }
}

impl From<Requisite> for RequisiteFields {
    fn from(requisite: Requisite) -> Self {
        requisite.0
    }
}

impl Requisite {
    /// Checks every field.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn new(fields: RequisiteFields) -> Result<Self, Vec<WrongField>> {
        let mut check = Check::default();
        check.legal(&fields);
        check.bank(&fields);
        check.contact(&fields);
        if check.wrong.is_empty() {
            Ok(Self(fields))
        } else {
            Err(check.wrong)
        }
    }

    /// The fields.
    pub fn fields(&self) -> &RequisiteFields {
        &self.0
    }

    /// What may be shown: enough to recognise it, and not enough to use it.
    pub fn masked(&self) -> RequisiteFields {
        let fields = &self.0;
        RequisiteFields {
            legal_form: fields.legal_form,
            name: masked(&fields.name, 3, 0),
            inn: masked(&fields.inn, 2, 2),
            kpp: fields.kpp.as_ref().map(|kpp| masked(kpp, 2, 2)),
            ogrn: masked(&fields.ogrn, 1, 2),
            bik: masked(&fields.bik, 0, 3),
            settlement_account: masked(&fields.settlement_account, 0, 4),
            correspondent_account: masked(&fields.correspondent_account, 0, 4),
            legal_address: masked(&fields.legal_address, 6, 0),
            signatory: masked(&fields.signatory, 1, 0),
            email: masked(&fields.email, 1, 0),
            phone: masked(&fields.phone, 2, 2),
        }
    }
}

/// The text with a fixed number of stars in the place of its middle, so that its length doesn't show either.
fn masked(text: &str, first: usize, last: usize) -> String {
    let length = text.chars().count();
    if length <= first.saturating_add(last) {
        return "***".to_owned();
    }
    let head: String = text.chars().take(first).collect();
    let tail: String = text.chars().skip(length.saturating_sub(last)).collect();
    format!("{head}***{tail}")
}

/// Collects what is wrong.
#[derive(Default)]
struct Check {
    wrong: Vec<WrongField>,
}

impl Check {
    fn that(&mut self, holds: bool, field: &'static str, message: impl Into<String>) {
        if !holds {
            let message = message.into();
            self.wrong.push(WrongField { field, message });
        }
    }

    fn legal(&mut self, fields: &RequisiteFields) {
        let is_company = fields.legal_form == LegalForm::LegalEntity;
        let (inn_length, inn) = if is_company {
            (
                10,
                "has to be the 10 digits of a company's INN, with its check digit",
            )
        } else {
            (
                12,
                "has to be the 12 digits of a person's INN, with its check digits",
            )
        };
        let is_inn = digits(&fields.inn, inn_length).is_some_and(|inn| checks::is_inn(&inn));
        self.that(is_inn, "inn", inn);
        match (&fields.kpp, is_company) {
            (Some(kpp), true) => self.that(
                is_kpp(kpp),
                "kpp",
                "has to be 9 characters: 4 digits, 2 digits or Latin capitals, 3 digits",
            ),
            (None, true) => self.that(false, "kpp", "is missing; a company has one"),
            (Some(_), false) => self.that(false, "kpp", "has to be left out; a sole proprietor has none"),
            (None, false) => {}
        }
        let (is_ogrn, ogrn) = if is_company {
            let is_ogrn = is_in_register(&fields.ogrn, 13, &[1, 5], 11);
            (
                is_ogrn,
                "has to be the 13 digits of an OGRN, beginning with 1 or 5, with its check digit",
            )
        } else {
            let is_ogrn = is_in_register(&fields.ogrn, 15, &[3], 13);
            (
                is_ogrn,
                "has to be the 15 digits of an OGRNIP, beginning with 3, with its check digit",
            )
        };
        self.that(is_ogrn, "ogrn", ogrn);
        self.text("name", &fields.name, MAX_NAME);
        self.text("legal_address", &fields.legal_address, MAX_ADDRESS);
        self.text("signatory", &fields.signatory, MAX_SIGNATORY);
    }

    fn bank(&mut self, fields: &RequisiteFields) {
        let bik = digits(&fields.bik, 9).filter(|bik| bik.iter().any(|digit| *digit != 0));
        self.that(bik.is_some(), "bik", "has to be the 9 digits of a bank's BIK");
        let settlement = digits(&fields.settlement_account, 20);
        let is_fitting = fits(&settlement, bik.as_ref(), checks::is_settlement_account);
        self.account("settlement_account", settlement.is_some(), is_fitting);
        let correspondent = digits(&fields.correspondent_account, 20);
        let is_fitting = fits(&correspondent, bik.as_ref(), checks::is_correspondent_account);
        self.account("correspondent_account", correspondent.is_some(), is_fitting);
    }

    fn account(&mut self, field: &'static str, is_account: bool, is_fitting: bool) {
        self.that(is_account, field, "has to be 20 digits");
        self.that(is_fitting, field, "has a key that doesn't fit the bank's BIK");
    }

    fn contact(&mut self, fields: &RequisiteFields) {
        self.that(
            is_email(&fields.email),
            "email",
            format!(
                "has to be an address like name@example.com, in ASCII, of at most {MAX_EMAIL} characters"
            ),
        );
        self.that(
            is_phone(&fields.phone),
            "phone",
            "has to be in international form: + and 7 to 15 digits",
        );
    }

    fn text(&mut self, field: &'static str, text: &str, max: usize) {
        let length = text.chars().count();
        self.that(
            (1..=max).contains(&length) && text.trim().len() == text.len(),
            field,
            format!("has to be 1 to {max} characters without a space at its ends"),
        );
        self.that(
            !text.chars().any(is_invisible),
            field,
            "may hold no invisible characters or line breaks",
        );
    }
}

/// Whether an account's key fits the bank; what isn't an account or a BIK at all is said elsewhere.
fn fits(account: &Option<Vec<u32>>, bik: Option<&Vec<u32>>, key_fits: fn(&[u32], &[u32]) -> bool) -> bool {
    match (account, bik) {
        (Some(account), Some(bik)) => key_fits(account, bik),
        _ => true,
    }
}

fn is_kpp(kpp: &str) -> bool {
    kpp.len() == 9
        && kpp.bytes().enumerate().all(|(place, byte)| match place {
            4 | 5 => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            _ => byte.is_ascii_digit(),
        })
}

fn is_in_register(number: &str, length: usize, first: &[u32], divisor: u64) -> bool {
    digits(number, length).is_some_and(|digits| {
        let begins = digits.first().is_some_and(|digit| first.contains(digit));
        begins && checks::ends_in_remainder(&digits, divisor)
    })
}

fn is_email(email: &str) -> bool {
    email.len() <= MAX_EMAIL && is_address(email)
}

fn is_phone(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|number| {
        PHONE_DIGITS.contains(&number.len())
            && !number.starts_with('0')
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Control characters, and those that change the direction of a text or take no place in it.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers made by the rules; the company doesn't exist.
    fn company() -> RequisiteFields {
        RequisiteFields {
            legal_form: LegalForm::LegalEntity,
            name: "ООО «Пример»".to_owned(),
            inn: "7707083893".to_owned(),
            kpp: Some("773601001".to_owned()),
            ogrn: "1027700132195".to_owned(),
            bik: "044525225".to_owned(),
            settlement_account: account("4070281", "38000000001"),
            correspondent_account: "30101810400000000225".to_owned(),
            legal_address: "117312, Москва, улица Примерная, дом 1".to_owned(),
            signatory: "Генеральный директор".to_owned(),
            email: "bills@example.com".to_owned(),
            phone: "+74955005550".to_owned(),
        }
    }

    /// An account with the key that fits.
    fn account(before: &str, after: &str) -> String {
        let bik = digits("044525225", 9).unwrap();
        let with_key = |key: u32| format!("{before}0{key}{after}");
        let fits = |key: &u32| checks::is_settlement_account(&digits(&with_key(*key), 20).unwrap(), &bik);
        with_key((0..10).find(fits).unwrap())
    }

    fn proprietor() -> RequisiteFields {
        RequisiteFields {
            legal_form: LegalForm::SoleProprietor,
            inn: "990912345685".to_owned(),
            kpp: None,
            ogrn: "326990000123454".to_owned(),
            ..company()
        }
    }

    fn wrong(fields: RequisiteFields) -> Vec<&'static str> {
        let wrong = Requisite::new(fields).err().unwrap_or_default();
        wrong.into_iter().map(|wrong| wrong.field).collect()
    }

    fn changed(change: impl FnOnce(&mut RequisiteFields)) -> Vec<&'static str> {
        let mut fields = company();
        change(&mut fields);
        wrong(fields)
    }

    #[test]
    fn a_company_and_a_proprietor_are_right() {
        assert_eq!(wrong(company()), Vec::<&str>::new());
        assert_eq!(wrong(proprietor()), Vec::<&str>::new());
    }

    #[test]
    fn each_field_is_named_that_is_wrong() {
        assert_eq!(changed(|fields| fields.inn = "7707083894".to_owned()), ["inn"]);
        assert_eq!(changed(|fields| fields.inn = "990912345685".to_owned()), ["inn"]);
        for kpp in [None, Some("77360100"), Some("7736О1001"), Some("7736aa001")] {
            assert_eq!(
                changed(|fields| fields.kpp = kpp.map(str::to_owned)),
                ["kpp"],
                "{kpp:?}"
            );
        }
        assert_eq!(
            changed(|fields| fields.kpp = Some("7736AZ001".to_owned())),
            Vec::<&str>::new()
        );
        assert_eq!(
            changed(|fields| fields.ogrn = "1027700132196".to_owned()),
            ["ogrn"]
        );
        assert_eq!(
            changed(|fields| fields.settlement_account = "1".repeat(19)),
            ["settlement_account"]
        );
        for email in [
            "",
            "a",
            "a@b",
            "a@b..c",
            "@b.c",
            "a b@c.d",
            "а@example.com",
            "a@b@c.d",
            "a@exa_mple.com",
        ] {
            assert_eq!(
                changed(|fields| fields.email = email.to_owned()),
                ["email"],
                "{email}"
            );
        }
        for phone in [
            "84955005550",
            "+7 495 5005550",
            "+7",
            "+０123456789",
            "+0123456789",
        ] {
            assert_eq!(
                changed(|fields| fields.phone = phone.to_owned()),
                ["phone"],
                "{phone}"
            );
        }
        for name in ["", " ", "a\nb", " a", "a\u{202e}b", &"x".repeat(301)] {
            let wrong = changed(|fields| fields.name = name.to_owned());
            assert!(
                !wrong.is_empty() && wrong.iter().all(|field| *field == "name"),
                "{name:?}"
            );
        }
    }

    #[test]
    fn another_bank_makes_both_accounts_wrong() {
        assert_eq!(
            changed(|fields| fields.bik = "044030653".to_owned()),
            ["settlement_account", "correspondent_account"]
        );
        assert_eq!(changed(|fields| fields.bik = "000000000".to_owned()), ["bik"]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut fields = proprietor();
        fields.kpp = Some("773601001".to_owned());
        fields.inn = "1".to_owned();
        fields.phone = "none".to_owned();
        fields.name = String::new();
        assert_eq!(wrong(fields), ["inn", "kpp", "name", "phone"]);
    }

    #[test]
    fn letters_that_look_like_digits_are_none() {
        for inn in ["77O7083893", "770708З893", "７707083893", "٧707083893"] {
            assert_eq!(changed(|fields| fields.inn = inn.to_owned()), ["inn"], "{inn}");
        }
    }

    #[test]
    fn nothing_of_it_is_shown_by_debug_and_little_by_the_mask() {
        let requisite = Requisite::new(company()).unwrap();
        let debug = format!("{requisite:?} {:?}", requisite.fields());
        assert_eq!(
            debug,
            "Requisite(LEGAL_ENTITY, redacted) RequisiteFields(LEGAL_ENTITY, redacted)"
        );
        let masked = requisite.masked();
        assert_eq!((masked.inn.as_str(), masked.email.as_str()), ("77***93", "b***"));
        let shown = serde_json::to_string(&masked).unwrap();
        for secret in [
            "7707083893",
            "1027700132195",
            "Примерная",
            "bills@",
            "директор",
            "74955005550",
        ] {
            assert!(!shown.contains(secret), "{secret}");
        }
        assert_eq!(super::masked("abc", 2, 2), "***");
    }

    #[test]
    fn what_stands_in_it_is_removed_from_a_text() {
        let text = "the INN 7707083893 of ООО «Пример» (773601001) is blocked";
        assert_eq!(
            company().removed_from(text),
            "the INN *** of *** (***) is blocked"
        );
        let mut without_name = company();
        without_name.name = String::new();
        assert_eq!(without_name.removed_from("is blocked"), "is blocked");
    }

    #[test]
    fn one_that_was_stored_is_checked_again() {
        let requisite = Requisite::new(company()).unwrap();
        let stored = serde_json::to_string(&requisite).unwrap();
        assert_eq!(serde_json::from_str::<Requisite>(&stored).unwrap(), requisite);
        let changed = stored.replace("7707083893", "7707083894");
        let error = serde_json::from_str::<Requisite>(&changed)
            .unwrap_err()
            .to_string();
        assert!(error.contains("inn") && !error.contains("7707083894"), "{error}");
    }
}
