//! Connected accounts and their onboarding.

use serde_json::{Value, json};
use uuid::Uuid;

use super::bank;
use super::state::{BankAccount, ConnectedAccount, OnboardingLink};
use crate::sandboxes::stripe::errors::{ApiError, ApiResult};
use crate::sandboxes::stripe::params::Params;
use crate::sandboxes::stripe::state::new_id;
use crate::sandboxes::stripe::work::{Page, Work};

/// How long a link is good.
const LINK_LIFETIME_S: i64 = 300;
/// What Stripe wants to know of a person first.
const AT_FIRST: [&str; 5] = [
    "external_account",
    "individual.dob.day",
    "individual.first_name",
    "individual.last_name",
    "tos_acceptance.date",
];

impl Work<'_> {
    pub(super) fn create_account(&mut self, mut params: Params) -> ApiResult<Value> {
        let country = params.text("country").unwrap_or_else(|| "US".to_owned());
        let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_code {
            let message = format!(
                "Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead."
            );
            return Err(ApiError::parameter("country_unsupported", "country", message));
        }
        params.one_of("business_type", &["individual", "company"])?;
        let email = params.text("email");
        let metadata = params.metadata()?;
        let payout_interval = payout_interval(&mut params)?;
        check_controller(&mut params)?;
        params.finish()?;
        let account = ConnectedAccount {
            id: new_id("acct"),
            created: self.now,
            country,
            email,
            metadata,
            payout_interval,
            details_submitted: false,
            currently_due: AT_FIRST.map(str::to_owned).to_vec(),
            disabled_reason: Some("requirements.past_due".to_owned()),
            bank: None,
            is_revoked: false,
            arrivals: Vec::new(),
            taken: 0,
        };
        let id = account.id.clone();
        self.state.connect.accounts.insert(id.clone(), account);
        Ok(self.render(&id))
    }

    pub(super) fn retrieve_account(&mut self, id: &str, params: Params) -> ApiResult<Value> {
        params.finish()?;
        self.connected(id)?;
        Ok(self.render(id))
    }

    pub(super) fn list_accounts(&mut self, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        params.finish()?;
        let accounts = self.state.connect.accounts.values();
        let accounts = accounts.filter(|account| !account.is_revoked);
        let cut = page.cut(accounts.map(|account| (account.id.as_str(), account.created)));
        Ok(self.list("/v1/accounts", cut))
    }

    pub(super) fn create_account_link(&mut self, mut params: Params) -> ApiResult<Value> {
        let account = params.required("account")?;
        let return_url = params.required("return_url")?;
        let refresh_url = params.required("refresh_url")?;
        params.required("type")?;
        params.finish()?;
        self.connected(&account)?;
        let token = Uuid::new_v4().simple().to_string();
        let expires_at = self.now.saturating_add(LINK_LIFETIME_S);
        let link = OnboardingLink {
            account,
            expires_at,
            is_used: false,
            return_url,
            refresh_url,
        };
        self.state.connect.links.insert(token.clone(), link);
        Ok(json!({
            "object": "account_link", "created": self.now, "expires_at": expires_at,
            "url": format!("{}/onboarding/{token}", self.base),
        }))
    }

    /// The account, unless it isn't connected to ours.
    pub(super) fn connected(&mut self, id: &str) -> ApiResult<&mut ConnectedAccount> {
        let account = self.state.connect.accounts.get_mut(id);
        let account = account.filter(|account| !account.is_revoked);
        account.ok_or_else(|| ApiError::account_invalid(id))
    }

    /// The person opens a link; one that was opened before, or too late, leads back.
    pub(in crate::sandboxes::stripe) fn use_link(&mut self, token: &str) -> Result<(), Option<String>> {
        let now = self.now;
        let link = self.state.connect.links.get_mut(token).ok_or(None)?;
        if link.is_used || now >= link.expires_at {
            return Err(Some(link.refresh_url.clone()));
        }
        link.is_used = true;
        Ok(())
    }

    /// The person sends the page of a link; gives where to go then.
    pub(in crate::sandboxes::stripe) fn submit_link(
        &mut self,
        token: &str,
        number: &str,
    ) -> ApiResult<String> {
        let link = self.state.connect.links.get(token).cloned();
        let link = link.ok_or_else(|| ApiError::missing(404, "account_link", token, "id"))?;
        self.onboard(&link.account, number)?;
        Ok(link.return_url)
    }

    /// The person says who it is and where to pay.
    pub(super) fn onboard(&mut self, id: &str, number: &str) -> ApiResult<()> {
        let number: String = number.split_whitespace().collect();
        if bank::ending(&number).is_err() {
            let message = "You passed a real account number; use one of Stripe's test accounts.";
            return Err(ApiError::parameter("account_number_invalid", "number", message));
        }
        let account = self.connected(id)?;
        let bank = BankAccount {
            id: new_id("ba"),
            number,
            is_errored: false,
        };
        let is_first = account.bank.is_none();
        let bank_id = bank.id.clone();
        account.bank = Some(bank);
        account.details_submitted = true;
        account.currently_due.clear();
        account.disabled_reason = None;
        let kind = match is_first {
            true => "account.external_account.created",
            false => "account.external_account.updated",
        };
        self.emit_of(id, kind, &bank_id);
        self.emit_of(id, "account.updated", id);
        Ok(())
    }

    /// Stripe wants something more, or stops the account; nothing and none make it whole again.
    pub(super) fn restrict(&mut self, id: &str, reason: Option<String>, due: Vec<String>) -> ApiResult<()> {
        let account = self.connected(id)?;
        account.disabled_reason = reason;
        account.currently_due = due;
        self.emit_of(id, "account.updated", id);
        Ok(())
    }

    /// The person disconnects the account from ours.
    pub(super) fn revoke(&mut self, id: &str) -> ApiResult<()> {
        self.connected(id)?.is_revoked = true;
        self.emit_of(id, "account.application.deauthorized", id);
        Ok(())
    }
}

fn payout_interval(params: &mut Params) -> ApiResult<String> {
    let mut settings = params.nested("settings");
    let mut payouts = settings.nested("payouts");
    let mut schedule = payouts.nested("schedule");
    let interval = schedule.one_of("interval", &["manual", "daily", "weekly", "monthly"])?;
    for rest in [settings, payouts, schedule] {
        rest.finish()?;
    }
    Ok(interval.unwrap_or_else(|| "daily".to_owned()))
}

/// Accounts are those whose person Stripe asks and shows a dashboard to, with transfers.
fn check_controller(params: &mut Params) -> ApiResult<()> {
    let mut controller = params.nested("controller");
    let mut capabilities = params.nested("capabilities");
    let mut transfers = capabilities.nested("transfers");
    let given = [
        controller.nested("fees").text("payer"),
        controller.nested("losses").text("payments"),
        controller.text("requirement_collection"),
        controller.nested("stripe_dashboard").text("type"),
        transfers.text("requested"),
    ];
    for rest in [controller, capabilities, transfers] {
        rest.finish()?;
    }
    let wanted = ["application", "application", "stripe", "express", "true"];
    match given
        .iter()
        .zip(wanted)
        .all(|(given, wanted)| given.as_deref() == Some(wanted))
    {
        true => Ok(()),
        false => Err(ApiError::invalid(
            None,
            "This sandbox has accounts with an Express dashboard and transfers only.",
        )),
    }
}
