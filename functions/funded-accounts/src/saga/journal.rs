//! What is noted of a saga.

use domain::funded::saga::Progress;

use crate::Error;

/// Where it is noted how far a saga has come.
pub(crate) trait Journal {
    /// How far it has come.
    async fn progress(&self) -> Result<Progress, Error>;

    /// Notes how far it has come.
    async fn note(&self, progress: Progress) -> Result<(), Error>;

    /// Forgets it: it begins anew when it is asked for again.
    async fn forget(&self) -> Result<(), Error>;
}
