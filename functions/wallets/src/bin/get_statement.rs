//! `GET /clients/{client_id}/wallets/{wallet_id}/statement`: what went in and out of a wallet.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination;
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::statement::{DEFAULT_LINES, Format, MAX_LINES, Part, Statement, Statements};

/// Which statement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StatementQuery {
    /// Entries of this time or later (RFC 3339); from the first on unless given.
    #[serde(default, deserialize_with = "http::optional_time")]
    from: Option<DateTime<Utc>>,
    /// Entries before this time (RFC 3339); up to now unless given.
    #[serde(default, deserialize_with = "http::optional_time")]
    to: Option<DateTime<Utc>>,
    /// `json` unless given, or `csv`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(json|csv)$")]
    format: Format,
    /// `next_cursor` of the page before; `from` and `to` don't matter then.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Lines of a page; 1,000 unless given.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
}

struct GetStatement;

impl HttpOperation for GetStatement {
    type UseCase = Statements;
    type Input = StatementQuery;
    type Output = Statement;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get a statement",
            "Opening balance, the wallet's entries of a period with the balance after each, and closing balance. Every page \
             adds up, and the next begins where it ends, whatever is paid meanwhile.",
        )
        .path_id("client_id", "The client.")
        .path_id("wallet_id", "The client's wallet.")
        .answer(200, "A page of the statement.")
        .also_csv()
        .refusal(404, "The client has no such wallet, or it is another client's.")
    }

    async fn handle(statements: &Statements, call: Call<StatementQuery>) -> Result<Reply<Statement>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let wallet = call.path("wallet_id")?;
        let query = call.input;
        let limit = pagination::limit_of(query.limit, DEFAULT_LINES, MAX_LINES)?;
        let part = match query.cursor.as_deref() {
            Some(text) => Part::Next(pagination::decode(text)?),
            None => Part::Period {
                from: query.from,
                to: query.to,
            },
        };
        let statement = statements.page(client, wallet, part, limit).await?;
        match query.format {
            Format::Json => Reply::ok(&statement),
            Format::Csv => Ok(Reply::csv(&statement.file_name(), statement.to_csv())),
        }
    }
}

fn main() -> ExitCode {
    http::serve::<GetStatement>()
}
