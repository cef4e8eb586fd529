//! What a run did, and its parts.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::placement::Failures;

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Transfers that were settled: done, or failed and the money is back.
    pub settled: u64,
    /// Of these, the failed ones.
    pub refused: u64,
    /// Orders that could not be applied; they are tried again.
    pub failed: u64,
    /// Orders that are older than five minutes, before this run; no more than 1,000 between two nodes are counted.
    pub stuck: u64,
    /// Another run is at work between some of the nodes, and applies what waits there.
    pub left_to_another: bool,
    /// The run's time was over before its work was; another one was woken for the rest.
    pub unfinished: bool,
    /// Further nodes that were out of reach: what is paid to and from their clients waits.
    pub nodes_out_of_reach: BTreeSet<i16>,
}

/// What came of a part of a run, done as far as it could be.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) report: Report,
    pub(super) failures: Failures,
    /// There were orders to apply, and there may be more.
    pub(super) has_found: bool,
    /// There are more for sure: a batch was full.
    pub(super) has_more: bool,
}

impl Run {
    pub(super) fn of_parts(parts: Vec<Self>) -> Self {
        let mut whole = Self::default();
        for part in parts {
            whole.add(part);
        }
        whole
    }

    pub(super) fn add(&mut self, part: Self) {
        self.report.add(&part.report);
        self.failures.extend(part.failures);
        self.has_found |= part.has_found;
        self.has_more |= part.has_more;
    }
}

impl Report {
    fn add(&mut self, part: &Self) {
        self.settled += part.settled;
        self.refused += part.refused;
        self.failed += part.failed;
        self.stuck += part.stuck;
        self.left_to_another |= part.left_to_another;
        self.unfinished |= part.unfinished;
    }
}
