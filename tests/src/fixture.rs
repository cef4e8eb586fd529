//! A running local cloud with what the scenarios need around it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use local_cloud::{InvocationResult, LocalCloud, Options, customers::NewCustomer};
use serde_json::{Value, json};

use crate::{Api, Database, Result, Tester, sqs_event};

/// A failed message or stream record comes back after this.
const REDELIVERY: Duration = Duration::from_millis(100);

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
    http: reqwest::Client,
}

impl Fixture {
    /// Starts a local cloud. The functions' binaries have to be built.
    ///
    /// # Errors
    /// When something doesn't start.
    pub async fn start(options: Options) -> Result<Self> {
        let cloud = LocalCloud::start(options).await?;
        Ok(Self {
            database: Database::open(cloud.database_url()).await?,
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
    pub fn api(&self, claims: Option<Value>) -> Api {
        let token = claims.map(|claims| self.cloud.mint_token(claims));
        Api::new(self.http.clone(), self.cloud.url(), token)
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
        let customer = self.cloud.add_customer(new).await?;
        let api = self.api(Some(json!({ "profile_id": customer.profile_id })));
        Ok(Tester { customer, api })
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
        anyhow::ensure!(
            result.function_error.is_none(),
            "{function} failed: {:?} {}",
            result.function_error,
            result.payload
        );
        Ok(result)
    }
}
