//! Users of DriveWealth: made of a form, checked, proved by documents.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use domain::ids::DriveWealthUserId;
use domain::trading::kyc::document::{DocumentSide, DocumentType};
use domain::trading::kyc::form::{Form, NOBODY, USA};
use domain::trading::kyc::status::KycStatus;
use domain::trading::kyc::verdict;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::call::{DriveWealth, Request};
use super::requests::segment;
use super::session::SessionStore;
use super::{Adviser, is_missing, wire};
use crate::outcome::Outcome;

/// A person as the form describes them.
#[derive(Debug)]
pub struct Person<'a> {
    /// The form, whole.
    pub form: &'a Form,
    /// The tax id.
    pub tax_id: &'a SecretString,
}

/// A user.
#[derive(Debug, Clone)]
pub struct BrokerUser {
    /// DriveWealth's id.
    pub id: DriveWealthUserId,
    /// `PENDING`, `APPROVED`, `REVOKED`, `CLOSED`, or what else DriveWealth names.
    pub status: String,
}

/// The state of a user's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerKyc {
    /// The state; none where we don't know its name.
    pub status: Option<KycStatus>,
    /// Its name, as DriveWealth has it.
    pub status_name: String,
    /// When it came into it, if DriveWealth says so.
    pub updated_at: Option<DateTime<Utc>>,
    /// The errors by their names.
    pub errors: Vec<String>,
}

/// A document to upload.
#[derive(Debug)]
pub struct NewDocument<'a> {
    /// Whose.
    pub user: &'a DriveWealthUserId,
    /// What it is.
    pub kind: DocumentType,
    /// Which side.
    pub side: DocumentSide,
    /// The file as a data URI.
    pub data_uri: String,
    /// The same for every attempt.
    pub idempotency_key: Uuid,
}

/// A document that DriveWealth has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerDocument {
    /// DriveWealth's id.
    pub id: String,
    /// `PENDING`, `APPROVED`, `REJECTED`, or what else DriveWealth names.
    pub status: String,
}

impl<S: SessionStore> DriveWealth<S> {
    /// Makes a user (`POST /users`), which begins the check.
    pub async fn create_user(
        &self,
        person: &Person<'_>,
        adviser: &Adviser,
        key: Uuid,
        deadline: Instant,
    ) -> Outcome<BrokerUser> {
        let body = json!({
            "userType": "INDIVIDUAL_TRADER",
            "wlpID": adviser.wlp_id,
            "parentIBID": adviser.parent_ibid,
            "documents": documents(person),
        });
        let request = Request::create("/users", body, key);
        self.call(request, deadline).await.read(|body| user(&body))
    }

    /// Corrects a user (`PATCH /users/{id}`), which begins the check anew. Twice is the same as once.
    pub async fn update_user(
        &self,
        id: &DriveWealthUserId,
        person: &Person<'_>,
        deadline: Instant,
    ) -> Outcome<BrokerUser> {
        let path = format!("/users/{}", segment(id.as_str()));
        let request = Request::change(path, json!({"documents": documents(person)}));
        self.call(request, deadline).await.read(|body| user(&body))
    }

    /// A user.
    pub async fn user(&self, id: &DriveWealthUserId, deadline: Instant) -> Outcome<BrokerUser> {
        let request = Request::get(format!("/users/{}", segment(id.as_str())));
        self.call(request, deadline).await.read(|body| user(&body))
    }

    /// The state of a user's check; none before DriveWealth has begun with it.
    pub async fn kyc(&self, id: &DriveWealthUserId, deadline: Instant) -> Outcome<Option<BrokerKyc>> {
        let request = Request::get(format!("/users/{}/kyc-status", segment(id.as_str())));
        match self.call(request, deadline).await.read(|body| kyc(&body)) {
            Outcome::Declined(decline) if is_missing(&decline) => Outcome::Done(None),
            outcome => outcome,
        }
    }

    /// Uploads a document (`POST /documents`), which may begin the check anew.
    pub async fn upload_document(&self, new: &NewDocument<'_>, deadline: Instant) -> Outcome<BrokerDocument> {
        let body = json!({
            "userID": new.user,
            "type": new.kind,
            "side": new.side,
            "documentImage": new.data_uri,
        });
        let request = Request::create("/documents", body, new.idempotency_key);
        self.call(request, deadline)
            .await
            .read(|body| document(wire::parse(&body)?))
    }

    /// The documents of a user.
    pub async fn documents_of(
        &self,
        id: &DriveWealthUserId,
        deadline: Instant,
    ) -> Outcome<Vec<BrokerDocument>> {
        let request = Request::get(format!("/users/{}/documents", segment(id.as_str())));
        self.call(request, deadline).await.read(|body| {
            let items: Vec<DocumentObject> = wire::parse(&body)?;
            items.into_iter().map(document).collect()
        })
    }
}

/// The user of a `users.*`, `kyc.*` or `accounts.*` event.
///
/// # Errors
/// When the payload names none.
pub fn user_of_event(payload: &RawValue) -> Result<DriveWealthUserId, String> {
    #[derive(Deserialize)]
    struct UserEvent {
        #[serde(rename = "userID")]
        user_id: DriveWealthUserId,
    }
    Ok(wire::parse::<UserEvent>(payload.get().as_bytes())?.user_id)
}

/// The form as DriveWealth takes it: eight documents.
fn documents(person: &Person<'_>) -> Value {
    let form = person.form;
    let text = |field: &str| form.text(field).map(str::to_owned);
    let flag = |field: &str| form.flag(field).unwrap_or(false);
    let or_usa = |field: &str| form.text(field).unwrap_or(USA).to_owned();
    let exposed = text("politically_exposed_names").filter(|names| !names.eq_ignore_ascii_case(NOBODY));
    let birth = form
        .text("birthdate")
        .and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    let tax_id: String = person
        .tax_id
        .expose_secret()
        .chars()
        .filter(|character| *character != '-')
        .collect();
    let of_kind = |kind: &str, data: Value| json!({"type": kind, "data": data});
    json!([
        of_kind(
            "BASIC_INFO",
            json!({
                "firstName": text("first_name"), "lastName": text("last_name"), "country": or_usa("country"),
                "phone": text("phone_number"), "emailAddress": text("email_address"),
                "language": form.text("language").unwrap_or("en_US"),
            })
        ),
        of_kind(
            "IDENTIFICATION_INFO",
            json!({
                "value": tax_id, "type": text("tax_id_type"), "citizenship": or_usa("citizenship"),
                "usTaxPayer": flag("is_us_tax_payer"),
            })
        ),
        of_kind("TAX_INFO", json!({"taxTreatyWithUS": flag("tax_treaty_with_us")})),
        of_kind(
            "PERSONAL_INFO",
            json!({
                "birthDay": birth.map(|date| date.day()), "birthMonth": birth.map(|date| date.month()),
                "birthYear": birth.map(|date| date.year()), "politicallyExposedNames": exposed,
                "irsBackupWithholdings": flag("irs_backup_withholdings_notified"), "gender": text("gender"),
                "marital": text("marital_status"),
            })
        ),
        of_kind(
            "ADDRESS_INFO",
            json!({
                "street1": text("address_street1"), "street2": text("address_street2"), "city": text("address_city"),
                "province": text("address_province"), "postalCode": text("address_postal_code"),
                "country": or_usa("address_country"),
            })
        ),
        of_kind(
            "EMPLOYMENT_INFO",
            json!({
                "status": text("employment_status"), "company": text("employment_company_name"),
                "type": text("employment_type"), "position": text("employment_position"),
                "broker": flag("employment_affiliated_with_a_broker"),
                "directorOf": text("employment_is_director_of_a_public_company"),
            })
        ),
        of_kind(
            "INVESTOR_PROFILE_INFO",
            json!({
                "investmentExperience": text("investor_profile_experience"),
                "annualIncome": form.dollars("investor_profile_annual_income"),
                "networthTotal": form.dollars("investor_profile_net_worth_total"),
                "networthLiquid": form.dollars("investor_profile_net_worth_liquid"),
                "riskTolerance": text("investor_profile_risk_tolerance"),
                "investmentObjectives": text("investor_profile_objectives"),
            })
        ),
        of_kind(
            "DISCLOSURES",
            json!({
                "termsOfUse": flag("disclosures_drivewealth_terms_of_use"),
                "customerAgreement": flag("disclosures_drivewealth_customer_agreement"),
                "iraAgreement": flag("disclosures_drivewealth_ira_agreement"),
                "marketDataAgreement": flag("disclosures_drivewealth_market_data_agreement"),
                "rule14b": flag("disclosures_rule14b"), "findersFee": false,
                "privacyPolicy": flag("disclosures_drivewealth_privacy_policy"),
                "dataSharing": flag("disclosures_drivewealth_data_sharing"), "signedBy": text("disclosures_signed_by"),
            })
        ),
    ])
}

/// `"APPROVED"`, or `{"name": "APPROVED"}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum StatusName {
    Text(String),
    Object { name: String },
}

impl StatusName {
    fn into_text(self) -> String {
        match self {
            Self::Text(name) | Self::Object { name } => name,
        }
    }
}

/// Flat, or in a wrapper.
fn user(body: &[u8]) -> Result<BrokerUser, String> {
    #[derive(Deserialize)]
    struct Wrapped {
        user: UserObject,
    }
    #[derive(Deserialize)]
    struct UserObject {
        id: DriveWealthUserId,
        status: StatusName,
    }
    let user = match wire::parse::<UserObject>(body) {
        Ok(user) => user,
        Err(_) => wire::parse::<Wrapped>(body)?.user,
    };
    Ok(BrokerUser {
        id: user.id,
        status: user.status.into_text(),
    })
}

fn kyc(body: &[u8]) -> Result<Option<BrokerKyc>, String> {
    #[derive(Deserialize)]
    struct Response {
        kyc: Option<KycObject>,
    }
    #[derive(Deserialize)]
    struct KycObject {
        status: Option<StatusName>,
        updated: Option<DateTime<Utc>>,
        errors: Option<Vec<ErrorObject>>,
    }
    #[derive(Deserialize)]
    struct ErrorObject {
        name: Option<String>,
        code: Option<String>,
    }
    let response: Response = wire::parse(body)?;
    let Some(KycObject {
        status: Some(status),
        updated,
        errors,
    }) = response.kyc
    else {
        return Ok(None);
    };
    let status_name = status.into_text();
    let errors = errors.unwrap_or_default();
    let name = |error: &ErrorObject| verdict::name_of(error.name.as_deref(), error.code.as_deref());
    Ok(Some(BrokerKyc {
        status: kyc_status(&status_name),
        status_name,
        updated_at: updated,
        errors: errors.iter().map(name).collect(),
    }))
}

fn kyc_status(name: &str) -> Option<KycStatus> {
    let name = name.strip_prefix("KYC_").unwrap_or(name).to_ascii_lowercase();
    KycStatus::parse(&name)
}

#[derive(Deserialize)]
struct DocumentObject {
    id: Option<String>,
    #[serde(rename = "documentID")]
    document_id: Option<String>,
    status: Option<StatusName>,
}

fn document(object: DocumentObject) -> Result<BrokerDocument, String> {
    Ok(BrokerDocument {
        id: object
            .id
            .or(object.document_id)
            .ok_or("a document without an id")?,
        status: object
            .status
            .map_or_else(|| "PENDING".to_owned(), StatusName::into_text),
    })
}

#[cfg(test)]
mod tests {
    use domain::trading::kyc::form::Answer;

    use super::*;

    #[test]
    fn a_form_becomes_eight_documents() {
        let answers = [
            ("first_name", Answer::Text("Ada".to_owned())),
            ("birthdate", Answer::Text("1990-12-10".to_owned())),
            ("politically_exposed_names", Answer::Text("None".to_owned())),
            ("is_us_tax_payer", Answer::Flag(true)),
            ("investor_profile_annual_income", Answer::Amount(70_000)),
        ];
        let answers = answers.map(|(field, answer)| (field.to_owned(), answer));
        let form = Form::new(answers.into_iter().collect());
        let tax_id = SecretString::from("123-45-6789".to_owned());
        let person = Person {
            form: &form,
            tax_id: &tax_id,
        };
        let documents = documents(&person);
        let data = |kind: &str| {
            let found = documents
                .as_array()
                .unwrap()
                .iter()
                .find(|document| document["type"] == kind);
            found.unwrap()["data"].clone()
        };
        assert_eq!(documents.as_array().unwrap().len(), 8);
        assert_eq!(data("IDENTIFICATION_INFO")["value"], "123456789");
        assert_eq!(data("IDENTIFICATION_INFO")["usTaxPayer"], true);
        assert_eq!(data("PERSONAL_INFO")["birthYear"], 1990);
        assert_eq!(data("PERSONAL_INFO")["politicallyExposedNames"], Value::Null);
        assert_eq!(data("INVESTOR_PROFILE_INFO")["annualIncome"], 70_000);
        assert!(
            !format!("{person:?}").contains("6789"),
            "no tax id in what is logged"
        );
    }

    #[test]
    fn a_user_is_read_flat_and_wrapped() {
        for body in [
            r#"{"id":"u-1","status":{"name":"PENDING"}}"#,
            r#"{"user":{"id":"u-1","status":"PENDING"}}"#,
        ] {
            let user = user(body.as_bytes()).unwrap();
            assert_eq!((user.id.as_str(), user.status.as_str()), ("u-1", "PENDING"));
        }
    }

    #[test]
    fn a_check_is_read_with_names_before_codes_and_unknown_ones_kept() {
        let body = r#"{"kyc":{"status":{"name":"KYC_INFO_REQUIRED","code":"KS105"},"updated":"2026-11-28T10:00:00Z",
            "errors":[{"name":"SSN_NOT_MATCH","code":"K101"},{"code":"K110"},{"name":"NEW_ONE"}]}}"#;
        let read = kyc(body.as_bytes()).unwrap().unwrap();
        assert_eq!(read.status, Some(KycStatus::InfoRequired));
        assert_eq!(read.errors, ["SSN_NOT_MATCH", "INVALID_NAME_TOO_LONG", "NEW_ONE"]);
        assert_eq!(kyc(b"{}").unwrap(), None);
        let unknown = kyc(br#"{"kyc":{"status":{"name":"KYC_SIDEWAYS"}}}"#)
            .unwrap()
            .unwrap();
        assert_eq!(
            (unknown.status, unknown.status_name.as_str()),
            (None, "KYC_SIDEWAYS")
        );
    }

    #[test]
    fn a_document_is_read_in_both_spellings() {
        let read = |text: &str| document(serde_json::from_str(text).unwrap());
        let first = read(r#"{"id":"d-1","status":{"name":"PENDING"},"type":"ACATS_IN"}"#).unwrap();
        assert_eq!((first.id.as_str(), first.status.as_str()), ("d-1", "PENDING"));
        assert_eq!(read(r#"{"documentID":"d-2"}"#).unwrap().id, "d-2");
        assert!(read("{}").is_err());
    }
}
