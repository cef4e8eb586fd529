//! Sends events to the webhook endpoint: signed, again until it accepts them, and in any order.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::seq::SliceRandom;
use ring::hmac;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::state::{DeliveryStatus, Event, State};
use super::{Live, Outside, StripeSandbox, render};
use crate::sandboxes::sandbox::WeakSandbox;
use crate::util::lock;

type Weak = WeakSandbox<Live, Outside>;

/// After how long an event is sent again; then it is undeliverable.
const RETRIES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How long the endpoint has to respond.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many events are under way at a time.
const MAX_CONCURRENT: usize = 4;
const MAX_DELIVERIES: usize = 10_000;

/// The order in which events that were held back are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOrder {
    /// As they happened.
    OldestFirst,
    /// The other way round.
    NewestFirst,
    /// Any.
    Shuffled,
    /// Exactly the events with these ids, in this order; an id twice is sent twice. The others stay held back, and
    /// holding goes on.
    Exactly(Vec<String>),
}

/// One try to deliver an event.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookDelivery {
    /// The event.
    pub event_id: String,
    /// The event's type, such as `payment_intent.succeeded`.
    pub kind: String,
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// The status of the endpoint's response; none when there was none.
    pub status: Option<u16>,
}

/// How webhooks are sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WebhookModes {
    /// Where they go; nowhere as long as it is missing.
    pub endpoint: Option<String>,
    /// Where those of connected accounts go.
    pub connect_endpoint: Option<String>,
    /// The kinds that the endpoint wants; all when missing.
    pub wanted: Option<Vec<String>>,
    /// Whether events are held back.
    pub hold: bool,
    /// How often each is sent besides the first time.
    pub repeat: u32,
    /// How late each is, in milliseconds.
    pub delay_ms: u64,
}

impl WebhookModes {
    /// Where an event goes.
    fn endpoint_of(&self, event: &Event) -> Option<&String> {
        match event.account {
            None => self.endpoint.as_ref(),
            Some(_) => self.connect_endpoint.as_ref(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Webhooks {
    inner: Mutex<Sending>,
    client: reqwest::Client,
    runtime: Handle,
    permits: Arc<Semaphore>,
    /// How many events are under way, those that wait to be sent again among them.
    under_way: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Sending {
    modes: WebhookModes,
    held: Vec<String>,
    deliveries: VecDeque<WebhookDelivery>,
}

/// The header `Stripe-Signature` of a payload, with a signature for each secret.
pub(super) fn signature_header(payload: &str, secrets: &[String], timestamp: i64) -> String {
    let mut header = format!("t={timestamp}");
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{timestamp}.{payload}").as_bytes());
        header.push_str(",v1=");
        for byte in tag.as_ref() {
            // Writing to a string can't fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

impl Webhooks {
    pub(super) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            inner: Mutex::default(),
            client: crate::http_client()?,
            runtime: Handle::current(),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            under_way: watch::channel(0).0,
        })
    }

    pub(super) fn modes(&self) -> WebhookModes {
        self.lock().modes.clone()
    }

    pub(super) fn change_modes(&self, change: impl FnOnce(&mut WebhookModes)) {
        change(&mut self.lock().modes);
    }

    pub(super) fn held(&self) -> Vec<String> {
        self.lock().held.clone()
    }

    /// Takes what was held back.
    pub(super) fn take_held(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().held)
    }

    pub(super) fn deliveries(&self) -> Vec<WebhookDelivery> {
        self.lock().deliveries.iter().cloned().collect()
    }

    /// Sends new events as the modes say. Under the state's lock, so that they are sent in the order in which they
    /// happened, unless the modes say otherwise.
    pub(super) fn offer(&self, sandbox: &Weak, state: &mut State, events: &[String]) {
        let mut sending = self.lock();
        for id in events {
            let Some(event) = state.events.get_mut(id) else {
                continue;
            };
            let wanted = sending.modes.wanted.as_ref();
            if wanted.is_some_and(|wanted| !wanted.contains(&event.kind)) {
                event.delivery = DeliveryStatus::Unwanted;
            } else if sending.modes.hold {
                sending.held.push(id.clone());
            } else if sending.modes.endpoint_of(event).is_some() {
                self.spawn(sandbox.clone(), id.clone(), &sending.modes);
            }
        }
    }

    /// Sends an event in a task of its own.
    fn spawn(&self, sandbox: Weak, id: String, modes: &WebhookModes) {
        let copies = modes.repeat.saturating_add(1);
        let delay = Duration::from_millis(modes.delay_ms);
        for _ in 0..copies {
            let (sandbox, id) = (sandbox.clone(), id.clone());
            let guard = UnderWay::start(&self.under_way);
            let permits = Arc::clone(&self.permits);
            self.runtime.spawn(async move {
                let _guard = guard;
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                deliver(&sandbox, &id, &permits).await;
            });
        }
    }

    /// Sends what was held back in this order; holding ends, unless the order names the events.
    pub(super) async fn release(&self, sandbox: &StripeSandbox, order: &ReleaseOrder) -> anyhow::Result<()> {
        if let ReleaseOrder::Exactly(ids) = order {
            for id in ids {
                if !self.held().contains(id) {
                    anyhow::bail!("the event {id} is not held back");
                }
            }
            for id in ids {
                send_once(sandbox, id).await;
            }
            self.lock().held.retain(|id| !ids.contains(id));
            return Ok(());
        }
        let mut ids = self.take_held();
        match order {
            ReleaseOrder::NewestFirst => ids.reverse(),
            ReleaseOrder::Shuffled => ids.shuffle(&mut rand::rng()),
            ReleaseOrder::OldestFirst | ReleaseOrder::Exactly(_) => {}
        }
        self.lock().modes.hold = false;
        let modes = self.modes();
        for id in ids {
            // One at a time, so that the order is kept.
            for _ in 0..=modes.repeat {
                if !send_once(sandbox, &id)
                    .await
                    .is_some_and(|status| (200..300).contains(&status))
                {
                    self.spawn(sandbox.downgrade(), id.clone(), &WebhookModes::default());
                }
            }
        }
        Ok(())
    }

    pub(super) fn are_under_way(&self) -> bool {
        *self.under_way.borrow() > 0
    }

    /// Waits until no event is under way.
    pub(super) async fn settled(&self) {
        let mut under_way = self.under_way.subscribe();
        // Only fails when the sender is gone, which is this one's.
        let _ = under_way.wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, Sending> {
        lock(&self.inner)
    }
}

/// Counts an event as under way as long as it lives.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn start(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count = count.saturating_add(1));
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Sends an event until the endpoint accepts it or its retries are used up.
async fn deliver(sandbox: &Weak, id: &str, permits: &Semaphore) {
    let waits = RETRIES.iter().map(Some).chain([None]);
    for wait in waits {
        // A sandbox that is gone sends nothing more.
        let Some(alive) = sandbox.upgrade() else {
            return;
        };
        let modes = alive.webhooks().modes();
        if modes.endpoint.is_none() && modes.connect_endpoint.is_none() {
            return;
        }
        let permit = permits.acquire().await;
        let status = send_once(&alive, id).await;
        drop((permit, alive));
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
        match wait {
            Some(wait) => tokio::time::sleep(*wait).await,
            None => {
                if let Some(alive) = sandbox.upgrade() {
                    alive.set_delivery(id, DeliveryStatus::GivenUp);
                }
            }
        }
    }
}

/// Sends an event and gives the status of the response.
pub(super) async fn send_once(sandbox: &StripeSandbox, id: &str) -> Option<u16> {
    let modes = sandbox.webhooks().modes();
    let now = sandbox.time();
    let (endpoint, kind, body, header) = {
        let live = sandbox.lock();
        let event = live.state.events.get(id)?;
        let endpoint = modes.endpoint_of(event)?.clone();
        // As it is while it is sent, also when it is sent again.
        let pending = Event {
            delivery: DeliveryStatus::Pending,
            ..event.clone()
        };
        let body = render::event(&pending).to_string();
        let secrets = match event.account {
            None => live.state.signing_secrets(now.timestamp()),
            Some(_) => vec![super::connect::WEBHOOK_SECRET.to_owned()],
        };
        let header = signature_header(&body, &secrets, now.timestamp());
        (endpoint, event.kind.clone(), body, header)
    };
    let sent = sandbox
        .webhooks()
        .client
        .post(endpoint)
        .timeout(RESPONSE_TIMEOUT)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", header)
        .body(body)
        .send()
        .await;
    let status = sent.ok().map(|response| response.status().as_u16());
    {
        let mut sending = sandbox.webhooks().lock();
        if sending.deliveries.len() >= MAX_DELIVERIES {
            sending.deliveries.pop_front();
        }
        sending.deliveries.push_back(WebhookDelivery {
            event_id: id.to_owned(),
            kind,
            at: now,
            status,
        });
    }
    if status.is_some_and(|status| (200..300).contains(&status)) {
        sandbox.set_delivery(id, DeliveryStatus::Delivered);
    }
    status
}
