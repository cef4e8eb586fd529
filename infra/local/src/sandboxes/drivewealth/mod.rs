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
//! | `GET users`, `POST users/{id}/decide` | | users that were made, with their checks; lets a check come to its verdict |
//! | `POST users/{id}/kyc` | `{"status":"KYC_DENIED","errors":["SSN_NOT_MATCH"]}` | puts a check into any state |
//! | `POST accounts/{id}/holdings` | `{"fund":"fund_…","symbol":"AAPL","value_cents":…}` | a price moves: sets what an instrument in a fund is worth |
//! | `POST instruments/{symbol}/status` | `{"status":"INACTIVE"}` | sets an instrument's state; sends `instruments.updated`, or `.created` |
//! | `GET runs`, `POST runs/{id}/step` | | autopilot runs; takes a run's next state |
//! | `POST autopilot` | `{"pace_ms":20,"end_with":null,"failing_accounts":[]}` | how runs go: null stops them; what they come to; for whom they fail |
//! | `GET payments`, `GET payments/{id}`, `GET payments/{id}/events` | | payments and the events made for them |
//! | `POST payments/{id}/advance` | `{"status":14,"comment":"…"}` | sets any status |
//! | `POST payments/{id}/step` | | takes the next status |
//! | `POST payments/{id}/return` | | the bank takes a deposit back (5) |
//! | `POST accounts/{id}/documents` | `{"kind":"statement","name":"October 2026"}` | makes a document (or `trade_confirm`, `tax_form`) and sends its event |
//! | `POST bank-accounts/{id}/decline` | `{"how":"rejected","reason":"…"}` or `{"how":"daily_limit"}` | deposits from it decline; with `token_invalid` anything does |
//! | `POST events` | `{"type":"…","payload":{…}}` | sends an event of any type |
//! | `POST events/send` | an envelope | sends it as it is, once more for example |
//! | `POST events/release` | | sends the events held back |
//! | `POST modes` | `{"auto_advance_ms":null,"hold":true,"duplicate":false,"shuffle":false,"session_lifetime_s":3600}` | changes what is given |
//! | `GET`, `POST`, `DELETE faults` | [`Fault`](super::Fault) | the ways of failing |
//! | `GET`, `DELETE calls` | | what was called |
//!
//! A check's verdict follows from the last name, as in DriveWealth's own sandbox: an error's name (`SSN_NOT_MATCH`) is that error,
//! one about documents asks for one; `DENIED`, `MANUAL_REVIEW`, `DOC_REQUIRED` and `PROCESSING` are states; everybody else is
//! approved. A new account opens by itself.
//!
//! A bank account whose id begins with `bank_declined` has its deposits rejected, one with `bank_limit` is over its
//! daily limit. REST gives a redemption's amount with the sign it was asked for with; events give it negative.

mod api;
mod control;
mod events;
mod handle;
mod managed;
mod opening;
mod payments;
mod portfolio;
mod replies;
mod state;
mod statements;
#[cfg(test)]
mod tests;

pub use events::DeliveryModes;
pub use handle::{AccountState, FundState, HoldingState, SeedAccount, SeededAccount};
pub use payments::status;
pub use state::{
    BankAccount, Counters, Decline, Document, DocumentKind, ManagedPortfolio, Payment, PaymentKind, RunState,
    Trade, Upload, User,
};

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Handle;

use super::EventSink;
use super::sandbox::Sandbox;
use crate::clock::LocalClock;
use events::Outbox;
use state::State;

/// The user of the adviser (RIA) that Moneta is at DriveWealth.
pub const RIA_USER_ID: &str = "7c1e9a52-3d84-4c0b-9f35-2a6d1b8e4f70";

/// The product that accounts are opened for.
pub const RIA_PRODUCT_ID: &str = "product_5b0c2b0a-9d1c-4b7e-8a55-0f7f6f1f9d10";
/// The introducing broker above the company.
pub const PARENT_IBID: &str = "0f3f8a52-2b7e-4c1d-9a44-7d5f0c9b1e22";

/// The pace of payments when nothing else is said.
pub const DEFAULT_PACE: Duration = Duration::from_millis(300);

const SESSION_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// A handle of the DriveWealth sandbox.
pub type DriveWealthSandbox = Sandbox<Live, Sender>;

/// Its state, and the pace at which it moves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Live {
    state: State,
    #[serde(skip, default = "default_pace")]
    auto_advance: Option<Duration>,
    #[serde(skip, default = "default_lifetime")]
    session_lifetime: TimeDelta,
}

fn default_pace() -> Option<Duration> {
    Some(DEFAULT_PACE)
}

fn default_lifetime() -> TimeDelta {
    SESSION_LIFETIME
}

impl Default for Live {
    fn default() -> Self {
        Self {
            state: State::default(),
            auto_advance: default_pace(),
            session_lifetime: default_lifetime(),
        }
    }
}

/// Where its events go.
#[derive(Debug)]
pub struct Sender {
    outbox: Outbox,
    runtime: Handle,
}

impl DriveWealthSandbox {
    /// Starts with the state in the file, if one is given, and sends events to the sink.
    pub(super) fn start(
        events: Option<EventSink>,
        file: Option<PathBuf>,
        clock: LocalClock,
    ) -> anyhow::Result<Self> {
        let sender = Sender {
            outbox: Outbox::start(events),
            runtime: Handle::current(),
        };
        let sandbox = Self::open(file, clock, sender)?;
        sandbox.follow_all(&sandbox.lock());
        Ok(sandbox)
    }

    /// Moves no payment and sends no event any more, and keeps the last state.
    pub(super) fn stop(&self) {
        self.lock().auto_advance = None;
        self.outbox().stop();
        self.close();
    }

    fn outbox(&self) -> &Outbox {
        &self.extra().outbox
    }

    /// Sends the event about a change. Under the lock, so that the events' order is that of the changes.
    fn emit(&self, _live: &mut Live, event: Value) {
        self.outbox().emit(event);
        self.changed();
    }

    /// Puts a payment into a status; says whether there is such a payment.
    fn change(&self, live: &mut Live, id: &str, status: i32, comment: &str, now: DateTime<Utc>) -> bool {
        let Some(event) = payments::set_status(&mut live.state, id, status, comment, now) else {
            return false;
        };
        self.emit(live, event);
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
        let sandbox = self.downgrade();
        let (id, steps) = (payment.id.clone(), payment.path.len());
        self.extra().runtime.spawn(async move {
            tokio::time::sleep(pace).await;
            if let Some(sandbox) = sandbox.upgrade() {
                sandbox.step_on(&id, steps);
            }
        });
    }

    /// Does something after the usual time, if things move by themselves.
    fn later(&self, live: &Live, act: impl FnOnce(&Self) + Send + 'static) {
        let Some(pace) = live.auto_advance else { return };
        let sandbox = self.downgrade();
        self.extra().runtime.spawn(async move {
            tokio::time::sleep(pace).await;
            if let Some(sandbox) = sandbox.upgrade() {
                act(&sandbox);
            }
        });
    }

    fn follow_all(&self, live: &Live) {
        self.go_on_opening(live);
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
            self.change(&mut live, id, status, &comment, self.time());
        }
    }
}
