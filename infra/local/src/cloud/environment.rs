//! The variables of each function: the template's, with what exists only in AWS replaced by what runs here.
//!
//! A function gets a replacement only for what the template gives it, so that a variable which is missing in the
//! template is missing here too.

use std::collections::BTreeMap;

use serde_json::json;

use super::connections::{Connections, DATABASE_USER, WALLET_NODES};
use crate::{keys, options::Options, template::Template, util::database_url::DATABASE_URL};

type Variables = BTreeMap<String, String>;

/// The variables that sign in to the database with IAM; locally a URL says it all.
const DATABASE: [&str; 4] = ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", DATABASE_USER];
const KAFKA_BROKERS: &str = "KAFKA_BROKERS";
const KAFKA_SECURITY_PROTOCOL: &str = "KAFKA_SECURITY_PROTOCOL";
const KAFKA_SECRET_ARN: &str = "KAFKA_SECRET_ARN";
const GRAPHQL_URL: &str = "GRAPHQL_URL";
const SECRET: &str = "_SECRET";
const ENDPOINT: &str = "AWS_ENDPOINT_URL_";

/// The local values.
pub(super) struct Replacements {
    database_url: String,
    /// The same of the further nodes of the wallets.
    further_node_urls: Vec<String>,
    /// Whether the database has the users that the template names.
    has_database_users: bool,
    kafka_brokers: String,
    endpoints: Variables,
    /// Variables and secrets of the sandboxes, by name.
    named: Variables,
}

impl Replacements {
    pub(super) fn new(connections: &Connections, sandboxes: Variables, url: &str) -> Self {
        // The AWS SDKs find a service by such a variable, which no template has.
        let (of_aws, named_by_template): (Variables, Variables) = sandboxes
            .into_iter()
            .partition(|(name, _)| name.starts_with(ENDPOINT));
        let mut named = keys::local_secrets();
        named.extend(named_by_template);
        named.insert(GRAPHQL_URL.to_owned(), format!("{url}/graphql"));
        let endpoints = [
            ("AWS_ENDPOINT_URL_SQS", &connections.sqs_endpoint),
            ("AWS_ENDPOINT_URL_DYNAMODB", &connections.dynamodb_endpoint),
        ];
        Self {
            database_url: connections.database_url.clone(),
            further_node_urls: connections.further_node_urls(),
            has_database_users: connections.has_database_users(),
            kafka_brokers: connections.kafka_brokers.clone(),
            endpoints: endpoints
                .map(|(name, endpoint)| (name.to_owned(), endpoint.clone()))
                .into_iter()
                .chain(of_aws)
                .collect(),
            named,
        }
    }

    fn url_for(&self, url: &str, user: Option<&String>) -> String {
        user.filter(|_| self.has_database_users)
            .and_then(|user| as_user(url, user))
            .unwrap_or_else(|| url.to_owned())
    }

    fn apply(&self, variables: &mut Variables) {
        if DATABASE.iter().any(|name| variables.contains_key(*name)) {
            let user = variables.get(DATABASE_USER);
            let url = self.url_for(&self.database_url, user);
            let nodes = self.further_node_urls.iter().map(|url| self.url_for(url, user));
            let nodes: Vec<String> = nodes.collect();
            if let Some(listed) = variables.get_mut(WALLET_NODES).filter(|_| !nodes.is_empty()) {
                *listed = json!(nodes).to_string();
            }
            for name in DATABASE {
                variables.remove(name);
            }
            variables.insert(DATABASE_URL.to_owned(), url);
        }
        if let Some(brokers) = variables.get_mut(KAFKA_BROKERS) {
            brokers.clone_from(&self.kafka_brokers);
            variables.insert(KAFKA_SECURITY_PROTOCOL.to_owned(), "PLAINTEXT".to_owned());
            variables.remove(KAFKA_SECRET_ARN);
        }
        for (name, value) in &self.named {
            // A secret stands in the variable itself instead of behind an ARN.
            let by_arn = name.ends_with(SECRET) && variables.remove(&format!("{name}_ARN")).is_some();
            if by_arn || variables.contains_key(name) {
                variables.insert(name.clone(), value.clone());
            }
        }
        variables.extend(self.endpoints.clone());
    }
}

/// This address for somebody else with the same password.
fn as_user(url: &str, user: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (credentials, place) = rest.split_once('@')?;
    let password = credentials.split_once(':').map(|(_, password)| password);
    Some(match password {
        Some(password) => format!("{scheme}://{user}:{password}@{place}"),
        None => format!("{scheme}://{user}@{place}"),
    })
}

/// The variables of every function, by binary.
pub(super) fn of_functions(
    template: &Template,
    replacements: &Replacements,
    options: &Options,
) -> BTreeMap<String, Variables> {
    let of_function = |function: &crate::template::Function| {
        let mut variables = function.environment.clone();
        replacements.apply(&mut variables);
        variables.extend(options.environment.clone());
        variables.extend(
            options
                .function_environment
                .get(&function.binary)
                .cloned()
                .unwrap_or_default(),
        );
        (function.binary.clone(), variables)
    };
    template.functions.iter().map(of_function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_of_the_template_are_replaced() {
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let replacements = Replacements {
            database_url: "postgres://moneta:secret@local/moneta".to_owned(),
            further_node_urls: vec!["postgres://moneta:other@local:1/moneta".to_owned()],
            has_database_users: true,
            kafka_brokers: "127.0.0.1:9".to_owned(),
            endpoints: [text(("AWS_ENDPOINT_URL_SQS", "http://sqs"))].into(),
            named: [
                ("PLAID_API_BASE", "http://plaid"),
                ("PLAID_SECRET", "{}"),
                ("FIREBASE_SECRET", "{}"),
            ]
            .map(text)
            .into(),
        };
        let mut variables: Variables = [
            ("DATABASE_HOST", "proxy"),
            ("DATABASE_PORT", "5432"),
            ("DATABASE_USER", "moneta_trading"),
            ("PLAID_API_BASE", "https://plaid"),
            ("PLAID_SECRET_ARN", "arn"),
            ("STAGE", "local"),
            ("WALLET_NODES", ""),
        ]
        .map(text)
        .into();
        replacements.apply(&mut variables);
        let expected: Variables = [
            ("AWS_ENDPOINT_URL_SQS", "http://sqs"),
            ("DATABASE_URL", "postgres://moneta_trading:secret@local/moneta"),
            ("PLAID_API_BASE", "http://plaid"),
            ("PLAID_SECRET", "{}"),
            ("STAGE", "local"),
            (
                "WALLET_NODES",
                r#"["postgres://moneta_trading:other@local:1/moneta"]"#,
            ),
        ]
        .map(text)
        .into();
        assert_eq!(variables, expected);

        let mut kafka: Variables = [("KAFKA_BROKERS", "b:1"), ("KAFKA_SECRET_ARN", "arn")]
            .map(text)
            .into();
        replacements.apply(&mut kafka);
        assert_eq!(
            kafka.get("KAFKA_BROKERS").map(String::as_str),
            Some("127.0.0.1:9")
        );
        assert_eq!(
            kafka.get("KAFKA_SECURITY_PROTOCOL").map(String::as_str),
            Some("PLAINTEXT")
        );
        assert!(!kafka.contains_key("KAFKA_SECRET_ARN"));
    }
}
