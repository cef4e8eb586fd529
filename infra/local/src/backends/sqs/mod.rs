//! SQS: rustack, behind its own listener inside this process.
//!
//! Differences from AWS: a receive from a FIFO queue gives one message per group, and messages last as long as this
//! process; the local cloud keeps them for its next start when it is stopped.

mod front;
mod move_tasks;
mod protocol;
pub(crate) mod transfer;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;
use hyper::service::service_fn;
use rustack_sqs_core::{config::SqsConfig, handler::RustackSqsHandler, provider::RustackSqs};
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use self::{front::Front, move_tasks::MoveTasks};
use super::{DeadLetter, QueueSpec, sdk_config};

type Service = SqsHttpService<RustackSqsHandler>;

/// A running SQS.
#[derive(Debug)]
pub struct Sqs {
    endpoint: String,
    client: aws_sdk_sqs::Client,
    urls: RwLock<BTreeMap<String, String>>,
    provider: Arc<RustackSqs>,
    server: JoinHandle<()>,
}

impl Sqs {
    /// Starts it without queues, on a free port.
    pub async fn start(region: &str) -> anyhow::Result<Self> {
        Self::start_on(crate::ports::free().await?, region).await
    }

    /// As [`Self::start`], on this port, which the queues' URLs carry.
    pub(crate) async fn start_on(listener: TcpListener, region: &str) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let endpoint = format!("http://{address}");
        let provider = Arc::new(RustackSqs::new(SqsConfig {
            default_region: region.to_owned(),
            host: address.ip().to_string(),
            port: address.port(),
            ..SqsConfig::default()
        }));
        let handler = Arc::new(RustackSqsHandler::new(Arc::clone(&provider)));
        let config = SqsHttpConfig {
            region: region.to_owned(),
            ..SqsHttpConfig::default()
        };
        let client = aws_sdk_sqs::Client::new(&sdk_config(&endpoint).await);
        let front = Front {
            service: SqsHttpService::new(handler, config),
            move_tasks: MoveTasks::new(client.clone()),
        };
        let server = tokio::spawn(serve(listener, front));
        Ok(Self {
            endpoint,
            client,
            urls: RwLock::default(),
            provider,
            server,
        })
    }

    /// The endpoint's URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of the queues.
    pub fn client(&self) -> &aws_sdk_sqs::Client {
        &self.client
    }

    /// The URL of a queue.
    pub fn url(&self, name: &str) -> Option<String> {
        self.urls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The names of all queues.
    pub fn names(&self) -> Vec<String> {
        self.urls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Creates the queues, the dead-letter queues first.
    pub async fn create_queues(&self, queues: &[QueueSpec]) -> anyhow::Result<()> {
        let mut queues: Vec<&QueueSpec> = queues.iter().collect();
        queues.sort_by_key(|queue| queue.dead_letter.is_some());
        for queue in queues {
            let url = self
                .create_queue(queue)
                .await
                .with_context(|| format!("cannot create the queue {}", queue.name))?;
            let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
            urls.insert(queue.name.clone(), url);
        }
        Ok(())
    }

    /// Ends the server; messages are lost.
    pub async fn stop(self) {
        self.provider.shutdown_all().await;
        self.server.abort();
        let _ = self.server.await;
    }

    async fn create_queue(&self, queue: &QueueSpec) -> anyhow::Result<String> {
        let mut create = self
            .client
            .create_queue()
            .queue_name(&queue.name)
            .attributes(
                QueueAttributeName::VisibilityTimeout,
                queue.visibility_timeout_s.to_string(),
            )
            .attributes(
                QueueAttributeName::MessageRetentionPeriod,
                queue.message_retention_s.to_string(),
            );
        if queue.fifo {
            let by_content = queue.content_based_deduplication.to_string();
            create = create
                .attributes(QueueAttributeName::FifoQueue, "true")
                .attributes(QueueAttributeName::ContentBasedDeduplication, by_content);
        }
        if let Some(dead_letter) = &queue.dead_letter {
            let policy = self.redrive_policy(dead_letter).await?;
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy);
        }
        create.send().await?.queue_url.context("the answer has no URL")
    }

    async fn redrive_policy(&self, dead_letter: &DeadLetter) -> anyhow::Result<String> {
        let url = self.url(&dead_letter.queue);
        let url =
            url.with_context(|| format!("its dead-letter queue {} is not declared", dead_letter.queue))?;
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await?;
        let arn = attributes
            .attributes
            .as_ref()
            .and_then(|all| all.get(&QueueAttributeName::QueueArn));
        let arn = arn.context("its dead-letter queue has no ARN")?;
        let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": dead_letter.max_receive_count });
        Ok(policy.to_string())
    }
}

async fn serve(listener: TcpListener, front: Front) {
    // Dropping the set with this task ends the connections too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let front = front.clone();
                    let service = service_fn(move |request| front.clone().answer(request));
                    connections.spawn(async move {
                        // A client that goes away is no error of the server.
                        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    });
                }
                Err(error) => tracing::warn!(%error, "accepting a connection of SQS failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str, dead_letter: Option<&str>) -> QueueSpec {
        QueueSpec {
            name: name.to_owned(),
            fifo: name.ends_with(".fifo"),
            visibility_timeout_s: 30,
            message_retention_s: 3600,
            content_based_deduplication: false,
            dead_letter: dead_letter.map(|queue| DeadLetter {
                queue: queue.to_owned(),
                max_receive_count: 1,
            }),
        }
    }

    async fn receive(sqs: &Sqs, name: &str) -> Vec<aws_sdk_sqs::types::Message> {
        let receive = sqs
            .client()
            .receive_message()
            .queue_url(sqs.url(name).unwrap())
            .wait_time_seconds(5);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    #[tokio::test]
    async fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        let queues = [queue("events", Some("events-dead")), queue("events-dead", None)];
        sqs.create_queues(&queues).await.unwrap();
        let url = sqs.url("events").unwrap();
        sqs.client()
            .send_message()
            .queue_url(&url)
            .message_body("{}")
            .send()
            .await
            .unwrap();

        let first = receive(&sqs, "events").await;
        let again = sqs
            .client()
            .change_message_visibility()
            .queue_url(&url)
            .visibility_timeout(0);
        again
            .receipt_handle(first[0].receipt_handle().unwrap())
            .send()
            .await
            .unwrap();
        let empty = sqs
            .client()
            .receive_message()
            .queue_url(&url)
            .send()
            .await
            .unwrap();
        assert!(empty.messages().is_empty());
        assert_eq!(receive(&sqs, "events-dead").await[0].body(), Some("{}"));
        sqs.stop().await;
    }

    #[tokio::test]
    async fn a_fifo_queue_drops_a_repeated_message() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        sqs.create_queues(&[queue("changes.fifo", None)]).await.unwrap();
        let url = sqs.url("changes.fifo").unwrap();
        for _ in 0..2 {
            let send = sqs.client().send_message().queue_url(&url).message_body("{}");
            send.message_group_id("1")
                .message_deduplication_id("a")
                .send()
                .await
                .unwrap();
        }
        let count = sqs.client().get_queue_attributes().queue_url(&url);
        let count = count
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .send()
            .await
            .unwrap();
        let count = &count.attributes.unwrap()[&QueueAttributeName::ApproximateNumberOfMessages];
        assert_eq!(count, "1");
        sqs.stop().await;
    }

    async fn send(sqs: &Sqs, name: &str, body: &str) {
        let send = sqs.client().send_message().queue_url(sqs.url(name).unwrap());
        send.message_body(body).send().await.unwrap();
    }

    fn arn(name: &str) -> String {
        format!("arn:aws:sqs:{}:000000000000:{name}", super::super::region())
    }

    /// The newest move task of a queue, once it has ended.
    async fn ended(sqs: &Sqs, name: &str) -> aws_sdk_sqs::types::ListMessageMoveTasksResultEntry {
        loop {
            let list = sqs.client().list_message_move_tasks().source_arn(arn(name));
            let task = list.send().await.unwrap().results()[0].clone();
            if !matches!(task.status(), Some("RUNNING" | "CANCELLING")) {
                return task;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_move_task_brings_messages_back_to_the_queue_they_were_given_up_in() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        let queues = [
            queue("events", Some("shared-dead")),
            queue("orders", Some("shared-dead")),
            queue("shared-dead", None),
        ];
        sqs.create_queues(&queues).await.unwrap();
        for name in ["events", "orders"] {
            send(&sqs, name, name).await;
            let received = receive(&sqs, name).await;
            let url = sqs.url(name).unwrap();
            transfer::show_again(sqs.client(), &url, received[0].receipt_handle.clone())
                .await
                .unwrap();
            assert!(
                transfer::receive(sqs.client(), &url, 30)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        let dead = sqs.url("shared-dead").unwrap();
        // Looked at, and so hidden for no time at all.
        transfer::receive(sqs.client(), &dead, 0).await.unwrap();
        let before = sqs.client().list_dead_letter_source_queues().queue_url(&dead);
        assert_eq!(before.send().await.unwrap().queue_urls().len(), 2);
        assert_eq!(transfer::count(sqs.client(), &dead).await.unwrap(), 2);

        let start = sqs.client().start_message_move_task();
        let start = start.source_arn(arn("shared-dead")).send().await.unwrap();
        assert!(start.task_handle.is_some());
        let task = ended(&sqs, "shared-dead").await;
        assert_eq!(task.status(), Some("COMPLETED"));
        assert_eq!(task.approximate_number_of_messages_moved(), 2);
        for name in ["events", "orders"] {
            assert_eq!(receive(&sqs, name).await[0].body(), Some(name));
        }
        sqs.stop().await;
    }

    #[tokio::test]
    async fn a_move_task_can_be_cancelled_and_is_refused_where_nothing_is_given_up() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        let queues = [queue("events", Some("events-dead")), queue("events-dead", None)];
        sqs.create_queues(&queues).await.unwrap();
        for _ in 0..5 {
            send(&sqs, "events-dead", "{}").await;
        }
        let start = |name: &str| sqs.client().start_message_move_task().source_arn(arn(name));
        let slowly = start("events-dead").max_number_of_messages_per_second(1);
        let handle = slowly.send().await.unwrap().task_handle.unwrap();
        assert!(start("events-dead").send().await.is_err());
        let cancel = sqs.client().cancel_message_move_task().task_handle(&handle);
        cancel.send().await.unwrap();
        let task = ended(&sqs, "events-dead").await;
        assert_eq!(task.status(), Some("CANCELLED"));
        let dead = sqs.url("events-dead").unwrap();
        assert!(transfer::count(sqs.client(), &dead).await.unwrap() >= 3);

        let not_dead = start("events").send().await.unwrap_err();
        let not_dead = not_dead.into_service_error();
        assert_eq!(not_dead.meta().code(), Some("InvalidParameterValue"));
        let unknown = start("nowhere").send().await.unwrap_err().into_service_error();
        assert!(unknown.is_resource_not_found_exception(), "{unknown:?}");
        let unknown = sqs.client().cancel_message_move_task().task_handle("x");
        let unknown = unknown.send().await.unwrap_err().into_service_error();
        assert!(unknown.is_resource_not_found_exception(), "{unknown:?}");
        sqs.stop().await;
    }

    #[tokio::test]
    async fn a_page_of_another_site_is_refused() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        let request = crate::http_client().unwrap().post(sqs.endpoint());
        let response = request
            .header("origin", "http://evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 403);
        sqs.stop().await;
    }

    #[tokio::test]
    async fn an_undeclared_dead_letter_queue_is_refused() {
        let sqs = Sqs::start(super::super::region()).await.unwrap();
        let error = sqs
            .create_queues(&[queue("events", Some("nowhere"))])
            .await
            .unwrap_err();
        assert!(format!("{error:#}").contains("nowhere"));
        sqs.stop().await;
    }
}
