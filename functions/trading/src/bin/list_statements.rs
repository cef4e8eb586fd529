//! `GET /trading/statements`: the caller's statements, trade confirmations and tax forms, newest first.

use platform::prelude::*;
use trading::statement::{AccountStatementView, AccountStatementsQuery, Statements};

struct ListStatements;

impl HttpOperation for ListStatements {
    type UseCase = Statements;
    type Input = AccountStatementsQuery;
    type Output = Page<AccountStatementView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List statements",
            "The broker's documents about the caller's account, newest first: monthly statements, trade confirmations and \
             tax forms.",
        )
        .response(200, "A page of the documents.")
    }

    async fn handle(
        use_case: &Statements,
        call: Call<AccountStatementsQuery>,
    ) -> Result<Reply<Page<AccountStatementView>>, Problem> {
        let profile = call.identity.profile()?;
        let page = call.input.page()?;
        Reply::ok(&use_case.page(profile, call.input.kind(), page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListStatements>()
}
