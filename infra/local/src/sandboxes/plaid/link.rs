//! Linking a bank: link tokens, the page, public tokens that work once, items, processor tokens.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Balance, Item, PlaidSandbox, State, error};
use crate::sandboxes::call::{Call, Reply};

/// How long a public token is good.
const PUBLIC_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(30);
/// How long a link token is good.
const LINK_TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(4);
/// The banks by their ids.
pub const INSTITUTIONS: [(&str, &str); 3] = [
    ("ins_109508", "First Platypus Bank"),
    ("ins_109509", "First Gingham Credit Union"),
    ("ins_109510", "Tattersall Federal Credit Union"),
];

/// A visit to the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkVisit {
    /// Who visits it, as the app's back end names them.
    pub client_user_id: String,
    /// Where a bank's own page leads back to.
    pub redirect_uri: Option<String>,
    /// The access token of the link to mend; none for a new one.
    pub mends: Option<String>,
    /// Whether accounts are to be chosen.
    pub selects_accounts: bool,
    /// The products that were asked for.
    pub products: Vec<String>,
    /// Until when it is good.
    pub expires: DateTime<Utc>,
}

/// A public token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PublicToken {
    access_token: String,
    expires: DateTime<Utc>,
    is_used: bool,
}

/// What is known of an account beside its balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// Its name.
    pub name: String,
    /// The last digits of its number; some banks don't say.
    pub mask: Option<String>,
    /// Whether it waits to be verified by small deposits.
    #[serde(default)]
    pub is_pending: bool,
}

/// What somebody does on the page.
#[derive(Debug, Clone, Deserialize)]
pub struct LinkChoice {
    /// The bank.
    #[serde(default = "first_bank")]
    pub institution_id: String,
    /// The accounts that they choose.
    pub accounts: Vec<ChosenAccount>,
}

/// An account that somebody chooses.
#[derive(Debug, Clone, Deserialize)]
pub struct ChosenAccount {
    /// Its name, mask and state.
    #[serde(flatten)]
    pub details: AccountDetails,
    /// What is in it; none where the bank doesn't say.
    pub balance_cents: Option<i64>,
}

/// What the page gives the app.
#[derive(Debug, Clone, Serialize)]
pub struct Linked {
    /// The public token.
    pub public_token: String,
    /// The ids of the accounts, in the order chosen.
    pub account_ids: Vec<String>,
    /// The item's id.
    pub item_id: String,
    /// The item's access token, which an app never sees.
    pub access_token: String,
}

fn first_bank() -> String {
    "ins_109508".to_owned()
}

/// An account of the usual kind.
pub fn checking(name: &str, mask: &str, balance_cents: i64) -> ChosenAccount {
    ChosenAccount {
        details: AccountDetails {
            name: name.to_owned(),
            mask: Some(mask.to_owned()),
            is_pending: false,
        },
        balance_cents: Some(balance_cents),
    }
}

#[derive(Deserialize)]
struct LinkRequest {
    user: LinkUser,
    client_name: String,
    webhook: String,
    redirect_uri: Option<String>,
    #[serde(default)]
    products: Vec<String>,
    access_token: Option<String>,
    update: Option<Update>,
}

#[derive(Deserialize)]
struct LinkUser {
    client_user_id: String,
}

#[derive(Deserialize)]
struct Update {
    #[serde(default)]
    account_selection_enabled: bool,
}

/// What a test or a person does.
impl PlaidSandbox {
    /// Does on the page of a link token what somebody chooses: links the bank, or mends the link.
    ///
    /// # Errors
    /// When the token isn't good, or nothing was chosen.
    pub fn visit_link(&self, link_token: &str, choice: &LinkChoice) -> anyhow::Result<Linked> {
        let now = self.time();
        let mut state = self.lock();
        let visit = state
            .visits
            .get(link_token)
            .context("there is no such link token")?
            .clone();
        ensure!(visit.expires > now, "the link token is too old");
        let bank = INSTITUTIONS.iter().find(|(id, _)| *id == choice.institution_id);
        let (institution_id, _) = bank.context("there is no such bank")?;
        let access_token = match &visit.mends {
            Some(mended) => mended.clone(),
            None => format!("access-sandbox-{}", Uuid::new_v4()),
        };
        let item = state.items.entry(access_token.clone()).or_default();
        item.error_code = None;
        item.institution_id = Some((*institution_id).to_owned());
        let mut account_ids = Vec::new();
        if visit.mends.is_none() || visit.selects_accounts {
            for chosen in &choice.accounts {
                let id = Uuid::new_v4().simple().to_string();
                item.add(&id, chosen);
                account_ids.push(id);
            }
        }
        ensure!(
            visit.mends.is_some() || !account_ids.is_empty(),
            "no account was chosen"
        );
        let public_token = format!("public-sandbox-{}", Uuid::new_v4());
        let given = PublicToken {
            access_token: access_token.clone(),
            expires: now + PUBLIC_TOKEN_LIFETIME,
            is_used: false,
        };
        state.public_tokens.insert(public_token.clone(), given);
        self.changed();
        Ok(Linked {
            public_token,
            account_ids,
            item_id: super::item_id(&access_token),
            access_token,
        })
    }

    /// The visit of a link token.
    pub fn visit(&self, link_token: &str) -> Option<LinkVisit> {
        self.lock().visits.get(link_token).cloned()
    }

    /// The access tokens of the links that stand.
    pub fn access_tokens(&self) -> Vec<String> {
        self.lock().items.keys().cloned().collect()
    }

    /// How many processor tokens were made for an account.
    pub fn processor_tokens(&self, account_id: &str) -> usize {
        let state = self.lock();
        let tokens = state.processor_tokens.values();
        tokens.filter(|account| account.as_str() == account_id).count()
    }

    /// The small deposits of an account have been verified.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn verify_account(&self, access_token: &str, account_id: &str) -> anyhow::Result<()> {
        let mut state = self.lock();
        let item = state
            .items
            .get_mut(access_token)
            .context("there is no such item")?;
        let details = item
            .details
            .get_mut(account_id)
            .context("there is no such account")?;
        details.is_pending = false;
        self.changed();
        Ok(())
    }
}

impl Item {
    fn add(&mut self, id: &str, chosen: &ChosenAccount) {
        let balance = Balance {
            available_cents: chosen.balance_cents,
            current_cents: chosen.balance_cents.unwrap_or_default(),
        };
        self.accounts.insert(id.to_owned(), balance);
        self.details.insert(id.to_owned(), chosen.details.clone());
        if chosen.balance_cents.is_none() {
            self.silent.insert(id.to_owned());
        }
    }
}

/// The routes of this file; none for another one.
pub(super) fn route(sandbox: &PlaidSandbox, call: &Call) -> Option<Reply> {
    let body: Value = call.json().ok()?;
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let segments = call.segments();
    let mut state = sandbox.lock();
    let now = sandbox.time();
    let reply = match segments.as_slice() {
        ["link", "token", "create"] => create_link_token(&mut state, call, now),
        ["item", "public_token", "exchange"] => exchange(&mut state, &text("public_token"), now),
        ["item", "get"] => item(&state, &text("access_token")),
        ["item", "remove"] => match state.items.remove(&text("access_token")) {
            Some(_) => done(json!({})),
            None => error("ITEM_NOT_FOUND"),
        },
        ["processor", "token", "create"] => processor_token(
            &mut state,
            &text("access_token"),
            &text("account_id"),
            &text("processor"),
        ),
        ["institutions", "get_by_id"] => institution(&text("institution_id")),
        ["webhook_verification_key", "get"] => match state.keys.public(&text("key_id")) {
            Some(key) => done(json!({ "key": key })),
            None => error("INVALID_WEBHOOK_VERIFICATION_KEY_ID"),
        },
        _ => return None,
    };
    sandbox.changed();
    Some(reply)
}

fn done(mut body: Value) -> Reply {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(
            "request_id".to_owned(),
            json!(Uuid::new_v4().simple().to_string()),
        );
    }
    Reply::ok(&body)
}

fn create_link_token(state: &mut State, call: &Call, now: DateTime<Utc>) -> Reply {
    let Ok(request) = call.json::<LinkRequest>() else {
        return error("INVALID_FIELD");
    };
    if request.client_name.is_empty() || request.webhook.is_empty() || request.user.client_user_id.is_empty()
    {
        return error("INVALID_FIELD");
    }
    match &request.access_token {
        // Plaid refuses products where a link is mended.
        Some(_) if !request.products.is_empty() => return error("INVALID_FIELD"),
        Some(token) if !state.items.contains_key(token) => return error("INVALID_ACCESS_TOKEN"),
        None if request.products.is_empty() => return error("INVALID_FIELD"),
        _ => {}
    }
    let token = format!("link-sandbox-{}", Uuid::new_v4());
    let visit = LinkVisit {
        client_user_id: request.user.client_user_id,
        redirect_uri: request.redirect_uri,
        mends: request.access_token,
        selects_accounts: request
            .update
            .is_some_and(|update| update.account_selection_enabled),
        products: request.products,
        expires: now + LINK_TOKEN_LIFETIME,
    };
    let expiration = visit.expires.to_rfc3339();
    state.visits.insert(token.clone(), visit);
    done(json!({ "link_token": token, "expiration": expiration }))
}

fn exchange(state: &mut State, public_token: &str, now: DateTime<Utc>) -> Reply {
    match state.public_tokens.get_mut(public_token) {
        Some(token) if !token.is_used && token.expires > now => {
            token.is_used = true;
            let access_token = token.access_token.clone();
            done(json!({ "access_token": access_token, "item_id": super::item_id(&access_token) }))
        }
        _ => error("INVALID_PUBLIC_TOKEN"),
    }
}

fn item(state: &State, access_token: &str) -> Reply {
    let Some(item) = state.items.get(access_token) else {
        return error("INVALID_ACCESS_TOKEN");
    };
    let id = item
        .institution_id
        .clone()
        .unwrap_or_else(|| "ins_local".to_owned());
    let name = INSTITUTIONS
        .iter()
        .find(|(known, _)| *known == id)
        .map(|(_, name)| *name);
    done(json!({ "item": {
        "item_id": super::item_id(access_token), "institution_id": id, "institution_name": name,
        "available_products": [], "billed_products": ["auth"], "error": Value::Null,
    } }))
}

fn processor_token(state: &mut State, access_token: &str, account_id: &str, processor: &str) -> Reply {
    let Some(item) = state.items.get(access_token) else {
        return error("INVALID_ACCESS_TOKEN");
    };
    if let Some(code) = &item.error_code {
        return error(code);
    }
    if processor != "drivewealth" || !item.accounts.contains_key(account_id) {
        return error("INVALID_ACCOUNT_ID");
    }
    if item
        .details
        .get(account_id)
        .is_some_and(|details| details.is_pending)
    {
        return error("PRODUCT_NOT_READY");
    }
    let token = format!("processor-sandbox-{}", Uuid::new_v4());
    state
        .processor_tokens
        .insert(token.clone(), account_id.to_owned());
    done(json!({ "processor_token": token }))
}

fn institution(id: &str) -> Reply {
    match INSTITUTIONS.iter().find(|(known, _)| *known == id) {
        Some((id, name)) => done(json!({ "institution": { "institution_id": id, "name": name } })),
        None => error("INVALID_INSTITUTION"),
    }
}

/// Visits, tokens and keys, by what they are called.
pub(super) type Visits = BTreeMap<String, LinkVisit>;
