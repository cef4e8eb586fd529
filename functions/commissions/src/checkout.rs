//! Visits to Stripe's own payment page: preparing one, and taking over what came of it.

use domain::ids::{CheckoutId, ProfileId, StripeCheckoutSessionId};
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::idempotency::{self, Claim, IdempotencyKey, KeptAnswer, KeyedRequest};
use platform::messaging::relay_waker::RelayWaker;
use providers::outcome::Outcome;
use providers::stripe::{CheckoutKind, CheckoutLink, CheckoutMode, NewCheckout, RESOURCE_MISSING};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::{Host, Url};
use utoipa::ToSchema;

use crate::Error;
use crate::customers::customer_of;
use crate::payment_methods::{self, PaymentMethodView};
use crate::processor::{Processor, answered, refused, unavailable};
use crate::store::checkouts::{self, Checkout};
use crate::store::{customers, id};

/// Longest return address that is taken, in bytes.
const MAX_ADDRESS_BYTES: usize = 2048;
/// Longest id of a price that is taken, in bytes.
const MAX_PRICE_ID_BYTES: usize = 128;

/// What a visit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To save a card for later charges.
    Setup,
    /// To pay a price.
    Payment,
}

/// A visit as it is asked for.
#[derive(Debug, Clone, Serialize)]
pub struct CheckoutRequest {
    /// What for.
    pub mode: Mode,
    /// The price, for payments.
    pub price_id: Option<String>,
    /// Where the customer goes afterwards.
    pub success_url: String,
    /// Where the customer goes when turning back.
    pub cancel_url: String,
    /// Whether a payment is refunded as soon as it is done: it only proves the card.
    pub refund: bool,
}

/// The way to the payment page.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckoutView {
    /// Id of the session at Stripe.
    #[schema(value_type = String)]
    pub stripe_session_id: StripeCheckoutSessionId,
    /// Address of the page; for this customer alone.
    pub url: String,
    /// When the page ends (RFC 3339, UTC).
    pub expires_at: chrono::DateTime<chrono::Utc>,
}

/// The hosts to which customers may be sent back.
#[derive(Debug, Clone)]
struct ReturnHosts(Vec<String>);

/// Visits to the payment page.
#[derive(Debug)]
pub struct Checkouts {
    database: Database,
    processor: Processor,
    hosts: ReturnHosts,
}

impl Checkouts {
    /// Reads the configuration; `CHECKOUT_RETURN_HOSTS` are the hosts that customers may be sent back to, with commas
    /// between.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        let hosts: Option<String> = environment.required("CHECKOUT_RETURN_HOSTS");
        let hosts = hosts?
            .split(',')
            .map(|host| host.trim().to_ascii_lowercase())
            .collect();
        Some(Self {
            database: database?,
            processor: processor?,
            hosts: ReturnHosts(hosts),
        })
    }

    /// Prepares a visit, once per key.
    ///
    /// # Errors
    /// Rejected for a return address that isn't allowed, or a price that doesn't exist or fit.
    pub async fn create(
        &self,
        profile: ProfileId,
        key: IdempotencyKey,
        request: CheckoutRequest,
        deadline: Deadline,
    ) -> Result<(KeptAnswer, bool), Error> {
        self.hosts.check("success_url", &request.success_url)?;
        self.hosts.check("cancel_url", &request.cancel_url)?;
        check_price(&request)?;
        let keyed = KeyedRequest::of_profile(profile, "create_checkout_session", key, &request)?;
        let customer = customer_of(&self.database, &self.processor, profile, deadline).await?;
        let checkout = match self.claim(profile, &keyed, request).await? {
            Claim::Answered(answer) => return Ok((answer, true)),
            Claim::Unanswered { resource_id } => id(resource_id)?,
            Claim::New => return Err(unavailable(&"the visit wasn't written down")),
        };
        let mut connection = self.database.pool().await?.acquire().await?;
        let asked = checkouts::load(&mut connection, checkout).await?;
        drop(connection);
        let mode = match asked.price_id {
            Some(price) => CheckoutMode::Payment { price },
            None => CheckoutMode::Setup,
        };
        let new = NewCheckout {
            customer,
            mode,
            profile_id: profile,
            success_url: asked.success_url,
            cancel_url: asked.cancel_url,
            refund: asked.refund_asked,
        };
        let connected = self.processor.connect().await?;
        let made = connected
            .client
            .create_checkout_session(&new, &format!("checkout-{checkout}"), deadline.instant())
            .await;
        let link = match made {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => {
                return Err(Error::PriceNotFound);
            }
            other => answered(other)?,
        };
        self.keep(checkout, &keyed, link).await
    }

    /// Claims the key and writes the visit down. What it gives is never `New`: then it was written down here.
    async fn claim(
        &self,
        profile: ProfileId,
        keyed: &KeyedRequest,
        request: CheckoutRequest,
    ) -> Result<Claim, Error> {
        let mut transaction = self.database.begin().await?;
        let claim = idempotency::claim(&mut transaction, keyed).await?;
        if claim != Claim::New {
            return Ok(claim);
        }
        let checkout = Checkout {
            profile_id: profile,
            price_id: request.price_id,
            success_url: request.success_url,
            cancel_url: request.cancel_url,
            refund_asked: request.refund,
        };
        let resource_id = checkouts::insert(&mut transaction, &checkout).await?.get();
        idempotency::attach(&mut transaction, keyed, resource_id).await?;
        transaction.commit().await?;
        Ok(Claim::Unanswered { resource_id })
    }

    async fn keep(
        &self,
        checkout: CheckoutId,
        keyed: &KeyedRequest,
        link: CheckoutLink,
    ) -> Result<(KeptAnswer, bool), Error> {
        let mut transaction = self.database.begin().await?;
        checkouts::set_session(&mut transaction, checkout, &link.id).await?;
        let view = CheckoutView {
            stripe_session_id: link.id,
            url: link.url,
            expires_at: link.expires_at,
        };
        let answer = KeptAnswer {
            status: 201,
            body: json!(view),
        };
        let kept = idempotency::keep(&mut transaction, keyed, answer).await?;
        transaction.commit().await?;
        Ok((kept, false))
    }
}

impl ReturnHosts {
    /// Whether a customer may be sent to an address: https to one of the hosts, or http to this machine where that is one
    /// of them.
    fn check(&self, field: &'static str, address: &str) -> Result<(), Error> {
        let refused = |message: String| Err(Error::ReturnAddress { field, message });
        if address.len() > MAX_ADDRESS_BYTES {
            let length = address.len();
            return refused(format!(
                "is {length} bytes long; at most {MAX_ADDRESS_BYTES} are taken"
            ));
        }
        // The parser strips and encodes what Stripe refuses and the database can't store, and the address goes there as it is.
        if !address
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            let allowed =
                "has to be visible ASCII without spaces and backslashes; percent-encode everything else";
            return refused(allowed.to_owned());
        }
        let Ok(url) = Url::parse(address) else {
            return refused("has to be an absolute address (https://…)".to_owned());
        };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if !self.0.contains(&host) {
            return refused(format!("has to be on one of these hosts: {}", self.0.join(", ")));
        }
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
            return refused("has to begin with https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("must not carry a user or password".to_owned());
        }
        Ok(())
    }
}

fn check_price(request: &CheckoutRequest) -> Result<(), Error> {
    let message = match (request.mode, &request.price_id) {
        (Mode::Payment, None) => "is needed in mode payment",
        (Mode::Setup, Some(_)) => "has no place in mode setup: nothing is paid",
        (Mode::Setup, None) if request.refund => "is needed for a refund; mode setup takes no money",
        (Mode::Payment, Some(price)) if !is_id(price) => {
            "has to be 1 to 128 visible ASCII characters, as Stripe gave it"
        }
        _ => return Ok(()),
    };
    Err(Error::Price { message })
}

fn is_id(price: &str) -> bool {
    (1..=MAX_PRICE_ID_BYTES).contains(&price.len()) && price.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Taking over the card of a visit.
#[derive(Debug)]
pub struct MethodAdding {
    database: Database,
    processor: Processor,
    nudge: RelayWaker,
}

impl MethodAdding {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let database = Database::read(environment);
        let processor = Processor::read(environment);
        let nudge = RelayWaker::read(environment);
        Some(Self {
            database: database?,
            processor: processor?,
            nudge: nudge?,
        })
    }

    /// The card that the profile saved during a visit; the webhook may have been faster, and nothing changes then.
    ///
    /// # Errors
    /// Not found for a visit that isn't the profile's; a conflict while it isn't completed.
    pub async fn add(
        &self,
        profile: ProfileId,
        session: &StripeCheckoutSessionId,
        deadline: Deadline,
    ) -> Result<(PaymentMethodView, bool), Error> {
        let mut connection = self.database.pool().await?.acquire().await?;
        let customer = customers::of_profile(&mut connection, profile).await?;
        drop(connection);
        let customer = customer.ok_or(Error::CheckoutNotFound)?;
        let connected = self.processor.connect().await?;
        let reading = match connected
            .client
            .checkout_session(session, deadline.instant())
            .await
        {
            Outcome::Declined(decline) if decline.code == RESOURCE_MISSING => {
                return Err(Error::CheckoutNotFound);
            }
            Outcome::Declined(decline) => return Err(refused(decline)),
            other => answered(other)?,
        };
        // Whose it is, Stripe says twice: by customer, and by what we wrote on it.
        if reading.customer.as_ref() != Some(&customer) || reading.profile_id != Some(profile) {
            return Err(Error::CheckoutNotFound);
        }
        if !reading.is_complete || reading.mode != CheckoutKind::Setup {
            return Err(Error::CheckoutNotCompleted);
        }
        let method = reading.payment_method.ok_or(Error::CheckoutNotCompleted)?;
        let mut transaction = self.database.begin().await?;
        if let Some(known) = checkouts::of_session(&mut transaction, session).await? {
            checkouts::complete(&mut transaction, known.id).await?;
        }
        let saved = payment_methods::save(&mut transaction, profile, &method).await?;
        let view = payment_methods::view(&mut transaction, profile, saved.id).await?;
        transaction.commit().await?;
        if saved.is_new {
            self.nudge.send().await;
        }
        Ok((view, saved.is_new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> bool {
        let hosts = ReturnHosts(vec!["app.example.com".to_owned(), "localhost".to_owned()]);
        hosts.check("success_url", address).is_err()
    }

    #[test]
    fn customers_are_sent_back_to_our_hosts_only() {
        for address in [
            "https://app.example.com/billing?session={CHECKOUT_SESSION_ID}",
            "https://APP.example.com:8443/",
            "http://localhost:3000/done",
            "https://localhost/done",
        ] {
            assert!(!refused(address), "{address}");
        }
        for address in [
            "",
            "/billing",
            "//app.example.com/billing",
            "http://app.example.com/",
            "https://app.example.com.evil.example/",
            "https://evil.example/app.example.com",
            "https://app.example.com@evil.example/",
            "https://user:secret@app.example.com/",
            "https://evil.example\\@app.example.com/",
            "javascript:alert(1)//app.example.com",
            "data:text/html,app.example.com",
            "https://sub.app.example.com/",
            " https://app.example.com/",
            "https://app.example.com/\0",
            "https://app.example.com/\n",
            "https://app.example.com/a b",
            "https://app.example.com/ключ",
            "https://app.example.com\\.evil.example/",
            &format!("https://app.example.com/{}", "x".repeat(MAX_ADDRESS_BYTES)),
        ] {
            assert!(refused(address), "{address}");
        }
    }

    #[test]
    fn a_price_is_named_by_an_id() {
        let longest = "x".repeat(MAX_PRICE_ID_BYTES);
        for price in ["price_1MoBy5LkdIwHu7ixZhnattbh", "gold", &longest] {
            assert!(is_id(price), "{price}");
        }
        for price in [
            "",
            " ",
            "a b",
            "price_\0",
            "price_\n",
            "ключ",
            &format!("{longest}x"),
        ] {
            assert!(!is_id(price), "{price}");
        }
    }
}
