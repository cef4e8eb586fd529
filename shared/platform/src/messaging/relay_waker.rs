//! After a commit that wrote to the outbox, a message wakes the relay at once.

use crate::config::{Environment, FromEnvironment};
use crate::messaging::waker::Waker;

/// Wakes the outbox relay.
#[derive(Debug, Clone)]
pub struct RelayWaker(Waker);

impl FromEnvironment for RelayWaker {
    /// Reads `QUEUE_OUTBOX_NUDGES_URL`.
    fn read(environment: &mut Environment) -> Option<Self> {
        Waker::named("OUTBOX_NUDGES", "outbox")(environment).map(Self)
    }
}

impl RelayWaker {
    /// Wakes the relay; a failure is logged and otherwise ignored.
    pub async fn wake(&self) {
        self.0.wake().await;
    }
}
