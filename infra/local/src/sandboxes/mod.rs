//! The sandboxes of the outside parties: DriveWealth, Plaid, Stripe, Billing, Firebase and the European Central Bank, behind
//! one listener on the loopback interface, and a mail server that catches mails on a port of its own.
//!
//! They behave like the real ones as far as Moneta uses them, and can be made to fail. A test drives them through the
//! handles, a person with curl: `GET /` on the listener lists what there is, and each sandbox's module describes its
//! routes under `/control`.

pub mod billing;
mod call;
pub mod drivewealth;
pub mod ecb;
pub mod firebase;
mod gate;
mod html;
pub mod mail;
mod numbers;
pub mod plaid;
mod sandbox;
mod server;
pub mod sms;
mod store;
pub mod stripe;
#[cfg(test)]
mod tests;

pub use billing::{BillingSandbox, PaymentTopic};
pub use drivewealth::DriveWealthSandbox;
pub use ecb::EcbSandbox;
pub use firebase::FirebaseSandbox;
pub use gate::{CallRecord, Effect, Fault, FeedDefect, PortfolioDefect};
pub use mail::{CaughtMail, MailEffect, MailFault, MailSandbox};
pub use plaid::PlaidSandbox;
pub use sandbox::Sandbox;
pub use sms::{CaughtSms, SmsSandbox};
pub use stripe::StripeSandbox;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::LocalClock;
use crate::keys::ServiceAccount;
use mail::MailServer;

/// How to start the sandboxes.
#[derive(Debug, Default)]
pub struct SandboxOptions {
    /// Where to listen; a free port if missing.
    pub listener: Option<TcpListener>,
    /// Where mails are taken; a free port if missing.
    pub smtp: Option<TcpListener>,
    /// Where DriveWealth's events go; nowhere if missing.
    pub events: Option<EventSink>,
    /// Where Billing tells payments; nowhere if missing.
    pub payments: Option<PaymentTopic>,
    /// The state directory: what the sandboxes hold is kept there as JSON.
    pub state: Option<PathBuf>,
    /// The folder of key pairs, with the service account's; one is made for now if missing.
    pub key_pairs: Option<PathBuf>,
    /// The clock that all of them go by.
    pub clock: LocalClock,
}

/// The queue that gets DriveWealth's events.
#[derive(Debug, Clone)]
pub struct EventSink {
    /// A client of the queue.
    pub client: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub queue_url: String,
}

/// The handles of all sandboxes.
#[derive(Debug, Clone)]
struct Parties {
    drivewealth: DriveWealthSandbox,
    plaid: PlaidSandbox,
    firebase: FirebaseSandbox,
    ecb: EcbSandbox,
    stripe: StripeSandbox,
    billing: BillingSandbox,
    mail: MailSandbox,
    sms: SmsSandbox,
}

/// The running sandboxes.
#[derive(Debug)]
pub struct Sandboxes {
    url: String,
    firebase_secret: String,
    parties: Parties,
    server: JoinHandle<()>,
    mail_server: MailServer,
}

impl Sandboxes {
    /// Starts all sandboxes.
    pub async fn start(options: SandboxOptions) -> anyhow::Result<Self> {
        let listener = or_free(options.listener).await?;
        let smtp = or_free(options.smtp).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let token_uri = format!("{url}/firebase/token");
        let key_pairs = options.key_pairs.clone();
        // Making a key takes a while.
        let account =
            tokio::task::spawn_blocking(move || ServiceAccount::load_or_create(key_pairs.as_deref()))
                .await??;
        let file = |name: &str| {
            options
                .state
                .as_ref()
                .map(|state| state.join("sandboxes").join(name))
        };
        let clock = || options.clock.clone();
        let parties = Parties {
            drivewealth: DriveWealthSandbox::start(
                options.events.clone(),
                file("drivewealth.json"),
                clock(),
            )?,
            plaid: PlaidSandbox::start(file("plaid.json"), clock())?,
            firebase: FirebaseSandbox::start(&account, token_uri.clone(), file("firebase.json"), clock())?,
            ecb: EcbSandbox::start(file("ecb.json"), clock())?,
            stripe: StripeSandbox::start(format!("{url}/stripe"), file("stripe.json"), clock())?,
            billing: BillingSandbox::start(
                format!("{url}/billing"),
                options.payments.clone(),
                file("billing.json"),
                clock(),
            )?,
            mail: MailSandbox::start(file("mail.json"), clock())?,
            sms: SmsSandbox::start(file("sms.json"), clock())?,
        };
        let mail_server = MailServer::start(smtp, parties.mail.clone())?;
        Ok(Self {
            firebase_secret: account.secret(firebase::PROJECT_ID, &token_uri),
            server: tokio::spawn(server::serve(listener, parties.clone())),
            mail_server,
            parties,
            url,
        })
    }

    /// The listener's URL; `GET` it for what there is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The DriveWealth sandbox.
    pub fn drivewealth(&self) -> DriveWealthSandbox {
        self.parties.drivewealth.clone()
    }

    /// The Plaid sandbox.
    pub fn plaid(&self) -> PlaidSandbox {
        self.parties.plaid.clone()
    }

    /// The Firebase sandbox.
    pub fn firebase(&self) -> FirebaseSandbox {
        self.parties.firebase.clone()
    }

    /// The ECB sandbox.
    pub fn ecb(&self) -> EcbSandbox {
        self.parties.ecb.clone()
    }

    /// The Stripe sandbox.
    pub fn stripe(&self) -> StripeSandbox {
        self.parties.stripe.clone()
    }

    /// The Billing sandbox.
    pub fn billing(&self) -> BillingSandbox {
        self.parties.billing.clone()
    }

    /// The mail catcher.
    pub fn mail(&self) -> MailSandbox {
        self.parties.mail.clone()
    }

    /// The catcher of text messages.
    pub fn sms(&self) -> SmsSandbox {
        self.parties.sms.clone()
    }

    /// Where mails are taken.
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.mail_server.port)
    }

    /// The variables with which a function finds the sandboxes; `keys::local_secrets` has the other secrets.
    pub fn environment(&self) -> BTreeMap<String, String> {
        [
            ("DRIVEWEALTH_API_BASE", format!("{}/drivewealth", self.url)),
            ("DRIVEWEALTH_RIA_USER_ID", drivewealth::RIA_USER_ID.to_owned()),
            (
                "DRIVEWEALTH_RIA_PRODUCT_ID",
                drivewealth::RIA_PRODUCT_ID.to_owned(),
            ),
            ("DRIVEWEALTH_WLP_ID", "LOCAL".to_owned()),
            ("DRIVEWEALTH_PARENT_IBID", drivewealth::PARENT_IBID.to_owned()),
            ("APP_NAME", "Moneta".to_owned()),
            ("ADVISER_NAME", "Moneta Advisers LLC".to_owned()),
            ("PLAID_WEBHOOK_URL", "https://localhost/webhooks/plaid".to_owned()),
            ("PLAID_API_BASE", format!("{}/plaid", self.url)),
            ("FIREBASE_API_BASE", format!("{}/firebase", self.url)),
            ("FIREBASE_PROJECT_ID", firebase::PROJECT_ID.to_owned()),
            ("FIREBASE_SECRET", self.firebase_secret.clone()),
            ("STRIPE_API_BASE", format!("{}/stripe", self.url)),
            ("STRIPE_SECRET", self.parties.stripe.secret()),
            ("STRIPE_CONNECT_SECRET", self.parties.stripe.connect_secret()),
            ("BILLING_API_BASE", format!("{}/billing", self.url)),
            ("BILLING_SECRET", BillingSandbox::secret()),
            ("RATES_FEED_URL", format!("{}/ecb{}", self.url, ecb::FEED_PATH)),
            ("AWS_ENDPOINT_URL_SNS", format!("{}/sms", self.url)),
            ("SMTP_HOST", "127.0.0.1".to_owned()),
            ("SMTP_PORT", self.mail_server.port.to_string()),
            ("SMTP_SECURITY", "none".to_owned()),
            (
                "SMTP_SECRET",
                r#"{"username":"local","password":"local"}"#.to_owned(),
            ),
            ("MAIL_FROM", mail::MAIL_FROM.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Ends the sandboxes and keeps their last state.
    pub async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
        self.mail_server.stop().await;
        self.parties.drivewealth.stop();
        self.parties.stripe.stop();
        self.parties.plaid.close();
        self.parties.firebase.close();
        self.parties.ecb.close();
        self.parties.billing.close();
        self.parties.mail.close();
        self.parties.sms.close();
    }
}

async fn or_free(listener: Option<TcpListener>) -> std::io::Result<TcpListener> {
    match listener {
        Some(listener) => Ok(listener),
        None => crate::ports::free().await,
    }
}
