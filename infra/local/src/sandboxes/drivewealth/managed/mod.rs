//! What an adviser manages: instruments, funds, and the autopilot's runs.

mod control;
mod funds;
mod instruments;
mod runs;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub(super) use control::route as control;
pub(super) use funds::{attach, attached};

use super::replies::{BAD_BODY, error};
use super::state::State;
use super::{DriveWealthSandbox, Live};
use crate::sandboxes::call::{Call, Reply};

/// Lets the runs go on by the time that has passed.
pub(super) fn proceed(state: &mut State, now: DateTime<Utc>) -> bool {
    runs::proceed(state, now)
}

impl DriveWealthSandbox {
    /// The answer to a call of what an adviser manages; none for any other.
    pub(super) fn managed(&self, live: &mut Live, call: &Call, now: DateTime<Utc>) -> Option<Reply> {
        let segments = call.segments();
        let state = &mut live.state;
        let answered = match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["instruments"]) => Ok(instruments::list(state)),
            ("GET", ["instruments", id]) => return Some(instruments::get(state, id)),
            ("POST", ["managed", "funds"]) => funds::create(state, call),
            ("PATCH", ["managed", "funds", id]) => funds::change(state, id, call),
            ("GET", ["users", _, "managed", "funds"]) => Ok(funds::list(state)),
            ("POST", ["managed", "autopilot", _]) => runs::create(state, call, now),
            ("GET", ["managed", "autopilot", id]) => return Some(runs::get(state, id)),
            ("GET", ["users", _, "managed", "autopilot"]) => Ok(runs::list(state)),
            ("GET", ["accounts", id, "transactions"]) => Ok(runs::transactions(state, id, &call.query)),
            _ => return None,
        };
        if call.method != "GET" {
            self.changed();
        }
        Some(reply(answered))
    }
}

fn reply(answered: Result<Value, String>) -> Reply {
    match answered {
        Ok(body) => Reply::ok(&body),
        Err(message) => error(400, BAD_BODY, &message),
    }
}
