//! The errors that the broker's check names: what each means, and what the person can do.
//!
//! They are told by name first and by code second, since the broker's own pages contradict each other about the codes; one
//! that is in neither list is kept as it came. Codes of the check are a list of their own: K110 is a name that is too long
//! here, and something else in the broker's answers about bank accounts.

/// What a person can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Correct these fields and submit the form again.
    Correct(&'static [&'static str]),
    /// Upload a document, or a better one.
    Upload,
    /// Talk to support.
    Support,
}

/// An error of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KycError {
    /// Its name, which is what we keep.
    pub name: &'static str,
    /// The broker's code of it.
    pub code: &'static str,
    /// What it means, for people.
    pub message: &'static str,
    /// What can be done.
    pub remedy: Remedy,
}

/// The name of an error that says nothing.
pub const UNKNOWN: &str = "UNKNOWN";

const NAME: &[&str] = &["first_name", "last_name"];
const BIRTH: &[&str] = &["birthdate"];
const ADDRESS: &[&str] = &[
    "address_street1",
    "address_street2",
    "address_city",
    "address_province",
    "address_postal_code",
    "address_country",
];
const TAX_ID: &[&str] = &["tax_id_value", "tax_id_type"];
const COUNTRY: &[&str] = &["country", "citizenship", "address_country"];

const fn error(name: &'static str, code: &'static str, message: &'static str, remedy: Remedy) -> KycError {
    KycError {
        name,
        code,
        message,
        remedy,
    }
}

/// All that the broker documents.
pub const ERRORS: &[KycError] = &[
    error(
        "AGE_VALIDATION",
        "K001",
        "You are below the minimum age.",
        Remedy::Correct(BIRTH),
    ),
    error(
        "POOR_PHOTO_QUALITY",
        "K002",
        "The photo is too dark, damaged, blurry, cut off or has glare.",
        Remedy::Upload,
    ),
    error(
        "POOR_DOC_QUALITY",
        "K003",
        "The document can't be read well.",
        Remedy::Upload,
    ),
    error(
        "SUSPECTED_DOCUMENT_FRAUD",
        "K004",
        "The document seems to have been changed.",
        Remedy::Support,
    ),
    error(
        "INCORRECT_SIDE",
        "K005",
        "It is the wrong side of the document.",
        Remedy::Upload,
    ),
    error(
        "NO_DOC_IN_IMAGE",
        "K006",
        "There is no document in the picture.",
        Remedy::Upload,
    ),
    error(
        "TWO_DOCS_UPLOADED",
        "K007",
        "Two different documents were uploaded.",
        Remedy::Upload,
    ),
    error(
        "EXPIRED_DOCUMENT",
        "K008",
        "The document has expired.",
        Remedy::Upload,
    ),
    error(
        "MISSING_BACK",
        "K009",
        "The document's back is missing.",
        Remedy::Upload,
    ),
    error(
        "UNSUPPORTED_DOCUMENT",
        "K010",
        "Such a document isn't accepted.",
        Remedy::Upload,
    ),
    error(
        "DOB_NOT_MATCH_ON_DOC",
        "K011",
        "The date of birth isn't the document's.",
        Remedy::Correct(BIRTH),
    ),
    error(
        "NAME_NOT_MATCH_ON_DOC",
        "K012",
        "The name isn't the document's.",
        Remedy::Correct(NAME),
    ),
    error(
        "INVALID_DOCUMENT",
        "K050",
        "The document is damaged or can't be opened.",
        Remedy::Upload,
    ),
    error(
        "ADDRESS_NOT_MATCH",
        "K101",
        "The address could not be confirmed.",
        Remedy::Correct(ADDRESS),
    ),
    error(
        "SSN_NOT_MATCH",
        "K102",
        "The tax id could not be confirmed.",
        Remedy::Correct(TAX_ID),
    ),
    error(
        "DOB_NOT_MATCH",
        "K103",
        "The date of birth could not be confirmed.",
        Remedy::Correct(BIRTH),
    ),
    error(
        "NAME_NOT_MATCH",
        "K104",
        "The name could not be confirmed.",
        Remedy::Correct(NAME),
    ),
    error(
        "SANCTION_WATCHLIST",
        "K106",
        "Your account can't be opened for now.",
        Remedy::Support,
    ),
    error(
        "SANCTION_OFAC",
        "K107",
        "Your account can't be opened for now.",
        Remedy::Support,
    ),
    error(
        "INVALID_PHONE_NUMBER",
        "K108",
        "The phone number isn't valid.",
        Remedy::Correct(&["phone_number"]),
    ),
    error(
        "INVALID_EMAIL_ADDRESS",
        "K109",
        "The mail address isn't valid.",
        Remedy::Correct(&["email_address"]),
    ),
    error(
        "INVALID_NAME_TOO_LONG",
        "K110",
        "The name has more than 36 characters.",
        Remedy::Correct(NAME),
    ),
    error(
        "UNSUPPORTED_COUNTRY",
        "K111",
        "The country isn't supported.",
        Remedy::Correct(COUNTRY),
    ),
    error(
        "AGED_ACCOUNT",
        "K801",
        "The identity wasn't confirmed within 30 days.",
        Remedy::Support,
    ),
    error(
        "ACCOUNT_INTEGRITY",
        "K802",
        "Your account can't be opened for now.",
        Remedy::Support,
    ),
    error(
        UNKNOWN,
        "U999",
        "The check failed for a reason that wasn't named.",
        Remedy::Support,
    ),
];

/// An error by its name.
pub fn by_name(name: &str) -> Option<&'static KycError> {
    ERRORS.iter().find(|error| error.name == name)
}

/// The name to keep of an error that came with a name, a code, or both.
pub fn name_of(name: Option<&str>, code: Option<&str>) -> String {
    let named = name.filter(|name| !name.is_empty());
    let by_code = || ERRORS.iter().find(|error| Some(error.code) == code);
    match (named, named.and_then(by_name)) {
        (_, Some(known)) => known.name.to_owned(),
        // A name that nobody knows says more than what the codes may mean.
        (Some(other), None) => other.to_owned(),
        (None, None) => match (by_code(), code) {
            (Some(known), _) => known.name.to_owned(),
            (None, Some(other)) if !other.is_empty() => other.to_owned(),
            _ => UNKNOWN.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_name_then_by_its_code_and_kept_if_unknown() {
        assert_eq!(name_of(Some("SSN_NOT_MATCH"), Some("K101")), "SSN_NOT_MATCH");
        assert_eq!(name_of(None, Some("K101")), "ADDRESS_NOT_MATCH");
        assert_eq!(name_of(Some(""), Some("K110")), "INVALID_NAME_TOO_LONG");
        assert_eq!(name_of(Some("USER_ID_ERROR"), Some("K101")), "USER_ID_ERROR");
        assert_eq!(name_of(None, Some("K777")), "K777");
        assert_eq!(name_of(None, None), UNKNOWN);
    }

    #[test]
    fn every_error_leads_somewhere() {
        let fields: Vec<&str> = super::super::form::FIELDS
            .iter()
            .map(|field| field.name)
            .collect();
        for error in ERRORS {
            assert_eq!(by_name(error.name), Some(error), "a name twice");
            if let Remedy::Correct(named) = error.remedy {
                assert!(
                    !named.is_empty() && named.iter().all(|name| fields.contains(name)),
                    "{}",
                    error.name
                );
            }
        }
    }
}
