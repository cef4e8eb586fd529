//! A running local cloud with what the scenarios need around it.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, ensure};
use local_cloud::{InvocationResult, LocalCloud, Options, sandboxes::drivewealth::Payment};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Api, Database, Result, Tester,
    customers::{Backends, NewCustomer},
    eventually, sqs_event,
};

/// A failed message or stream record comes back after this.
const REDELIVERY: Duration = Duration::from_millis(100);

/// How long a payment takes from one status to the next.
pub(crate) const PACE: Duration = Duration::from_millis(100);

/// The function that publishes the outbox.
pub(crate) const RELAY: &str = "relay_outbox";
/// The wake-up after a change has brought its events out by then, unless it was lost.
const WOKEN_WITHIN: Duration = Duration::from_secs(5);

/// The events of a flow at its good end, as the outbox has them, for [`Fixture::outbox_has`].
pub const SUCCEEDED: [&str; 3] = [
    "money-flow.succeeded → domain-events",
    "money-flow.succeeded → trading.events",
    "portfolio.cash-changed → portfolio-changes",
];

/// The events of a flow that failed on its way.
pub const FAILED: [&str; 2] = [
    "money-flow.failed → domain-events",
    "money-flow.failed → trading.events",
];

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The usual options: everything free and fresh, what failed comes back after a tenth of a second.
pub fn options() -> Options {
    Options {
        redelivery_after: Some(REDELIVERY),
        ..Options::for_tests(&root())
    }
}

/// A running local cloud.
pub struct Fixture {
    /// The local cloud itself.
    pub cloud: LocalCloud,
    /// Its database.
    pub database: Database,
    /// Where customers are known; a cloud of another template than the system's has none.
    backends: OnceLock<Backends>,
    http: reqwest::Client,
}

impl Fixture {
    /// Starts a local cloud. The functions' binaries have to be built.
    ///
    /// # Errors
    /// When something doesn't start.
    pub async fn start(options: Options) -> Result<Self> {
        let cloud = LocalCloud::start(options).await?;
        cloud.drivewealth().auto_advance(Some(PACE));
        Ok(Self {
            database: Database::open(cloud.database_url()).await?,
            backends: OnceLock::new(),
            http: local_cloud::http_client()?,
            cloud,
        })
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.database.close().await;
        self.cloud.stop().await;
    }

    /// A client of the API, with a token of these claims or none.
    ///
    /// # Errors
    /// When the claims aren't a JSON object.
    pub fn api(&self, claims: Option<Value>) -> Result<Api> {
        let token = claims.map(|claims| self.cloud.mint_token(claims)).transpose()?;
        Ok(Api::new(self.http.clone(), self.cloud.url(), token))
    }

    /// A new customer of the usual kind: $1,000.00 in cash beside two funds, $10,000.00 at the bank.
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn customer(&self) -> Result<Tester> {
        self.customer_with(&NewCustomer::default()).await
    }

    /// A new customer.
    ///
    /// # Errors
    /// When one can't be made.
    pub async fn customer_with(&self, new: &NewCustomer) -> Result<Tester> {
        let backends = match self.backends.get() {
            Some(backends) => backends,
            None => {
                let backends = Backends::of(&self.cloud)?;
                self.backends.get_or_init(|| backends)
            }
        };
        let customer = backends.add_customer(new).await?;
        let api = self.api(Some(json!({ "profile_id": customer.profile_id })))?;
        Ok(Tester { customer, api })
    }

    /// The deposits that the broker has for a customer's account, oldest first.
    pub fn deposits_of(&self, tester: &Tester) -> Vec<Payment> {
        of_account(self.cloud.drivewealth().deposits(), tester)
    }

    /// The redemptions that the broker has for a customer's account, oldest first.
    pub fn redemptions_of(&self, tester: &Tester) -> Vec<Payment> {
        of_account(self.cloud.drivewealth().redemptions(), tester)
    }

    /// The customer's cash at the broker.
    ///
    /// # Errors
    /// When the broker has no such account.
    pub fn cash_of(&self, tester: &Tester) -> Result<i64> {
        let cash = self
            .cloud
            .drivewealth()
            .cash_cents(&tester.customer.drivewealth_account_id);
        cash.context("the broker has no such account")
    }

    /// From now on payments move, and events are sent, only when a scenario says so.
    pub fn by_hand(&self) {
        self.cloud.drivewealth().auto_advance(None);
        self.cloud.drivewealth().hold_events(true);
    }

    /// The sandboxes as they begin: no faults, payments move by themselves, events are sent, rates are the first ones.
    pub(crate) fn put_back(&self) {
        self.cloud.drivewealth().clear_faults();
        self.cloud.plaid().clear_faults();
        self.cloud.firebase().clear_faults();
        self.cloud.ecb().clear_faults();
        self.cloud.billing().clear_faults();
        self.cloud.billing().reset_messages();
        self.cloud.mail().clear_faults();
        self.cloud.sms().clear_faults();
        self.cloud.ecb().reset();
        self.cloud.stripe().clear_faults();
        self.cloud.stripe().reset_webhooks();
        self.cloud.drivewealth().drop_held_events();
        self.cloud.drivewealth().hold_events(false);
        self.cloud.drivewealth().auto_advance(Some(PACE));
    }

    /// Waits until the outbox has just these events of a flow, as `kind → destination`, and has published it all.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn outbox_has(&self, flow: i64, expected: &[&str]) -> Result {
        let begun = Instant::now();
        eventually(
            &format!("the outbox has {expected:?} of flow {flow}"),
            async || {
                let events = self.database.events_of_flow(flow).await?;
                crate::ensure_eq!(events, expected);
                let rows = self.database.outbox_of_flow(flow).await?;
                let unpublished: Vec<_> = rows.iter().filter(|row| row.published_at.is_none()).collect();
                if !unpublished.is_empty() && begun.elapsed() > WOKEN_WITHIN {
                    self.relay_outbox().await?;
                }
                ensure!(unpublished.is_empty(), "not published: {unpublished:?}");
                Ok(())
            },
        )
        .await
    }

    /// Publishes what the outbox holds, as the relay's schedule does every minute: a wake-up that got lost is made up for.
    /// Waits for another relay that is at work, or is dead and has a session still; gives the relay's report.
    ///
    /// # Errors
    /// When it fails.
    pub async fn relay_outbox(&self) -> Result<Value> {
        eventually("the relay has its turn", async || {
            let result = self.cloud.run_schedule(RELAY, None).await?;
            ensure!(
                result.function_error.is_none(),
                "the relay failed: {:?} {}",
                result.function_error,
                result.payload
            );
            ensure!(
                result.payload["left_to_another"] == false,
                "the relay says {}",
                result.payload
            );
            Ok(result.payload)
        })
        .await
    }

    /// Invokes the consumer of a queue directly with a batch of these bodies, and gives the positions of those that
    /// it reports as failed.
    ///
    /// # Errors
    /// When the function fails as a whole.
    pub async fn deliver(&self, function: &str, bodies: &[Value]) -> Result<Vec<usize>> {
        let bodies: Vec<String> = bodies.iter().map(Value::to_string).collect();
        let result = self.cloud.invoke(function, sqs_event("direct", &bodies)).await?;
        crate::failed_items(&result)
    }

    /// Runs a function that has to succeed.
    ///
    /// # Errors
    /// When it doesn't; with what it said.
    pub async fn run(&self, function: &str, event: Value) -> Result<InvocationResult> {
        let result = self.cloud.invoke(function, event).await?;
        ensure!(
            result.function_error.is_none(),
            "{function} failed: {:?} {}",
            result.function_error,
            result.payload
        );
        Ok(result)
    }
}

fn of_account(payments: Vec<Payment>, tester: &Tester) -> Vec<Payment> {
    let account = &tester.customer.drivewealth_account_id;
    payments
        .into_iter()
        .filter(|payment| payment.account_id == *account)
        .collect()
}
