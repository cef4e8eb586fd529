//! Bringing a customer in as it happens in production: by the user service and the app, through the API of a local cloud that
//! is up. `make customer` and `make up` do it, and the demonstration tells it.

use anyhow::{Context, ensure};
use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    Answer, Api, Result,
    customers::CustomerIds,
    eventually,
    newcomer::{phone_of, whole_form},
};

/// The first profile of a system without any.
pub const FIRST_PROFILE: i64 = 1;

/// Who is brought in.
#[derive(Clone, Debug)]
pub struct Person {
    /// The profile's id, as the user service has it.
    pub profile_id: i64,
    /// The last name, which decides what the identity check comes to.
    pub last_name: String,
    /// What the bank account holds.
    pub bank_balance_cents: i64,
}

impl Person {
    /// Somebody with a new id: of the seconds since 1970.
    pub fn new() -> Self {
        Self::of(Utc::now().timestamp())
    }

    /// Somebody with this id.
    pub fn of(profile_id: i64) -> Self {
        Self {
            profile_id,
            last_name: "Example".to_owned(),
            bank_balance_cents: 1_000_000,
        }
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

/// A local cloud that is up, as its user service, its app and its visitors see it.
#[derive(Clone, Debug)]
pub struct Onboarding {
    url: String,
    sandboxes_url: String,
    http: reqwest::Client,
}

impl Onboarding {
    /// The local cloud at an address.
    ///
    /// # Errors
    /// When it doesn't answer as a local cloud does.
    pub async fn at(url: &str) -> Result<Self> {
        let http = local_cloud::http_client()?;
        let status: Value = http
            .get(format!("{url}/local/status"))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let sandboxes = status["addresses"]["SANDBOXES"].as_str();
        Ok(Self {
            url: url.to_owned(),
            sandboxes_url: sandboxes.context("the local cloud has no sandboxes")?.to_owned(),
            http,
        })
    }

    /// Brings somebody in, from nothing to an open account and a linked bank; tells each step.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn bring_in(&self, person: &Person, tell: &(dyn Fn(&str) + Sync)) -> Result<CustomerIds> {
        let service = self.api(json!({ "scope": "internal" })).await?;
        let profile = json!({
            "email": format!("grace.{}@example.com", person.profile_id),
            "first_name": "Grace",
            "last_name": "Example",
        });
        let path = format!("/profiles/{}", person.profile_id);
        success(service.put(&path, &profile).await?)?;
        tell("the user service has put the profile");
        let app = self.api(json!({ "profile_id": person.profile_id })).await?;
        self.fill_in(&app, person).await?;
        tell("the form is filled in, and the phone proved by a code");
        success(app.post("/trading/kyc/submissions", "unused", &json!({})).await?)?;
        let trading_account_id = account(&app).await?;
        tell("the identity check is approved, and the account open");
        let bank_account_id = self.link(&app, person).await?;
        tell("a bank is linked on Plaid's page");
        Ok(CustomerIds {
            profile_id: person.profile_id,
            trading_account_id,
            bank_account_id,
        })
    }

    /// Puts cash into the account at the broker, as if earlier deposits had brought it.
    ///
    /// # Errors
    /// When the broker has no such account.
    pub async fn give_cash(&self, app: &Api, cents: i64) -> Result {
        let profile = success(app.get("/trading/profile").await?)?;
        ensure!(profile.body["trading_account_id"].is_i64(), "no account");
        let accounts = self.control("GET", "drivewealth/accounts", None).await?;
        let newest = accounts["items"].as_array().into_iter().flatten();
        let newest = newest.filter_map(|account| account["id"].as_str()).next_back();
        let id = newest.context("the broker has no account")?;
        let cash = json!({ "cash_cents": cents });
        self.control("POST", &format!("drivewealth/accounts/{id}/cash"), Some(&cash))
            .await?;
        Ok(())
    }

    /// The API with a token of these claims.
    ///
    /// # Errors
    /// When none is minted.
    pub async fn api(&self, claims: Value) -> Result<Api> {
        let request = self.http.post(format!("{}/local/tokens", self.url)).json(&claims);
        let minted: Value = request.send().await?.error_for_status()?.json().await?;
        let token = minted["token"].as_str().context("no token")?.to_owned();
        Ok(Api::new(self.http.clone(), self.url.clone(), Some(token)))
    }

    async fn fill_in(&self, app: &Api, person: &Person) -> Result {
        let phone = phone_of(person.profile_id);
        success(
            app.put("/trading/kyc/form", &whole_form(&phone, &person.last_name))
                .await?,
        )?;
        let number = json!({ "phone_number": phone });
        success(app.post("/trading/kyc/phone-codes", "unused", &number).await?)?;
        let messages = self.control("GET", "sms/messages", None).await?;
        let mut messages = messages["items"].as_array().into_iter().flatten();
        let text = messages.rfind(|message| message["to"] == phone.as_str());
        let text = text
            .and_then(|message| message["text"].as_str())
            .context("no text message")?;
        let code: String = text.chars().take_while(char::is_ascii_digit).collect();
        let code = json!({ "phone_number": phone, "code": code });
        success(
            app.post("/trading/kyc/phone-codes/verifications", "unused", &code)
                .await?,
        )?;
        Ok(())
    }

    async fn link(&self, app: &Api, person: &Person) -> Result<i64> {
        let path = "/trading/bank-accounts/link-token";
        let token = success(app.post(path, "unused", &json!({})).await?)?;
        let visit = json!({
            "link_token": token.body["link_token"],
            "accounts": [{ "name": "Plaid Checking", "mask": "0000", "balance_cents": person.bank_balance_cents }],
        });
        let linked = self.control("POST", "plaid/link", Some(&visit)).await?;
        let chosen = json!({
            "public_token": linked["public_token"], "account_id": linked["account_ids"][0], "name": "Checking",
        });
        success(app.post("/trading/bank-accounts", "unused", &chosen).await?)?.number("id")
    }

    async fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/control/{path}", self.sandboxes_url);
        let request = self.http.request(method.parse()?, url);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

fn success(answer: Answer) -> Result<Answer> {
    ensure!(
        (200..=299).contains(&answer.status),
        "{} {}",
        answer.status,
        answer.text
    );
    Ok(answer)
}

/// Waits until the account is open; gives its id.
async fn account(app: &Api) -> Result<i64> {
    eventually("the trading account is open", async || {
        let profile = app.get("/trading/profile").await?;
        ensure!(profile.body["account_status"] == "open", "{}", profile.text);
        profile.number("trading_account_id")
    })
    .await
}
