//! What a person has ruled about a run without an end.

use chrono::{DateTime, Utc};
use domain::ids::AutopilotRunId;
use domain::trading::collection::run::RunState;
use sqlx::PgConnection;

use super::store::runs;
use crate::{Error, events};

/// What the broker was found to have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The run is over, and what the account has traded since is its result.
    Traded,
    /// The run is over, or was never made, and traded nothing.
    NotTraded,
}

impl Ruling {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traded => "traded",
            Self::NotTraded => "not_traded",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Traded, Self::NotTraded]
            .into_iter()
            .find(|ruling| ruling.name() == name)
    }

    /// The end that the run comes to.
    pub(super) fn end(self) -> RunState {
        match self {
            Self::Traded => RunState::Succeeded,
            Self::NotTraded => RunState::Failed,
        }
    }
}

/// Applies a ruling: a message ends the run by it. Says whether the run waits for a person still.
pub(crate) async fn rule(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    ruling: Ruling,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let Some(due) = runs::set_ruling(connection, run, ruling.name(), now).await? else {
        return Ok(false);
    };
    events::publish_accounts_due(connection, now, vec![due]).await?;
    Ok(true)
}
