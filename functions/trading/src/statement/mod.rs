//! The broker's documents of an account: monthly statements, trade confirmations and tax forms. The broker tells of each once it
//! is there, and keeps the file; whoever wants it gets a link that is good for a short time.

mod kind;
mod query;
pub(crate) mod store;
mod view;

use domain::ids::{ProfileId, StatementId};
use platform::database::Database;
use platform::deadline::Deadline;
use platform::pagination::{Page, PageRequest};
use providers::drivewealth::is_missing;
use providers::outcome::Outcome;

pub use self::query::{AccountStatementsQuery, StatementList, StatementPosition};
pub use self::view::{AccountStatementLinkView, AccountStatementView};

use self::store::Listed;
use crate::Error;
use crate::broker::{Broker, PARTY};

/// Lists documents.
#[derive(Debug)]
pub struct Statements {
    database: Database,
}

platform::from_environment!(Statements { database });

impl Statements {
    /// A page of the documents of the profile's account, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(
        &self,
        profile: ProfileId,
        kind: Option<&str>,
        page: PageRequest<StatementList>,
    ) -> Result<Page<AccountStatementView>, Error> {
        let listed = self
            .database
            .with(async |connection| {
                let after = page.after.as_ref();
                store::list(connection, profile, kind, after, page.rows()).await
            })
            .await?;
        let page = Page::from_overfetched(
            &listed,
            &page,
            |statement: &Listed| AccountStatementView::from(statement.clone()),
            Listed::position,
        );
        Ok(page?)
    }
}

/// Gives links to documents.
#[derive(Debug)]
pub struct StatementDocuments {
    database: Database,
    broker: Broker,
}

platform::from_environment!(StatementDocuments { database, broker });

impl StatementDocuments {
    /// A link to a document of the profile's, which the broker has made for this.
    ///
    /// # Errors
    /// Not found for one that isn't the profile's, or that the broker doesn't have any more; transient when the broker
    /// doesn't respond.
    pub async fn link(
        &self,
        profile: ProfileId,
        id: StatementId,
        deadline: Deadline,
    ) -> Result<AccountStatementLinkView, Error> {
        let file = self
            .database
            .with(async |connection| store::file(connection, profile, id).await)
            .await?
            .ok_or(Error::StatementNotFound)?;
        let client = self.broker.client().await?;
        let linked = client
            .statement_link(&file.drivewealth_account_id, &file.file_key, deadline.instant())
            .await;
        let url = match linked {
            Outcome::Declined(decline) if is_missing(&decline) => return Err(Error::StatementNotFound),
            linked => linked.done(PARTY)?,
        };
        Ok(AccountStatementLinkView { url })
    }
}
