//! `GET /clients/{client_id}/wallets/{wallet_id}/statement`: what went in and out of a wallet.

use platform::prelude::*;
use wallets::client::access;
use wallets::statement::view::StatementView;
use wallets::statement::{Format, StatementQuery, Statements};

struct GetStatement;

impl HttpOperation for GetStatement {
    type UseCase = Statements;
    type Input = StatementQuery;
    type Output = StatementView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a statement",
            "Opening balance, the wallet's entries of a period with the balance after each, and closing balance. Every page \
             adds up, and the next begins where it ends, whatever is paid meanwhile.",
        )
        .path_id("client_id", "The client.")
        .path_id("wallet_id", "The client's wallet.")
        .response(200, "A page of the statement.")
        .also_csv()
        .problem(404, "The client has no such wallet, or it is another client's.")
    }

    async fn handle(
        statements: &Statements,
        call: Call<StatementQuery>,
    ) -> Result<Reply<StatementView>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let (wallet, page) = (call.path("wallet_id")?, call.input.page()?);
        let statement = statements.page(client, wallet, page).await?;
        match call.input.format {
            Format::Json => Reply::ok(&statement),
            Format::Csv => Ok(Reply::csv(&statement.file_name(), statement.to_csv())),
        }
    }
}

fn main() -> ExitCode {
    serve::<GetStatement>()
}
