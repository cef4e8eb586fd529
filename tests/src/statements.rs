//! The broker's documents of customers' accounts.

use local_cloud::sandboxes::drivewealth::DocumentKind;

use crate::{Fixture, Result, Tester, eventually};

impl Fixture {
    /// Lets the broker make a document of the customer's account, and waits until its event has arrived; gives our id of it.
    ///
    /// # Errors
    /// When it can't be made, or doesn't arrive.
    pub async fn statement(&self, tester: &Tester, kind: DocumentKind, name: &str) -> Result<i64> {
        let account = &tester.customer.drivewealth_account_id;
        let made = self.cloud.drivewealth().make_document(account, kind, name)?;
        eventually("the document's event arrives", async || {
            let sql = "SELECT id FROM statements WHERE drivewealth_account_id = $1 AND file_key = $2";
            let id = sqlx::query_scalar(sql).bind(account).bind(&made.file_key);
            Ok(id.fetch_one(self.database.pool()).await?)
        })
        .await
    }
}
