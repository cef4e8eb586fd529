//! What the end-to-end scenarios stand on: a local cloud with customers, and eyes for everything that an outsider
//! sees of it: HTTP answers, queues, the topic, the outside parties, the tables and the database.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, no panic"
)]

mod api;
pub mod billing;
pub mod broker;
pub mod collections;
pub mod customers;
mod database;
pub mod dealers;
mod events;
mod eventually;
mod fixture;
pub mod funded;
pub mod graphql;
mod logs;
pub mod many_traders;
pub mod measured;
mod messages;
pub mod newcomer;
pub mod onboarding;
pub mod points;
pub mod probe;
mod queues;
mod rest;
mod reviews;
mod runner;
mod statements;
mod tester;
pub mod traces;
pub mod wallets;
pub mod wire;
pub mod withdrawals;

pub use api::{Answer, Api};
pub use database::{Database, FlowRow, InboxRow, OutboxRow};
pub use events::{failed_items, fifo_event, new_domain_event, sqs_event};
pub use eventually::{TIMEOUT, eventually, send_until_answered};
pub use fixture::{FAILED, Fixture, SUCCEEDED, options, root};
pub use messages::{TopicMessage, topic_messages};
pub use runner::{Scenario, Suite, run_suites};
pub use tester::Tester;

/// Whether this is a long run (`make soak`), in which what a usual run plays a sample of is played in full.
pub fn is_soak() -> bool {
    std::env::var_os("MONETA_SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What a scenario and its helpers give: an error says what was seen instead.
pub type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;

/// Fails the scenario, with both sides told, unless they are equal.
#[macro_export]
macro_rules! ensure_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::ensure_eq!($left, $right, "{}", stringify!($left))
    };
    ($left:expr, $right:expr, $($context:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if *left != *right {
                    return Err($crate::differs(format_args!($($context)+), left, right));
                }
            }
        }
    };
}

/// The error of [`ensure_eq`].
pub fn differs(
    context: std::fmt::Arguments<'_>,
    seen: &dyn std::fmt::Debug,
    expected: &dyn std::fmt::Debug,
) -> anyhow::Error {
    anyhow::anyhow!("{context}\n       seen: {seen:?}\n   expected: {expected:?}")
}
