//! `GET /trading/statements/{statement_id}`: a link to one of the caller's documents.

use platform::prelude::*;
use trading::statement::{AccountStatementLinkView, StatementDocuments};

struct GetStatementDocument;

impl HttpOperation for GetStatementDocument {
    type UseCase = StatementDocuments;
    type Input = Nothing;
    type Output = AccountStatementLinkView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get statement document",
            "A link to the file of a statement, a trade confirmation or a tax form. It is good for a short time.",
        )
        .path_id("statement_id", "The document.")
        .response(200, "The link.")
        .problem(
            404,
            "The caller has no such document, or the broker doesn't have its file any more.",
        )
    }

    async fn handle(
        use_case: &StatementDocuments,
        call: Call<Nothing>,
    ) -> Result<Reply<AccountStatementLinkView>, Problem> {
        let profile = call.identity.profile()?;
        let statement = call.path("statement_id")?;
        Reply::ok(&use_case.link(profile, statement, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetStatementDocument>()
}
