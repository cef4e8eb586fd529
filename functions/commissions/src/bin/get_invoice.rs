//! `GET /billing/invoices/{invoice_id}`: one invoice, as JSON or as a PDF.

use std::process::ExitCode;

use commissions::invoices::{InvoiceReader, InvoiceView};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

struct GetInvoice(InvoiceReader);

impl HttpOperation for GetInvoice {
    type Input = NoQuery;
    type Output = InvoiceView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Get an invoice",
            "One of the caller's invoices. While a charge of it waits for the customer, `confirmation` has what the app needs to \
             let the customer confirm it.",
        )
        .path_id("invoice_id", "The invoice.")
        .answer(200, "The invoice.")
        .also_pdf()
        .refusal(404, "The invoice is not one of the caller's.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        InvoiceReader::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoQuery>) -> Result<Reply<InvoiceView>, Problem> {
        let profile = call.identity.profile()?;
        let invoice = call.path("invoice_id")?;
        if call.prefers("application/pdf") {
            let file = self.0.pdf(profile, invoice).await?;
            return Ok(Reply::pdf(&file.name, file.bytes));
        }
        Reply::ok(&self.0.get(profile, invoice, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetInvoice>()
}
