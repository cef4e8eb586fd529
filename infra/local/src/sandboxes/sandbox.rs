//! The common part of all sandboxes of an HTTP interface: a state that is kept in a file, the log of calls and the
//! faults, and the control routes for both.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, Weak};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::gate::{CallRecord, Fault, Gate, Gated, Party};
use super::store::Stored;
use crate::clock::LocalClock;

/// A handle of a sandbox with the state `S`, and whatever else the party needs, `X`.
pub struct Sandbox<S, X = ()> {
    inner: Arc<Inner<S, X>>,
}

struct Inner<S, X> {
    stored: Stored<S>,
    gate: Gate,
    extra: X,
}

/// A handle that doesn't keep its sandbox alive.
pub(super) struct WeakSandbox<S, X = ()>(Weak<Inner<S, X>>);

impl<S, X> Clone for Sandbox<S, X> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S, X> Clone for WeakSandbox<S, X> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<S, X> fmt::Debug for Sandbox<S, X> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl<S, X> WeakSandbox<S, X> {
    /// The sandbox, if it isn't gone.
    pub(super) fn upgrade(&self) -> Option<Sandbox<S, X>> {
        self.0.upgrade().map(|inner| Sandbox { inner })
    }
}

impl<S, X> Gated for Sandbox<S, X> {
    fn gate(&self) -> &Gate {
        &self.inner.gate
    }
}

impl<S, X> Sandbox<S, X>
where
    S: Serialize + DeserializeOwned + Default + Send + 'static,
{
    /// Starts with the state in the file, if one is given, and keeps it there.
    pub(super) fn open(file: Option<PathBuf>, clock: LocalClock, extra: X) -> anyhow::Result<Self> {
        let inner = Inner {
            stored: Stored::open(file)?,
            gate: Gate::new(clock),
            extra,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Keeps the last state.
    pub(super) fn close(&self) {
        self.inner.stored.close();
    }
}

impl<S, X> Sandbox<S, X> {
    /// Fails in this way from the next call that matches.
    pub fn fault(&self, fault: Fault) {
        self.inner.gate.add_fault(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.inner.gate.clear_faults();
    }

    /// The calls so far, oldest first (the newest 10,000).
    pub fn calls(&self) -> Vec<CallRecord> {
        self.inner.gate.calls()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.inner.gate.clear_calls();
    }

    /// The time at the party: the local cloud's.
    pub(super) fn time(&self) -> DateTime<Utc> {
        self.inner.gate.time()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, S> {
        self.inner.stored.lock()
    }

    /// The state has changed.
    pub(super) fn changed(&self) {
        self.inner.stored.changed();
    }

    pub(super) fn extra(&self) -> &X {
        &self.inner.extra
    }

    pub(super) fn downgrade(&self) -> WeakSandbox<S, X> {
        WeakSandbox(Arc::downgrade(&self.inner))
    }
}

/// Does what a person or a test asks for under `/control`: with the faults and the log of calls, or what is the party's
/// own.
pub(super) async fn control<P: Party>(party: &P, call: &Call) -> Reply {
    let done = match control_gate(party, call) {
        Ok(None) => party.control(call).await,
        done => done,
    };
    match done {
        Ok(Some(body)) => Reply::ok(&body),
        Ok(None) => Reply::control_error(404, "there is no such route or object"),
        Err(error) => Reply::control_error(400, format!("{error:#}")),
    }
}

/// The routes that every sandbox has, `GET|POST|DELETE faults` and `GET|DELETE calls`; `None` when it is another one.
fn control_gate<P: Party>(party: &P, call: &Call) -> anyhow::Result<Option<Value>> {
    let gate = party.gate();
    let body = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["faults"]) => json!({ "items": gate.faults() }),
        ("POST", ["faults"]) => {
            let fault: Fault = call.read()?;
            party.check_fault(&fault)?;
            gate.add_fault(fault);
            json!({ "items": gate.faults() })
        }
        ("DELETE", ["faults"]) => {
            gate.clear_faults();
            json!({})
        }
        ("GET", ["calls"]) => json!({ "items": gate.calls() }),
        ("DELETE", ["calls"]) => {
            gate.clear_calls();
            json!({})
        }
        _ => return Ok(None),
    };
    Ok(Some(body))
}
