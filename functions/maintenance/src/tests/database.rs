//! A database of a test's own, with all migrations, and what our jobs read to work with it.

use local_cloud::backends;
use platform::config::Environment;
use sqlx::PgConnection;

pub(crate) struct TestDatabase(backends::TestDatabase);

impl TestDatabase {
    pub(crate) async fn start() -> Self {
        Self(backends::TestDatabase::start().await.unwrap())
    }

    /// What a job of maintenance reads; neither the queues nor Kafka are there.
    pub(crate) fn environment(&self) -> Environment {
        self.environment_with("127.0.0.1:9")
    }

    /// As [`environment`](Self::environment), with Kafka at these brokers.
    pub(crate) fn environment_with(&self, brokers: &str) -> Environment {
        self.environment_of(brokers, &[])
    }

    /// The same, with further nodes of the wallets.
    pub(crate) fn environment_of(&self, brokers: &str, nodes: &[&str]) -> Environment {
        let nodes = serde_json::json!(nodes).to_string();
        let variables = [
            ("DATABASE_URL", self.url()),
            ("WALLET_NODES", &nodes),
            ("QUEUE_DOMAIN_EVENTS_URL", "http://127.0.0.1:9/domain-events"),
            ("QUEUE_OUTBOX_NUDGES_URL", "http://127.0.0.1:9/outbox-nudges"),
            ("KAFKA_BROKERS", brokers),
            ("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
        ];
        Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        self.0.connection().await.unwrap()
    }
}
