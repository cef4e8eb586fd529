//! A sandbox of DriveWealth: sessions, accounts with cash and a portfolio, deposits and redemptions that move by
//! themselves, and the events about them in an SQS queue.
//!
//! # By curl
//!
//! Everything a test can do, a person can do under `/control/drivewealth`, with JSON bodies:
//!
//! | route | body | what it does |
//! |---|---|---|
//! | `GET /` | | accounts, payments, counters and modes |
//! | `POST accounts` | [`SeedAccount`] | makes an account, unless its id exists |
//! | `POST accounts/{id}/cash` | `{"cash_cents":…,"withdrawable_cents":…}` | sets the cash |
//! | `POST accounts/{id}/status` | `{"status":"FROZEN"}` | sets the status; sends `accounts.updated` |
//! | `POST accounts/{id}/funds` | `{"name":"…","value_cents":…}` | sets a fund's value |
//! | `GET payments`, `GET payments/{id}`, `GET payments/{id}/events` | | payments and the events made for them |
//! | `POST payments/{id}/advance` | `{"status":14,"comment":"…"}` | sets any status |
//! | `POST payments/{id}/step` | | takes the next status |
//! | `POST payments/{id}/return` | | the bank takes a deposit back (5) |
//! | `POST bank-accounts/{id}/decline` | `{"how":"rejected","reason":"…"}` or `{"how":"daily_limit"}` | deposits from it decline |
//! | `POST events` | `{"type":"…","payload":{…}}` | sends an event of any type |
//! | `POST events/send` | an envelope | sends it as it is, once more for example |
//! | `POST events/release` | | sends the events held back |
//! | `POST modes` | `{"auto_advance_ms":null,"hold":true,"duplicate":false,"shuffle":false,"session_lifetime_s":3600}` | changes what is given |
//! | `GET`, `POST`, `DELETE faults` | [`Fault`](super::Fault) | the ways of failing |
//! | `GET`, `DELETE calls` | | what was called |
//!
//! A bank account whose id begins with `bank_declined` has its deposits rejected, one with `bank_limit` is over its
//! daily limit. REST gives a redemption's amount with the sign it was asked for with; events give it negative.

mod api;
mod control;
mod events;
mod handle;
mod payments;
mod portfolio;
mod state;
#[cfg(test)]
mod tests;

pub use events::DeliveryModes;
pub use handle::{AccountState, FundState, SeedAccount, SeededAccount};
pub use payments::status;
pub use state::{Counters, Decline, Payment, PaymentKind};

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::runtime::Handle;

use super::EventSink;
use super::gate::Gate;
use super::store::{Changes, Saver, Snapshot, load};
use events::Outbox;
use state::State;

/// The user of the adviser (RIA) that Moneta is at DriveWealth.
pub const RIA_USER_ID: &str = "7c1e9a52-3d84-4c0b-9f35-2a6d1b8e4f70";

/// The pace of payments when nothing else is said.
pub const DEFAULT_PACE: Duration = Duration::from_millis(300);

const SESSION_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// A handle of the DriveWealth sandbox.
#[derive(Debug, Clone)]
pub struct DriveWealthSandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: Mutex<Live>,
    gate: Gate,
    changes: Changes,
    outbox: Outbox,
    runtime: Handle,
}

#[derive(Debug)]
struct Live {
    state: State,
    auto_advance: Option<Duration>,
    session_lifetime: TimeDelta,
}

impl DriveWealthSandbox {
    /// Starts with the state in the file, if one is given, and sends events to the sink.
    pub(super) fn start(events: Option<EventSink>, file: Option<&Path>) -> anyhow::Result<Self> {
        let live = Live {
            state: load(file)?,
            auto_advance: Some(DEFAULT_PACE),
            session_lifetime: SESSION_LIFETIME,
        };
        let sandbox = Self {
            inner: Arc::new(Inner {
                live: Mutex::new(live),
                gate: Gate::default(),
                changes: Changes::default(),
                outbox: Outbox::start(events),
                runtime: Handle::current(),
            }),
        };
        sandbox.follow_all(&sandbox.lock());
        Ok(sandbox)
    }

    /// Keeps the state in the file from now on.
    pub(super) fn save_to(&self, file: PathBuf) -> Saver {
        let sandbox = self.clone();
        let content = move || serde_json::to_vec(&sandbox.lock().state);
        Saver::start(&self.inner.changes, Snapshot { file, content })
    }

    pub(super) fn stop(&self) {
        self.lock().auto_advance = None;
        self.inner.outbox.stop();
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the event about a change. Under the lock, so that the events' order is that of the changes.
    fn happened(&self, _live: &mut Live, event: Value) {
        self.inner.outbox.emit(event);
        self.inner.changes.changed();
    }

    /// Puts a payment into a status; says whether there is such a payment.
    fn change(&self, live: &mut Live, id: &str, status: i32, comment: &str, now: DateTime<Utc>) -> bool {
        let Some(event) = payments::set_status(&mut live.state, id, status, comment, now) else {
            return false;
        };
        self.happened(live, event);
        if let Some(payment) = live.state.payments.get(id) {
            self.follow(live, payment);
        }
        true
    }

    /// Lets a payment take its next status after the usual time, if payments move by themselves.
    fn follow(&self, live: &Live, payment: &Payment) {
        let Some(pace) = live
            .auto_advance
            .filter(|_| payments::next(&live.state, payment).is_some())
        else {
            return;
        };
        // A sandbox that is gone needs no more steps; a payment that has moved meanwhile has its own.
        let sandbox = Arc::downgrade(&self.inner);
        let (id, steps) = (payment.id.clone(), payment.path.len());
        self.inner.runtime.spawn(async move {
            tokio::time::sleep(pace).await;
            if let Some(inner) = sandbox.upgrade() {
                Self { inner }.step_on(&id, steps);
            }
        });
    }

    fn follow_all(&self, live: &Live) {
        for payment in live.state.payments.values() {
            self.follow(live, payment);
        }
    }

    fn step_on(&self, id: &str, steps: usize) {
        let mut live = self.lock();
        if live.auto_advance.is_none() {
            return;
        }
        let payment = live
            .state
            .payments
            .get(id)
            .filter(|payment| payment.path.len() == steps);
        if let Some((status, comment)) = payment.and_then(|payment| payments::next(&live.state, payment)) {
            self.change(&mut live, id, status, &comment, Utc::now());
        }
    }
}
