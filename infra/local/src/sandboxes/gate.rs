//! The gate before every sandbox: the log of calls, and the faults that are still to hit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call::{Call, Delivery, Reply, segments};
use crate::clock::LocalClock;
use crate::util::lock;

/// Older calls are dropped from the log.
const MAX_CALLS: usize = 10_000;

/// A way of failing, for the next calls that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The method it matches, in capitals; any when missing.
    #[serde(default)]
    pub method: Option<String>,
    /// The name of the operation it matches, where the party names its operations: `create_payment_intent`; any when
    /// missing.
    #[serde(default)]
    pub operation: Option<String>,
    /// The beginning of the paths it matches, segment by segment; `*` is any one segment. As the party sees the path:
    /// `/accounts/*/portfolio`.
    #[serde(default)]
    pub path: String,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub times: u32,
    /// The effect on them.
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that hits the next call of the method on the path.
    pub fn new(method: &str, path: &str, effect: Effect) -> Self {
        Self {
            method: Some(method.to_owned()),
            operation: None,
            path: path.to_owned(),
            times: 1,
            effect,
        }
    }

    /// A fault that hits the next call of the operation.
    pub fn on(operation: &str, effect: Effect) -> Self {
        Self {
            method: None,
            operation: Some(operation.to_owned()),
            path: String::new(),
            times: 1,
            effect,
        }
    }

    /// Hits this many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, call: &Call, operation: Option<&str>) -> bool {
        let path = call.segments();
        let pattern = segments(&self.path);
        self.times > 0
            && self
                .method
                .as_ref()
                .is_none_or(|method| method == call.method.as_str())
            && self
                .operation
                .as_ref()
                .is_none_or(|wanted| Some(wanted.as_str()) == operation)
            && pattern.len() <= path.len()
            && pattern
                .iter()
                .zip(&path)
                .all(|(wanted, found)| *wanted == "*" || wanted == found)
            && self.effect.concerns(call)
    }
}

/// The effect of a fault on a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Refuses without doing anything.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The party's own error code.
        error_code: String,
        /// The message.
        message: String,
    },
    /// Does it, then responds with an error all the same.
    FailAfter {
        /// The HTTP status.
        status: u16,
    },
    /// A gateway on the way responds in its own format, which is not the party's.
    Gateway {
        /// The HTTP status.
        status: u16,
        /// Whether the call had gone through before.
        after_doing: bool,
    },
    /// Responds as without a fault, but late.
    Slow {
        /// After how long, in milliseconds.
        for_ms: u64,
        /// Whether it is done before the wait; otherwise after it.
        done_first: bool,
    },
    /// Stripe only: the card is declined.
    Decline {
        /// With this code: `insufficient_funds`.
        decline_code: String,
    },
    /// Doesn't respond for a time, then closes the connection.
    Hang {
        /// For how long, in milliseconds.
        for_ms: u64,
        /// Whether it is done before the wait; otherwise it isn't done at all.
        after_doing: bool,
    },
    /// Closes the connection without a response.
    Reset {
        /// Whether it is done before.
        after_doing: bool,
    },
    /// Does it, but only half of the response arrives.
    Truncate,
    /// 429 with `Retry-After`, without doing anything.
    RateLimit {
        /// The seconds in `Retry-After`.
        retry_after_s: u32,
    },
    /// Ends all sessions, then treats the call as usual.
    ExpireToken,
    /// DriveWealth only: the portfolio's status is invalid.
    InvalidPortfolio {
        /// In which way.
        defect: PortfolioDefect,
    },
    /// The ECB only: the feed arrives whole, but is broken itself.
    InvalidFeed {
        /// In which way.
        defect: FeedDefect,
    },
}

impl Effect {
    fn concerns(&self, call: &Call) -> bool {
        match self {
            Self::InvalidPortfolio { .. } => call.path.ends_with("/portfolio"),
            Self::InvalidFeed { .. } => call.path.ends_with(".xml"),
            _ => true,
        }
    }
}

/// In which way a portfolio's status is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortfolioDefect {
    /// A value is below zero.
    Negative,
    /// The actual weights don't sum to one.
    Sum,
    /// The numbers of the cash are missing.
    Nulls,
}

/// In which way a feed of rates is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedDefect {
    /// It ends in the middle.
    Truncated,
    /// It has not one byte.
    Empty,
    /// The day has no rates.
    NoRates,
    /// The first rate is zero.
    ZeroRate,
}

/// A call that a sandbox has got.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    /// Counts the calls from 1.
    pub number: u64,
    /// When it came.
    pub at: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// The path, as the party sees it.
    pub path: String,
    /// The operation's name, where the party names its operations.
    pub operation: Option<&'static str>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The body, as it came.
    pub body: String,
    /// The status of the response; none while there is none, or when there was none.
    pub status: Option<u16>,
}

/// The log and the faults of one sandbox.
#[derive(Debug)]
pub(super) struct Gate {
    clock: LocalClock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: Vec<Fault>,
    calls: VecDeque<CallRecord>,
    count: u64,
}

impl Gate {
    pub(super) fn new(clock: LocalClock) -> Self {
        Self {
            clock,
            inner: Mutex::default(),
        }
    }

    /// The time at the party.
    pub(super) fn time(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        self.lock().faults.clone()
    }

    pub(super) fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    pub(super) fn calls(&self) -> Vec<CallRecord> {
        self.lock().calls.iter().cloned().collect()
    }

    pub(super) fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    /// Records the call and takes the fault that hits it.
    fn record_call(&self, call: &Call, operation: Option<&'static str>) -> (u64, Option<Effect>) {
        let mut inner = self.lock();
        inner.count += 1;
        let number = inner.count;
        if inner.calls.len() >= MAX_CALLS {
            inner.calls.pop_front();
        }
        inner.calls.push_back(CallRecord {
            number,
            at: self.clock.now(),
            method: call.method.to_string(),
            path: call.path.clone(),
            operation,
            idempotency_key: call.header("idempotency-key").map(str::to_owned),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            status: None,
        });
        let hit = inner
            .faults
            .iter_mut()
            .find(|fault| fault.matches(call, operation))
            .map(|fault| {
                fault.times -= 1;
                fault.effect.clone()
            });
        inner.faults.retain(|fault| fault.times > 0);
        (number, hit)
    }

    fn record_status(&self, number: u64, status: u16) {
        if let Some(call) = self
            .lock()
            .calls
            .iter_mut()
            .rev()
            .find(|call| call.number == number)
        {
            call.status = Some(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

/// A handle with a log of calls and faults.
pub(super) trait Gated {
    /// Its log and faults.
    fn gate(&self) -> &Gate;
}

/// An outside party that a sandbox stands in for.
pub(super) trait Party: Gated + Clone + Send + Sync + 'static {
    /// Does what the call asks for.
    fn respond(&self, call: &Call) -> Reply;

    /// An error in the party's own shape.
    fn error(&self, status: u16, code: &str, message: &str) -> Reply;

    /// Ends all sessions.
    fn expire_sessions(&self);

    /// The name of the operation that the call is for, where the party names its operations.
    fn operation(&self, _call: &Call) -> Option<&'static str> {
        None
    }

    /// Responds with an error of the server, done or not.
    fn respond_with_failure(&self, call: &Call, status: u16, done: bool) -> Reply {
        if done {
            self.respond(call);
        }
        self.error(status, "E999", "An unexpected error occurred")
    }

    /// Declines the card.
    fn respond_with_decline(&self, call: &Call, _decline_code: &str) -> Reply {
        self.respond(call)
    }

    /// Takes its time.
    fn respond_slowly(
        &self,
        call: &Call,
        takes: Duration,
        done_first: bool,
    ) -> impl Future<Output = Reply> + Send {
        async move {
            if done_first {
                let reply = self.respond(call);
                tokio::time::sleep(takes).await;
                return reply;
            }
            tokio::time::sleep(takes).await;
            self.respond(call)
        }
    }

    /// The invalid reply to a call for a portfolio.
    fn respond_with_defect(&self, call: &Call, _defect: PortfolioDefect) -> Reply {
        self.respond(call)
    }

    /// The broken feed of rates.
    fn respond_with_broken_feed(&self, call: &Call, _defect: FeedDefect) -> Reply {
        self.respond(call)
    }

    /// Refuses a fault that could never hit.
    fn check_fault(&self, _fault: &Fault) -> anyhow::Result<()> {
        Ok(())
    }

    /// Does what a person or a test asks for under `/control`, besides faults and calls; gives nothing for a route or
    /// an object that isn't there.
    fn control(&self, call: &Call) -> impl Future<Output = anyhow::Result<Option<Value>>> + Send;
}

/// Takes a call through the faults to the party.
pub(super) async fn handle<P: Party>(party: &P, call: &Call) -> Reply {
    let (number, effect) = party.gate().record_call(call, party.operation(call));
    let reply = match effect {
        None => party.respond(call),
        Some(effect) => apply_effect(party, call, effect).await,
    };
    if reply.delivery != Delivery::Nothing {
        party.gate().record_status(number, reply.status);
    }
    reply
}

async fn apply_effect<P: Party>(party: &P, call: &Call, effect: Effect) -> Reply {
    match effect {
        // A party that names its operations knows what a server error of its own is.
        Effect::Refuse {
            status: status @ 500..,
            ..
        } if party.operation(call).is_some() => party.respond_with_failure(call, status, false),
        Effect::Refuse {
            status,
            error_code,
            message,
        } => party.error(status, &error_code, &message),
        Effect::FailAfter { status } => party.respond_with_failure(call, status, true),
        Effect::Slow { for_ms, done_first } => {
            party
                .respond_slowly(call, Duration::from_millis(for_ms), done_first)
                .await
        }
        Effect::Decline { decline_code } => party.respond_with_decline(call, &decline_code),
        Effect::Gateway { status, after_doing } => {
            if after_doing {
                party.respond(call);
            }
            Reply::text(status, format!("<html><body>{status}</body></html>"))
        }
        Effect::Hang { for_ms, after_doing } => {
            if after_doing {
                party.respond(call);
            }
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            Reply::nothing()
        }
        Effect::Reset { after_doing } => {
            if after_doing {
                party.respond(call);
            }
            Reply::nothing()
        }
        Effect::Truncate => Reply {
            delivery: Delivery::Truncated,
            ..party.respond(call)
        },
        Effect::RateLimit { retry_after_s } => party
            .error(429, "RATE_LIMIT", "Too many requests")
            .with_header("retry-after", retry_after_s.to_string()),
        Effect::ExpireToken => {
            party.expire_sessions();
            party.respond(call)
        }
        Effect::InvalidPortfolio { defect } => party.respond_with_defect(call, defect),
        Effect::InvalidFeed { defect } => party.respond_with_broken_feed(call, defect),
    }
}
