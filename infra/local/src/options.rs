//! How a local cloud is started.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use uuid::Uuid;

/// The first port of `moneta up`; the others follow it.
pub const DEFAULT_PORT: u16 = 9400;
/// The most databases that the wallets' clients are spread over: a row of ports has room for as many.
pub(crate) const MAX_WALLET_NODES: u16 = 9;
/// The beginning of the name of a state that doesn't last.
pub(crate) const TEMPORARY_STATE: &str = "moneta-";
const MAX_INSTANCES: usize = 10;

/// The options of a local cloud.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the workspace.
    pub root: PathBuf,
    /// The folder of the functions' binaries.
    pub binaries: PathBuf,
    /// The folder of everything that lasts, and of the logs.
    pub state: PathBuf,
    /// The folder of the key pairs that sign tokens. Several local clouds may share it: making a pair takes a second.
    pub key_pairs: PathBuf,
    /// Whether the state outlives the local cloud.
    pub keep_state: bool,
    /// Whether what earlier runs left in the state is removed first.
    pub fresh: bool,
    /// The template.
    pub template: PathBuf,
    /// The first of its ports, that of the HTTP API; none means free ones.
    pub port: Option<u16>,
    /// Variables for every function; they win over the template's and the local ones.
    pub environment: BTreeMap<String, String>,
    /// Variables for single functions, by binary; they win over all others.
    pub function_environment: BTreeMap<String, BTreeMap<String, String>>,
    /// When a failed item of a queue or stream comes back, instead of the template's times.
    pub redelivery_after: Option<Duration>,
    /// The most processes of one function at the same time.
    pub max_instances: usize,
    /// Whether the database survives a crash of the machine, as a deployed one does; otherwise it is quicker.
    pub durable_database: bool,
    /// Over how many databases the wallets' clients are spread; the first is the one of everything else.
    pub wallet_nodes: u16,
    /// Whether schedules run by the clock.
    pub schedules: bool,
    /// Whether queues and streams call their functions.
    pub event_sources: bool,
    /// Whether each step is printed on the standard output.
    pub progress: bool,
    /// Real services that take the place of local ones.
    pub external: External,
}

/// Real services by their addresses; a local one is started for each that is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// `DATABASE_URL`: a PostgreSQL database.
    pub database_url: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`.
    pub sqs_endpoint: Option<String>,
    /// `KAFKA_BROKERS`.
    pub kafka_brokers: Option<String>,
}

impl Options {
    /// For a developer: the usual port, the state in `.local/cloud`, and the real services and replaced variables that the
    /// caller's environment names.
    pub fn for_development(root: &Path) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let replaced = REPLACEABLE
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
        Self {
            state: Self::development_state(root),
            key_pairs: Self::development_state(root).join("keys"),
            keep_state: true,
            port: Some(DEFAULT_PORT),
            environment: replaced.collect(),
            schedules: true,
            progress: true,
            external: External {
                database_url: variable("DATABASE_URL"),
                dynamodb_endpoint: variable("AWS_ENDPOINT_URL_DYNAMODB"),
                sqs_endpoint: variable("AWS_ENDPOINT_URL_SQS"),
                kafka_brokers: variable("KAFKA_BROKERS"),
            },
            ..Self::for_tests(root)
        }
    }

    /// The folder of a developer's local cloud. Beside it, `.local` holds the tools that the scripts install.
    pub fn development_state(root: &Path) -> PathBuf {
        root.join(".local/cloud")
    }

    /// For a test: free ports, a state of its own that is removed at the end, key pairs that all tests share, no clock,
    /// nothing said. Nothing of the caller's environment but `CARGO_TARGET_DIR` counts.
    pub fn for_tests(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self {
            root: root.to_owned(),
            binaries: target.join("debug"),
            state: std::env::temp_dir().join(format!("{TEMPORARY_STATE}{}", Uuid::now_v7().simple())),
            key_pairs: target.join("tmp/keys"),
            keep_state: false,
            fresh: false,
            template: root.join("infra/template.yaml"),
            port: None,
            environment: BTreeMap::new(),
            function_environment: BTreeMap::new(),
            redelivery_after: None,
            max_instances: MAX_INSTANCES,
            durable_database: false,
            wallet_nodes: 1,
            schedules: false,
            event_sources: true,
            progress: false,
            external: External::default(),
        }
    }

    /// The values of the template's parameters in `infra/local/parameters.yaml`; none when there is no such file.
    pub(crate) fn read_parameters(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let path = self.root.join("infra/local/parameters.yaml");
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let unusable = || format!("{} can't be used", path.display());
        let text = std::fs::read_to_string(&path).with_context(unusable)?;
        serde_yaml_ng::from_str(&text).with_context(unusable)
    }

    /// The OpenAPI document beside the template.
    pub fn openapi(&self) -> PathBuf {
        self.template.with_file_name("openapi.yaml")
    }
}

/// Variables of the outside parties that the caller's own environment may replace, to talk to their real test systems.
const REPLACEABLE: [&str; 18] = [
    "DRIVEWEALTH_API_BASE",
    "DRIVEWEALTH_RIA_USER_ID",
    "DRIVEWEALTH_SECRET",
    "PLAID_API_BASE",
    "PLAID_SECRET",
    "FIREBASE_API_BASE",
    "FIREBASE_PROJECT_ID",
    "FIREBASE_SECRET",
    "STRIPE_API_BASE",
    "STRIPE_CONNECT_SECRET",
    "STRIPE_SECRET",
    "RATES_FEED_URL",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_SECURITY",
    "SMTP_SECRET",
    "MAIL_FROM",
    "RUST_LOG",
];
