//! Events: their envelope, and sending them to the queue: in order, or held back, twice or in any order, as the modes say.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::sandboxes::EventSink;
use crate::util::lock;

/// A shuffled event comes late by up to this time.
const SHUFFLED_WITHIN_MS: u64 = 400;
const SEND_ATTEMPTS: u32 = 5;

/// How events are delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryModes {
    /// Events are made but not sent.
    pub hold: bool,
    /// Every event is sent twice.
    pub duplicate: bool,
    /// Every event is late by a random time, so they overtake each other.
    pub shuffle: bool,
}

/// The envelope of an event.
pub(super) fn envelope(kind: &str, payload: Value, now: DateTime<Utc>) -> Value {
    json!({
        "id": format!("event_{}", Uuid::now_v7()),
        "type": kind,
        "timestamp": now.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        "payload": payload,
    })
}

/// Takes events and sends them from a task of its own.
#[derive(Debug)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    queue: mpsc::UnboundedSender<Item>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inner {
    modes: DeliveryModes,
    held: Vec<Value>,
}

#[derive(Debug)]
enum Item {
    Event {
        body: String,
        late_by: Duration,
    },
    /// Answers when everything before it is sent.
    Flush(oneshot::Sender<()>),
}

impl Outbox {
    pub(super) fn start(sink: Option<EventSink>) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let task = tokio::spawn(send_all(items, sink));
        Self {
            inner: Mutex::default(),
            queue,
            task,
        }
    }

    /// Sends an event as the modes say.
    pub(super) fn emit(&self, event: Value) {
        let mut inner = self.lock();
        if inner.modes.hold {
            inner.held.push(event);
        } else {
            self.enqueue(&event, inner.modes);
        }
    }

    /// Sends an event now and once, whatever the modes are.
    pub(super) fn send(&self, event: &Value) {
        self.enqueue(event, DeliveryModes::default());
    }

    /// Sends what was held back.
    pub(super) fn send_held(&self) {
        let mut inner = self.lock();
        let modes = DeliveryModes {
            hold: false,
            ..inner.modes
        };
        for event in std::mem::take(&mut inner.held) {
            self.enqueue(&event, modes);
        }
    }

    /// Forgets what was held back.
    pub(super) fn drop_held(&self) {
        self.lock().held.clear();
    }

    pub(super) fn modes(&self) -> DeliveryModes {
        self.lock().modes
    }

    pub(super) fn change_modes(&self, change: impl FnOnce(&mut DeliveryModes)) {
        change(&mut self.lock().modes);
    }

    /// Waits until everything sent so far is in the queue.
    pub(super) async fn flush(&self) {
        let (sent, done) = oneshot::channel();
        if self.queue.send(Item::Flush(sent)).is_ok() {
            let _ = done.await;
        }
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }

    fn enqueue(&self, event: &Value, modes: DeliveryModes) {
        let copies = if modes.duplicate { 2 } else { 1 };
        for _ in 0..copies {
            let late_by_ms = if modes.shuffle {
                rand::rng().random_range(0..SHUFFLED_WITHIN_MS)
            } else {
                0
            };
            let item = Item::Event {
                body: event.to_string(),
                late_by: Duration::from_millis(late_by_ms),
            };
            // Only fails after the end of the sandbox.
            let _ = self.queue.send(item);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

async fn send_all(mut items: mpsc::UnboundedReceiver<Item>, sink: Option<EventSink>) {
    let sink = Arc::new(sink);
    let mut late = tokio::task::JoinSet::new();
    while let Some(item) = items.recv().await {
        match item {
            Item::Event { body, late_by } if late_by.is_zero() => send_one(&sink, &body).await,
            Item::Event { body, late_by } => {
                let sink = Arc::clone(&sink);
                late.spawn(async move {
                    tokio::time::sleep(late_by).await;
                    send_one(&sink, &body).await;
                });
            }
            Item::Flush(sent) => {
                while late.join_next().await.is_some() {}
                let _ = sent.send(());
            }
        }
        while late.try_join_next().is_some() {}
    }
}

async fn send_one(sink: &Option<EventSink>, body: &str) {
    let Some(sink) = sink else {
        return;
    };
    for attempt in 1..=SEND_ATTEMPTS {
        let sent = sink
            .client
            .send_message()
            .queue_url(&sink.queue_url)
            .message_body(body)
            .send()
            .await;
        match sent {
            Ok(_) => return,
            Err(error) if attempt == SEND_ATTEMPTS => {
                tracing::error!(?error, "sending an event of DriveWealth failed");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
