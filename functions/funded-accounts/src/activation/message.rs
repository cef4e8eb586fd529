//! What the assessment system says.

use chrono::{DateTime, Utc};
use domain::ids::{AssessmentId, ProfileId, TierId, UserId};
use serde::Deserialize;

use crate::Error;

/// How an assessment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ending {
    Passed,
    Failed,
}

impl Ending {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// An assessment that has ended.
#[derive(Debug, Clone)]
pub(super) struct Assessment {
    pub(super) id: AssessmentId,
    pub(super) user_id: UserId,
    pub(super) profile_id: Option<ProfileId>,
    pub(super) tier_id: TierId,
    pub(super) status: &'static str,
    pub(super) completed_at: DateTime<Utc>,
}

/// A record of the topic `assessment.completed`. Without `Debug`, since it is about a person.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssessmentCompleted {
    pub(super) assessment_id: AssessmentId,
    pub(super) user_id: UserId,
    #[serde(default)]
    pub(super) profile_id: Option<ProfileId>,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) country: String,
    pub(super) tier_id: TierId,
    pub(super) status: Ending,
    pub(super) completed_at: Option<DateTime<Utc>>,
}

impl AssessmentCompleted {
    pub(super) fn assessment(&self) -> Result<Assessment, Error> {
        Ok(Assessment {
            id: self.assessment_id.clone(),
            user_id: self.user_id,
            profile_id: self.profile_id,
            tier_id: self.tier_id.clone(),
            status: self.status.name(),
            completed_at: self.completed_at.ok_or(Error::AssessmentNotCompleted)?,
        })
    }
}
