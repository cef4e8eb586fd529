//! Linking a bank: Plaid's page, what comes of it, and unlinking.

use domain::currency::Currency;
use domain::ids::{PlaidAccountId, ProfileId};
use domain::money::{Money, Rounding};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Amount, Plaid, parse};
use crate::exact;
use crate::outcome::Outcome;

/// Plaid's name of the broker, which gets processor tokens.
const PROCESSOR: &str = "drivewealth";

/// A visit to Plaid's page.
#[derive(Debug)]
pub struct LinkTarget<'a> {
    /// Who visits it.
    pub profile: ProfileId,
    /// The app's name, as the page shows it.
    pub app_name: &'a str,
    /// Where events of the link go.
    pub webhook: &'a str,
    /// Where a bank's own page leads back to; none for banks without one.
    pub redirect_uri: Option<&'a str>,
    /// What to mend; none links a bank anew.
    pub mends: Option<Mending<'a>>,
}

/// A link that needs its customer.
#[derive(Debug)]
pub struct Mending<'a> {
    /// Its access token.
    pub access_token: &'a str,
    /// Whether the customer has to choose accounts, beside signing in.
    pub selects_accounts: bool,
}

/// A token with which the app opens the page.
#[derive(Debug, Clone, Deserialize)]
pub struct LinkToken {
    /// The token.
    pub link_token: String,
    /// Until when it is good.
    pub expiration: chrono::DateTime<chrono::Utc>,
}

/// What a public token was exchanged for.
#[derive(Clone, Deserialize)]
pub struct NewLink {
    /// The access token, for as long as the link lasts.
    pub access_token: String,
    /// Plaid's id of the link.
    pub item_id: String,
}

impl std::fmt::Debug for NewLink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NewLink")
            .field("item_id", &self.item_id)
            .finish_non_exhaustive()
    }
}

/// A link.
#[derive(Debug, Clone)]
pub struct PlaidItem {
    /// The bank's id.
    pub institution_id: Option<String>,
    /// The bank's name.
    pub institution_name: Option<String>,
}

/// An account of a link. A bank may leave out whatever it likes.
#[derive(Debug, Clone)]
pub struct PlaidAccount {
    /// Plaid's id.
    pub id: PlaidAccountId,
    /// Its name.
    pub name: String,
    /// The last digits of its number.
    pub mask: Option<String>,
    /// The available balance, or else the current one; none where the bank gives neither, or no currency.
    pub balance: Option<Money>,
    /// Whether it waits to be verified by small deposits.
    pub is_pending: bool,
}

/// The key that signs webhooks.
#[derive(Debug, Clone, Deserialize)]
pub struct WebhookKey {
    /// The curve point's x, base64url.
    pub x: String,
    /// The curve point's y, base64url.
    pub y: String,
    /// The algorithm: ES256.
    pub alg: String,
    /// When it was retired, in seconds since 1970; none while it is in use.
    pub expired_at: Option<i64>,
}

#[derive(Deserialize)]
struct AccountObject {
    account_id: PlaidAccountId,
    name: Option<String>,
    mask: Option<String>,
    verification_status: Option<String>,
    balances: Option<Balances>,
}

#[derive(Deserialize)]
struct Balances {
    available: Option<Amount>,
    current: Option<Amount>,
    iso_currency_code: Option<String>,
}

impl Plaid {
    /// A token for Plaid's page (`/link/token/create`). Mending carries the access token and names no products.
    pub async fn create_link_token(&self, target: &LinkTarget<'_>, deadline: Instant) -> Outcome<LinkToken> {
        let body = link_body(target);
        let response = self.post("/link/token/create", body, deadline).await;
        response.read(|body| parse(&body))
    }

    /// Exchanges a public token, which works once: a lost response can't be had again, and the call isn't repeated.
    pub async fn exchange(&self, public_token: &str, deadline: Instant) -> Outcome<NewLink> {
        let body = json!({"public_token": public_token});
        let response = self.attempt("/item/public_token/exchange", &body, deadline).await;
        response.read(|body| parse(&body))
    }

    /// The bank behind a link.
    pub async fn item(&self, access_token: &str, deadline: Instant) -> Outcome<PlaidItem> {
        #[derive(Deserialize)]
        struct Response {
            item: Item,
        }
        #[derive(Deserialize)]
        struct Item {
            institution_id: Option<String>,
            institution_name: Option<String>,
        }
        let body = json!({"access_token": access_token});
        let response = self.post("/item/get", body, deadline).await;
        response.read(|body| {
            let item = parse::<Response>(&body)?.item;
            Ok(PlaidItem {
                institution_id: item.institution_id,
                institution_name: item.institution_name,
            })
        })
    }

    /// The accounts of a link, with the balances that Plaid has.
    pub async fn accounts(&self, access_token: &str, deadline: Instant) -> Outcome<Vec<PlaidAccount>> {
        let body = json!({"access_token": access_token});
        let response = self.post("/accounts/get", body, deadline).await;
        response.read(|body| accounts(&body))
    }

    /// A token with which the broker reaches an account. Each call makes another one, so it isn't repeated.
    pub async fn processor_token(
        &self,
        access_token: &str,
        account: &PlaidAccountId,
        deadline: Instant,
    ) -> Outcome<String> {
        #[derive(Deserialize)]
        struct Response {
            processor_token: String,
        }
        let body = json!({"access_token": access_token, "account_id": account, "processor": PROCESSOR});
        let response = self.attempt("/processor/token/create", &body, deadline).await;
        response.read(|body| Ok(parse::<Response>(&body)?.processor_token))
    }

    /// Ends a link. Ending it twice is the same as once.
    pub async fn remove_item(&self, access_token: &str, deadline: Instant) -> Outcome<()> {
        let body = json!({"access_token": access_token});
        let response = self.post("/item/remove", body, deadline).await;
        match response {
            Outcome::Declined(decline) if super::is_gone(&decline) => Outcome::Done(()),
            outcome => outcome.read(|_| Ok(())),
        }
    }

    /// The key of an id, with which webhooks are signed.
    pub async fn webhook_key(&self, key_id: &str, deadline: Instant) -> Outcome<WebhookKey> {
        #[derive(Deserialize)]
        struct Response {
            key: WebhookKey,
        }
        let body = json!({"key_id": key_id});
        let response = self.post("/webhook_verification_key/get", body, deadline).await;
        response.read(|body| Ok(parse::<Response>(&body)?.key))
    }
}

fn link_body(target: &LinkTarget<'_>) -> Value {
    let mut body = json!({
        "client_name": target.app_name,
        "country_codes": ["US"],
        "language": "en",
        "user": {"client_user_id": target.profile.to_string()},
        "webhook": target.webhook,
    });
    let mut set = |name: &str, value: Value| {
        if let Some(fields) = body.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    if let Some(redirect_uri) = target.redirect_uri {
        set("redirect_uri", json!(redirect_uri));
    }
    match &target.mends {
        Some(mending) => {
            set("access_token", json!(mending.access_token));
            if mending.selects_accounts {
                set("update", json!({"account_selection_enabled": true}));
            }
        }
        None => {
            set("products", json!(["auth"]));
            set(
                "account_filters",
                json!({"depository": {"account_subtypes": ["checking", "savings"]}}),
            );
        }
    }
    body
}

fn accounts(body: &[u8]) -> Result<Vec<PlaidAccount>, String> {
    #[derive(Deserialize)]
    struct Response {
        accounts: Vec<AccountObject>,
    }
    let response: Response = parse(body)?;
    Ok(response.accounts.into_iter().map(account).collect())
}

fn account(object: AccountObject) -> PlaidAccount {
    let status = object.verification_status.unwrap_or_default();
    PlaidAccount {
        id: object.account_id,
        name: object.name.unwrap_or_else(|| "Bank account".to_owned()),
        mask: object.mask,
        balance: object.balances.and_then(balance),
        is_pending: status.starts_with("pending"),
    }
}

fn balance(balances: Balances) -> Option<Money> {
    let amount = balances.available.or(balances.current)?;
    let currency = Currency::parse(balances.iso_currency_code.as_deref()?).ok()?;
    Money::from_decimal(exact::without_noise(amount.0), currency, Rounding::Floor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target<'a>(mends: Option<Mending<'a>>) -> Value {
        link_body(&LinkTarget {
            profile: ProfileId::new(7).unwrap(),
            app_name: "Moneta",
            webhook: "https://api.example.com/webhooks/plaid",
            redirect_uri: None,
            mends,
        })
    }

    #[test]
    fn mending_carries_the_token_and_no_products() {
        let new = target(None);
        assert_eq!(new["products"], json!(["auth"]));
        assert!(new.get("access_token").is_none());
        let mending = |selects_accounts| {
            target(Some(Mending {
                access_token: "access-1",
                selects_accounts,
            }))
        };
        assert_eq!(mending(false)["access_token"], "access-1");
        assert!(mending(false).get("products").is_none() && mending(false).get("update").is_none());
        assert_eq!(mending(true)["update"]["account_selection_enabled"], true);
    }

    #[test]
    fn an_account_of_which_a_bank_says_nothing_is_read() {
        let body = br#"{"accounts":[{"account_id":"a","name":null,"mask":null,"verification_status":"automatically_verified",
            "balances":{"available":null,"current":null,"iso_currency_code":null}},
            {"account_id":"b","name":"Plaid Checking","mask":"0000","verification_status":"pending_manual_verification",
            "balances":{"available":100.5,"current":110,"iso_currency_code":"USD"}}]}"#;
        let read = accounts(body).unwrap();
        assert_eq!(
            (read[0].mask.as_deref(), read[0].balance, read[0].is_pending),
            (None, None, false)
        );
        assert_eq!(read[1].balance, Some(Money::new(10_050, Currency::USD)));
        assert!(read[1].is_pending);
    }
}
