//! How areas learn of each other's changes: events in envelopes, the outbox they wait in until the relay publishes
//! them, the inbox that records an event from outside once, and queues that work is fanned out to.

pub mod event;
pub mod inbox;
pub mod outbox;
pub mod queue;
pub mod relay_waker;
pub mod waker;
