//! The session token: shared by all instances, renewed by one of them at a time.

use chrono::{DateTime, TimeDelta, Utc};

/// A token is renewed this long before it ends.
const RENEWAL_MARGIN: TimeDelta = TimeDelta::seconds(60);

/// A session at DriveWealth.
#[derive(Clone)]
pub struct Session {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Grows with each renewal.
    pub version: i64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Session(version {}, until {})",
            self.version, self.expires_at
        )
    }
}

impl Session {
    /// Whether it can be used at `now`, given that the version `stale` was refused.
    pub(super) fn is_usable(&self, now: DateTime<Utc>, stale: Option<i64>) -> bool {
        let refused = stale.is_some_and(|stale| self.version <= stale);
        !refused && now + RENEWAL_MARGIN < self.expires_at
    }
}

/// Where the instances share their session.
pub trait SessionStore: Send + Sync {
    /// The newest session, and its version (0 before the first).
    fn load(&self) -> impl Future<Output = Result<(Option<Session>, i64), String>> + Send;

    /// Tries to become the one who renews the session after `version`. The claim ends by itself after some seconds.
    fn claim_renewal(&self, version: i64) -> impl Future<Output = Result<bool, String>> + Send;

    /// Shares a renewed session.
    fn save(&self, session: &Session) -> impl Future<Output = Result<(), String>> + Send;
}
