//! What a run of the relay tells of itself.

use serde::Serialize;

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Messages that got through.
    pub published: usize,
    /// Attempts that failed; they are repeated later.
    pub failed: usize,
    /// Another relay is at work on one of the destinations, and publishes what waits for it.
    pub left_to_another: bool,
    /// The run's time was over before its work was; another run was woken for the rest.
    pub unfinished: bool,
    /// Further nodes of the wallets whose outboxes could not be read; theirs are the next run's.
    pub nodes_out_of_reach: usize,
}

impl Report {
    /// Adds what happened at a destination.
    pub(super) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.failed += other.failed;
        self.left_to_another |= other.left_to_another;
        self.unfinished |= other.unfinished;
        self.nodes_out_of_reach += other.nodes_out_of_reach;
    }
}
