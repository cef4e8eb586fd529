//! The live state of accounts: what the trading engine says, and what the rules make of it, decided and written in one
//! conditional write.

mod message;
pub(crate) mod store;

use domain::funded::snapshot::Snapshot;
use sha2::{Digest, Sha256};

use crate::Error;
use store::LiveTable;

pub use message::PositionUpdate;

/// Bytes of a digest that are kept: enough to tell the snapshots of one account apart.
const DIGEST_BYTES: usize = 12;

/// Applies what the trading engine says.
#[derive(Debug)]
pub struct LiveAccounts {
    table: LiveTable,
}

platform::from_environment!(LiveAccounts { table });

impl LiveAccounts {
    /// Applies a snapshot: state, rules and a violation in one write. One that came before, or that comes after the
    /// account's closure, changes nothing.
    ///
    /// # Errors
    /// Rejected for a snapshot that can't be (the account stays as it is), and for an account that there is not; transient
    /// when DynamoDB can't be reached.
    pub async fn apply(&self, update: PositionUpdate) -> Result<(), Error> {
        let (account, snapshot) = update.into_snapshot();
        let digest = digest(&snapshot)?;
        self.table
            .change(account, |known| {
                Ok(known.live.after(&known.thresholds, &snapshot, &digest)?)
            })
            .await?;
        Ok(())
    }
}

/// Recognises the content of a snapshot.
fn digest(snapshot: &Snapshot) -> Result<String, Error> {
    let content = serde_json::to_vec(snapshot).map_err(|error| Error::item(&error))?;
    let digest = Sha256::digest(content);
    Ok(hex::encode(digest.get(..DIGEST_BYTES).unwrap_or(&digest)))
}
