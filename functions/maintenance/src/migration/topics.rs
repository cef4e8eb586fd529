//! The topics that our events go to, as the areas' templates list them.

use platform::config::{Environment, FromEnvironment};
use platform::security::secret::SecretSource;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use std::time::Duration;

use crate::Error;
use crate::kafka::{Cluster, Credentials};

/// How long the cluster has.
const TIMEOUT: Duration = Duration::from_secs(30);
/// As many copies as the cluster makes of a topic by itself (since Kafka 2.4).
const BROKERS_DEFAULT: TopicReplication<'static> = TopicReplication::Fixed(-1);

/// A topic that we publish to.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutgoingTopic {
    pub(super) name: &'static str,
    pub(super) partitions: i32,
}

/// All of them; made from the templates when this is built.
pub(super) const OUTGOING: &[OutgoingTopic] = include!(concat!(env!("OUT_DIR"), "/topics.rs"));

/// What a cluster says to a topic that it is asked to create.
pub(super) type Created = Result<(), RDKafkaErrorCode>;

/// Whoever creates topics.
pub(super) trait Administrator {
    /// What became of each topic, in their order.
    ///
    /// # Errors
    /// When the cluster can't be asked.
    async fn create(&self, topics: &[OutgoingTopic]) -> Result<Vec<Created>, Error>;
}

/// Creates the topics that aren't there, and gives how many those are. One that is there stays as it is: its partitions
/// belong to whoever runs the cluster.
///
/// # Errors
/// With the names of those that couldn't be created, when all have been tried.
pub(super) async fn ensure(cluster: &impl Administrator, topics: &[OutgoingTopic]) -> Result<usize, Error> {
    let outcomes = cluster.create(topics).await?;
    let of = topics.iter().zip(&outcomes);
    let failed = of.filter_map(|(topic, outcome)| match outcome {
        Ok(()) | Err(RDKafkaErrorCode::TopicAlreadyExists) => None,
        Err(error) => Some(format!("{}: {error}", topic.name)),
    });
    let failed: Vec<String> = failed.collect();
    if !failed.is_empty() {
        return Err(Error::Topics(failed.join(", ")));
    }
    Ok(outcomes.iter().filter(|outcome| outcome.is_ok()).count())
}

/// The company's cluster.
#[derive(Debug)]
pub(super) struct KafkaAdministrator {
    cluster: Cluster,
    secret: SecretSource,
}

impl FromEnvironment for KafkaAdministrator {
    /// Reads `KAFKA_*`.
    fn read(environment: &mut Environment) -> Option<Self> {
        let (cluster, secret) = Cluster::with_secret(environment)?;
        Some(Self { cluster, secret })
    }
}

impl Administrator for KafkaAdministrator {
    async fn create(&self, topics: &[OutgoingTopic]) -> Result<Vec<Created>, Error> {
        let credentials: Option<Credentials> = self.secret.load().await?;
        let failed = |error: rdkafka::error::KafkaError| Error::Kafka(error.to_string());
        let settings = self.cluster.settings(credentials);
        let client: AdminClient<DefaultClientContext> = settings.create().map_err(failed)?;
        let new = topics
            .iter()
            .map(|topic| NewTopic::new(topic.name, topic.partitions, BROKERS_DEFAULT));
        let new: Vec<NewTopic<'_>> = new.collect();
        let options = AdminOptions::new()
            .request_timeout(Some(TIMEOUT))
            .operation_timeout(Some(TIMEOUT));
        let answers = client.create_topics(&new, &options).await.map_err(failed)?;
        Ok(answers
            .into_iter()
            .map(|answer| answer.map(|_| ()).map_err(|(_, code)| code))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const TOPICS: [OutgoingTopic; 3] = [
        OutgoingTopic {
            name: "there",
            partitions: 1,
        },
        OutgoingTopic {
            name: "new",
            partitions: 3,
        },
        OutgoingTopic {
            name: "other",
            partitions: 6,
        },
    ];

    /// Answers as it is told to, and keeps what it was asked.
    struct Stub {
        answers: Vec<Created>,
        asked: RefCell<Vec<(String, i32)>>,
    }

    impl Stub {
        fn answering(answers: [Created; 3]) -> Self {
            Self {
                answers: answers.into(),
                asked: RefCell::default(),
            }
        }
    }

    impl Administrator for Stub {
        async fn create(&self, topics: &[OutgoingTopic]) -> Result<Vec<Created>, Error> {
            let asked = topics
                .iter()
                .map(|topic| (topic.name.to_owned(), topic.partitions));
            self.asked.borrow_mut().extend(asked);
            Ok(self.answers.clone())
        }
    }

    #[tokio::test]
    async fn topics_that_are_there_are_left_alone() {
        let stub = Stub::answering([Err(RDKafkaErrorCode::TopicAlreadyExists), Ok(()), Ok(())]);
        assert_eq!(ensure(&stub, &TOPICS).await.unwrap(), 2);
        let asked = stub.asked.into_inner();
        assert_eq!(asked[1], ("new".to_owned(), 3));
    }

    #[tokio::test]
    async fn topics_that_could_not_be_created_are_named() {
        let stub = Stub::answering([Ok(()), Err(RDKafkaErrorCode::TopicAuthorizationFailed), Ok(())]);
        let error = ensure(&stub, &TOPICS).await.unwrap_err();
        assert!(error.to_string().contains("new: "), "{error}");
        assert!(!error.to_string().contains("other"), "{error}");
    }

    #[test]
    fn topics_of_the_templates_are_those_that_we_publish_to() {
        let has = |name: &str| OUTGOING.iter().any(|topic| topic.name == name);
        assert!(has("funded-account.closed"));
        assert!(
            !has("assessment.completed"),
            "the company's assessments publish to it"
        );
        assert!(
            !has("funded-account.positions"),
            "the trading engine publishes to it"
        );
    }
}
