//! `GET /billing/invoices`: the caller's invoices, newest first.

use std::process::ExitCode;

use commissions::invoices::{InvoiceList, InvoiceView, Position};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination::{self, Page};
use serde::Deserialize;
use utoipa::ToSchema;

/// Which page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvoiceQuery {
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Invoices of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListInvoices;

impl HttpOperation for ListInvoices {
    type UseCase = InvoiceList;
    type Input = InvoiceQuery;
    type Output = Page<InvoiceView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List invoices",
            "The caller's invoices with all attempts to charge them, newest first.",
        )
        .answer(200, "A page of invoices.")
    }

    async fn handle(invoice_list: &InvoiceList, call: Call<InvoiceQuery>) -> Result<Reply<Page<InvoiceView>>, Problem> {
        let profile = call.identity.profile()?;
        let limit = pagination::limit(call.input.limit)?;
        let after: Option<Position> = call.input.cursor.as_deref().map(pagination::decode).transpose()?;
        Reply::ok(&invoice_list.page(profile, after, limit).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListInvoices>()
}
