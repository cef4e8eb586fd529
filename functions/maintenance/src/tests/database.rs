//! A PostgreSQL of a test's own, with all migrations.

use local_cloud::backends::Postgres;
use platform::config::{Environment, FromEnvironment};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::migration::Migrations;

pub(crate) struct TestDatabase {
    postgres: Postgres,
    _folder: TempDir,
}

impl TestDatabase {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::start(folder.path()).await.unwrap();
        let database = Self {
            postgres,
            _folder: folder,
        };
        let url = ("DATABASE_URL".to_owned(), database.postgres.url().to_owned());
        let migrations = Migrations::read(&mut Environment::of([url])).unwrap();
        let report = migrations.apply().await.unwrap();
        assert!(report.migrations > 0 && report.version > 0);
        database
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
        self.postgres.url()
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.postgres.url()).await.unwrap()
    }
}
