//! The state of the identity check, as the broker reports it: the newest word by the broker's time counts, whichever
//! comes last, or twice.

mod current;
pub(crate) mod store;
mod view;

use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use domain::trading::kyc::status::{KycReport, KycStatus};
use platform::database::Database;
use sqlx::PgConnection;

pub(crate) use self::current::Current;
pub use self::view::{KycDocumentView, KycErrorView, KycStatusView};

use crate::events::{self, KycStatusChanged};
use crate::{Error, profile};

/// Shows the state of the check.
#[derive(Debug)]
pub struct KycStatuses {
    database: Database,
}

platform::from_environment!(KycStatuses { database });

impl KycStatuses {
    /// The state of the profile's check, with what the person can do, and the documents that were sent.
    ///
    /// # Errors
    /// Not found for a profile that nobody has brought in.
    pub async fn get(&self, profile: ProfileId) -> Result<KycStatusView, Error> {
        self.database
            .with(async |connection| load_view(connection, profile).await)
            .await
    }
}

/// The state of the profile's check as callers see it.
pub(crate) async fn load_view(
    connection: &mut PgConnection,
    profile: ProfileId,
) -> Result<KycStatusView, Error> {
    let current = store::current(connection, profile)
        .await?
        .ok_or(Error::ProfileNotFound)?;
    let documents = store::documents(connection, profile).await?;
    Ok(KycStatusView::new(&current, documents))
}

/// Records a report, unless a newer one is known; says whether it was. The tax id is erased with an approval, and a state
/// that is news to the person is published.
pub(crate) async fn record(
    connection: &mut PgConnection,
    profile: ProfileId,
    report: KycReport,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    profile::store::lock(connection, profile).await?;
    let report = report.normalised();
    let Some(current) = store::current(connection, profile).await? else {
        return Ok(false);
    };
    let known = current.newest.as_ref().map(|(_, known)| known);
    if !report.replaces(known) {
        return Ok(false);
    }
    store::insert(connection, profile, &report, now).await?;
    if report.status == KycStatus::Approved {
        store::erase_tax_id(connection, profile).await?;
    }
    // What an earlier check has found is no news while another one is under way.
    let errors = known.filter(|_| current.under_way_since.is_none());
    let errors = errors.map(|known| known.errors.clone()).unwrap_or_default();
    let is_news = current.status() != report.status || errors != report.errors;
    if is_news {
        let changed = KycStatusChanged {
            profile_id: profile,
            status: report.status,
            error_codes: report.errors,
        };
        events::publish_kyc_status_changed(connection, now, changed).await?;
    }
    Ok(true)
}
