//! What is known of a check.

use chrono::{DateTime, Utc};
use domain::ids::KycStatusId;
use domain::trading::kyc::status::{KycReport, KycStatus};

/// What is known of a profile's check.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    /// The newest report, with its id.
    pub(crate) newest: Option<(KycStatusId, KycReport)>,
    /// When the form was submitted, while the broker hasn't said anything since.
    pub(crate) under_way_since: Option<DateTime<Utc>>,
}

impl Current {
    /// The state that counts.
    pub(crate) fn status(&self) -> KycStatus {
        match (self.under_way_since, &self.newest) {
            (Some(_), _) => KycStatus::Processing,
            (None, Some((_, report))) => report.status,
            (None, None) => KycStatus::NotReady,
        }
    }
}
