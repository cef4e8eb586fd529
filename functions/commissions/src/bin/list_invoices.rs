//! `GET /billing/invoices`: the caller's invoices, newest first.

use commissions::invoice::{InvoiceList, InvoiceView};
use platform::prelude::*;

struct ListInvoices;

impl HttpOperation for ListInvoices {
    type UseCase = InvoiceList;
    type Input = PageQuery;
    type Output = Page<InvoiceView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List invoices",
            "The caller's invoices with all attempts to charge them, newest first.",
        )
        .response(200, "A page of invoices.")
    }

    async fn handle(
        invoices: &InvoiceList,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<InvoiceView>>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&invoices.page(profile, call.input.read()?).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListInvoices>()
}
