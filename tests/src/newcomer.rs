//! Somebody new: brought in by the company's user service, and then on their own through the API.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{Answer, Api, Fixture, Result, eventually};

/// Profiles of newcomers begin above those that tests write into the database themselves.
const FIRST_PROFILE: i64 = 1_000_000;
static NEXT_PROFILE: AtomicI64 = AtomicI64::new(FIRST_PROFILE);

/// Somebody without anything yet.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Their profile.
    pub profile_id: i64,
    /// The API with their token.
    pub api: Api,
    /// Their phone.
    pub phone: String,
}

/// A phone of the USA that belongs to a profile alone.
pub fn phone_of(profile_id: i64) -> String {
    format!("+1{}", 2_020_000_000 + profile_id % 1_000_000_000)
}

/// A form that lacks nothing. The broker's sandbox decides by the last name.
pub fn whole_form(phone: &str, last_name: &str) -> Value {
    json!({
        "first_name": "Grace", "last_name": last_name, "country": "USA", "phone_number": phone,
        "email_address": "grace@example.com", "language": "en_US",
        "address_street1": "12 Main Street", "address_city": "New York", "address_province": "NY",
        "address_postal_code": "10001", "address_country": "USA",
        "birthdate": "1990-12-10", "marital_status": "SINGLE", "citizenship": "USA",
        "is_us_tax_payer": true, "tax_treaty_with_us": false, "politically_exposed_names": "none",
        "tax_id_type": "SSN", "tax_id_value": "123-45-6789",
        "employment_status": "EMPLOYED", "employment_company_name": "Navy", "employment_type": "PROFESSIONAL",
        "employment_position": "IT",
        "investor_profile_experience": "YRS_3_5", "investor_profile_annual_income": 70_000,
        "investor_profile_net_worth_total": 200_000, "investor_profile_net_worth_liquid": 50_000,
        "investor_profile_risk_tolerance": "MODERATE", "investor_profile_objectives": "LONG_TERM",
        "disclosures_drivewealth_terms_of_use": true, "disclosures_drivewealth_customer_agreement": true,
        "disclosures_drivewealth_market_data_agreement": true, "disclosures_rule14b": true,
        "disclosures_drivewealth_privacy_policy": true, "disclosures_drivewealth_data_sharing": true,
        "disclosures_signed_by": format!("Grace {last_name}"),
    })
}

impl Fixture {
    /// Somebody new, as the user service brings them in.
    ///
    /// # Errors
    /// When the API refuses it.
    pub async fn newcomer(&self) -> Result<Newcomer> {
        let profile_id = NEXT_PROFILE.fetch_add(1, Ordering::Relaxed);
        let service = self.api(Some(json!({ "scope": "internal" })))?;
        let person = json!({
            "email": format!("grace.{profile_id}@example.com"), "first_name": "Grace", "last_name": "Example",
        });
        service
            .put(&format!("/profiles/{profile_id}"), &person)
            .await?
            .expect(201)?;
        Ok(Newcomer {
            profile_id,
            api: self.api(Some(json!({ "profile_id": profile_id })))?,
            phone: phone_of(profile_id),
        })
    }

    /// The newest code that a phone has got.
    ///
    /// # Errors
    /// When it has got none.
    pub fn code_of(&self, phone: &str) -> Result<String> {
        let messages = self.cloud.sms().messages_to(phone);
        let text = &messages
            .last()
            .with_context(|| format!("{phone} has got no message"))?
            .text;
        let code: String = text.chars().take_while(char::is_ascii_digit).collect();
        ensure!(code.len() == 6, "no code of six digits in {text:?}");
        Ok(code)
    }
}

impl Newcomer {
    /// Writes answers into the form.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn put_form(&self, answers: &Value) -> Result<Answer> {
        self.api.put("/trading/kyc/form", answers).await
    }

    /// The form.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn form(&self) -> Result<Value> {
        Ok(self.api.get("/trading/kyc/form").await?.expect(200)?.body)
    }

    /// Has a code sent to the phone.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_code(&self) -> Result<Answer> {
        let body = json!({ "phone_number": self.phone });
        self.api.post("/trading/kyc/phone-codes", "unused", &body).await
    }

    /// Takes a code back.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn verify(&self, code: &str) -> Result<Answer> {
        let body = json!({ "phone_number": self.phone, "code": code });
        self.api
            .post("/trading/kyc/phone-codes/verifications", "unused", &body)
            .await
    }

    /// Proves the phone.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn prove_phone(&self, fixture: &Fixture) -> Result {
        self.send_code().await?.expect(201)?;
        self.verify(&fixture.code_of(&self.phone)?).await?.expect(201)?;
        Ok(())
    }

    /// Waits until the form is in this state.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn status_reaches(&self, status: &str) -> Result<Value> {
        eventually(&format!("the check becomes {status}"), async || {
            let form = self.form().await?;
            ensure!(form["status"] == status, "it is {}", form["status"]);
            Ok(form)
        })
        .await
    }
}

/// The identity check.
impl Newcomer {
    /// Fills the form in whole and proves the phone. The last name decides what the check comes to.
    ///
    /// # Errors
    /// When that is refused.
    pub async fn fill_in(&self, fixture: &Fixture, last_name: &str) -> Result {
        self.put_form(&whole_form(&self.phone, last_name))
            .await?
            .expect(200)?;
        self.prove_phone(fixture).await
    }

    /// Submits the form.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn submit(&self) -> Result<Answer> {
        self.api
            .post("/trading/kyc/submissions", "unused", &json!({}))
            .await
    }

    /// The check, as the person sees it.
    ///
    /// # Errors
    /// When the API doesn't answer 200.
    pub async fn check(&self) -> Result<Value> {
        Ok(self.api.get("/trading/kyc/status").await?.expect(200)?.body)
    }

    /// Waits until the trading account is open.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn account_opens(&self) -> Result<Value> {
        eventually("the trading account is open", async || {
            let profile = self.api.get("/trading/profile").await?.expect(200)?.body;
            ensure!(
                profile["account_status"] == "open",
                "it is {}",
                profile["account_status"]
            );
            Ok(profile)
        })
        .await
    }

    /// The person's user at the broker.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn broker_user(&self, fixture: &Fixture) -> Result<String> {
        let users = fixture.cloud.drivewealth().users();
        let phone = |user: &local_cloud::sandboxes::drivewealth::User| {
            user.documents
                .get("BASIC_INFO")
                .map(|basic| basic["phone"].clone())
        };
        let theirs: Vec<_> = users
            .into_iter()
            .filter(|user| phone(user) == Some(json!(self.phone)))
            .collect();
        ensure!(
            theirs.len() == 1,
            "the broker has {} users of one person",
            theirs.len()
        );
        theirs.into_iter().next().map(|user| user.id).context("no user")
    }
}
