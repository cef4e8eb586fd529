//! Users and their checks: a user is made of eight documents, the check's verdict follows from the last name, as in
//! DriveWealth's own sandbox, and a document or a correction begins the check anew.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use domain::trading::kyc::verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::events::envelope;
use super::time;

/// The documents that a user is made of, each with the fields that it needs.
const NEEDED: [(&str, &[&str]); 8] = [
    (
        "BASIC_INFO",
        &["firstName", "lastName", "country", "phone", "emailAddress"],
    ),
    (
        "IDENTIFICATION_INFO",
        &["value", "type", "citizenship", "usTaxPayer"],
    ),
    ("TAX_INFO", &["taxTreatyWithUS"]),
    ("PERSONAL_INFO", &["birthDay", "birthMonth", "birthYear"]),
    (
        "ADDRESS_INFO",
        &["street1", "city", "province", "postalCode", "country"],
    ),
    ("EMPLOYMENT_INFO", &["status"]),
    (
        "INVESTOR_PROFILE_INFO",
        &[
            "investmentExperience",
            "annualIncome",
            "networthTotal",
            "networthLiquid",
            "riskTolerance",
            "investmentObjectives",
        ],
    ),
    (
        "DISCLOSURES",
        &[
            "termsOfUse",
            "marketDataAgreement",
            "rule14b",
            "privacyPolicy",
            "dataSharing",
            "signedBy",
        ],
    ),
];
const TAX_ID_TYPES: [&str; 6] = ["SSN", "US_TIN", "FTIN", "EIN", "GIIN", "FTNLO"];
const DOCUMENT_TYPES: [&str; 7] = [
    "DRIVER_LICENSE",
    "PASSPORT",
    "NATIONAL_ID_CARD",
    "VOTER_ID",
    "WORK_PERMIT",
    "VISA",
    "RESIDENCE_PERMIT",
];
const MAX_DOCUMENT_BYTES: usize = 10 * 1024 * 1024;

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Its id, a UUID.
    pub id: String,
    /// `PENDING`, `APPROVED`, `CLOSED`.
    pub status: String,
    /// The documents that it is made of, by their type.
    pub documents: BTreeMap<String, Value>,
    /// The check's state: `KYC_PROCESSING`.
    pub kyc_status: String,
    /// What the check has found.
    pub kyc_errors: Vec<String>,
    /// When the check came into the state.
    pub kyc_updated: DateTime<Utc>,
    /// Counts the checks; a verdict belongs to one.
    pub checks: u64,
    /// The files that were uploaded.
    pub uploads: Vec<Upload>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A file that was uploaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Which side.
    pub side: Option<String>,
    /// `PENDING`, `APPROVED`, `REJECTED`.
    pub status: String,
    /// The media type that it came with.
    pub media_type: String,
}

/// The verdict of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: &'static str,
    pub(crate) errors: Vec<String>,
}

#[derive(Deserialize)]
struct TypedDocument {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct Documents {
    documents: Vec<TypedDocument>,
}

#[derive(Deserialize)]
pub(crate) struct NewUpload {
    #[serde(rename = "userID")]
    pub(crate) user_id: String,
    #[serde(rename = "type")]
    kind: String,
    side: Option<String>,
    #[serde(rename = "documentImage")]
    image: String,
}

impl User {
    /// A user of the documents in a request; says what is wrong with them.
    pub(crate) fn made_of(body: &Value, now: DateTime<Utc>) -> Result<Self, String> {
        let mut user = Self {
            id: Uuid::new_v4().to_string(),
            status: "PENDING".to_owned(),
            documents: BTreeMap::new(),
            kyc_status: "KYC_PROCESSING".to_owned(),
            kyc_errors: Vec::new(),
            kyc_updated: now,
            checks: 1,
            uploads: Vec::new(),
            created: now,
        };
        for name in ["wlpID", "parentIBID"] {
            if body
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
            {
                return Err(format!("{name} is missing"));
            }
        }
        user.merge(body)?;
        Ok(user)
    }

    /// Writes documents over those that are there; nothing is written when something is missing.
    pub(crate) fn merge(&mut self, body: &Value) -> Result<(), String> {
        let given: Documents = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
        let mut documents = self.documents.clone();
        for TypedDocument { kind, data } in given.documents {
            documents.insert(kind, data);
        }
        check(&documents)?;
        self.documents = documents;
        Ok(())
    }

    /// Begins the check anew.
    pub(crate) fn begin_check(&mut self, now: DateTime<Utc>) {
        self.checks += 1;
        self.set_check("KYC_PROCESSING", Vec::new(), now);
    }

    /// Puts the check into a state, at a time of its own.
    pub(crate) fn set_check(&mut self, status: &str, errors: Vec<String>, now: DateTime<Utc>) {
        self.kyc_status = status.to_owned();
        self.kyc_errors = errors;
        self.kyc_updated = now.max(self.kyc_updated + Duration::milliseconds(1));
        if status == "KYC_APPROVED" {
            self.status = "APPROVED".to_owned();
            for upload in &mut self.uploads {
                "APPROVED".clone_into(&mut upload.status);
            }
        }
    }

    /// The verdict that the check comes to: an error when the last name is one's, or a state's name.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let name = self
            .text("BASIC_INFO", "lastName")
            .to_ascii_uppercase()
            .replace([' ', '-'], "_");
        let has_document = !self.uploads.is_empty();
        let verdict = |status, errors: &[&str]| {
            Some(Verdict {
                status,
                errors: errors.iter().map(|error| (*error).to_owned()).collect(),
            })
        };
        match (name.as_str(), verdict::by_name(&name)) {
            ("PROCESSING", _) => None,
            ("DENIED", _) => verdict("KYC_DENIED", &["SSN_NOT_MATCH"]),
            ("MANUAL_REVIEW", _) => verdict("KYC_MANUAL_REVIEW", &[]),
            ("DOC_REQUIRED", _) if !has_document => verdict("KYC_DOC_REQUIRED", &[]),
            ("SIDEWAYS", _) => verdict("KYC_SIDEWAYS", &[]),
            (_, Some(error)) if error.remedy == verdict::Remedy::Upload && !has_document => {
                verdict("KYC_DOC_REQUIRED", &[error.name])
            }
            (_, Some(error)) if error.remedy == verdict::Remedy::Upload => verdict("KYC_APPROVED", &[]),
            (_, Some(error)) if error.remedy == verdict::Remedy::Support => {
                verdict("KYC_MANUAL_REVIEW", &[error.name])
            }
            (_, Some(error)) => verdict("KYC_INFO_REQUIRED", &[error.name]),
            _ => verdict("KYC_APPROVED", &[]),
        }
    }

    /// Takes a file; says what is wrong with it.
    pub(crate) fn upload(&mut self, new: NewUpload) -> Result<Value, String> {
        if !DOCUMENT_TYPES.contains(&new.kind.as_str()) {
            return Err(format!("type {} is not valid", new.kind));
        }
        let (media_type, content) = new
            .image
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(";base64,"))
            .ok_or("documentImage must be a data URI in base64")?;
        if !["image/jpeg", "image/png", "application/pdf"].contains(&media_type) {
            return Err(format!("{media_type} is not supported"));
        }
        if content.is_empty() || content.len() / 4 * 3 > MAX_DOCUMENT_BYTES {
            return Err("the document must have 1 byte to 10 MB".to_owned());
        }
        let upload = Upload {
            id: Uuid::new_v4().to_string(),
            kind: new.kind,
            side: new.side,
            status: "PENDING".to_owned(),
            media_type: media_type.to_owned(),
        };
        let answer = json!({
            "id": upload.id, "type": upload.kind, "side": upload.side, "status": {"name": upload.status},
        });
        self.uploads.push(upload);
        Ok(answer)
    }

    fn text(&self, document: &str, field: &str) -> &str {
        let found = self
            .documents
            .get(document)
            .and_then(|document| document.get(field));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// The user as REST gives it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "userType": { "name": "INDIVIDUAL_TRADER" },
            "status": { "name": self.status, "description": self.status },
            "parentIB": { "id": "local" },
            "createdWhen": time(self.created),
        })
    }

    /// The answer about its check.
    pub(crate) fn kyc_json(&self) -> Value {
        let errors: Vec<Value> = self.kyc_errors.iter().map(|name| error_json(name)).collect();
        json!({
            "userID": self.id,
            "kyc": {
                "status": { "name": self.kyc_status, "code": "KS000", "description": self.kyc_status },
                "approved": self.kyc_status == "KYC_APPROVED",
                "accepted": self.kyc_status == "KYC_APPROVED",
                "errors": errors,
                "statusComment": Value::Null,
                "updated": time(self.kyc_updated),
            },
        })
    }

    /// The list of its files, in which a type is an object.
    pub(crate) fn uploads_json(&self) -> Value {
        let item = |upload: &Upload| {
            json!({
                "id": upload.id, "type": { "name": upload.kind, "description": upload.kind }, "side": upload.side,
                "status": { "name": upload.status },
            })
        };
        Value::Array(self.uploads.iter().map(item).collect())
    }

    /// The event about its check.
    pub(crate) fn kyc_event(&self, previous: &str, now: DateTime<Utc>) -> Value {
        let payload = json!({
            "userID": self.id,
            "previous": { "status": previous },
            "current": { "status": self.kyc_status, "statusMessage": "", "details": self.kyc_errors },
        });
        envelope("kyc.updated", payload, now)
    }

    /// The event about itself.
    pub(crate) fn event(&self, kind: &str, now: DateTime<Utc>) -> Value {
        let payload = json!({
            "userID": self.id, "current": { "status": { "name": self.status } }, "previous": {},
        });
        envelope(kind, payload, now)
    }
}

fn error_json(name: &str) -> Value {
    let code = verdict::by_name(name).map(|error| error.code);
    json!({ "name": name, "code": code, "description": name })
}

fn check(documents: &BTreeMap<String, Value>) -> Result<(), String> {
    for (kind, fields) in NEEDED {
        let document = documents.get(kind).ok_or(format!("document {kind} is missing"))?;
        for field in fields {
            let is_there = document
                .get(*field)
                .is_some_and(|value| !value.is_null() && value != "");
            if !is_there {
                return Err(format!("{field} of {kind} is missing"));
            }
        }
    }
    let exposed = documents
        .get("PERSONAL_INFO")
        .and_then(|document| document.get("politicallyExposedNames"));
    if exposed.is_none() {
        return Err("politicallyExposedNames of PERSONAL_INFO is missing".to_owned());
    }
    let kind = documents
        .get("IDENTIFICATION_INFO")
        .and_then(|document| document.get("type"));
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    match TAX_ID_TYPES.contains(&kind) {
        true => Ok(()),
        false => Err(format!("type {kind} of IDENTIFICATION_INFO is not valid")),
    }
}
