//! `POST /transfers/batch`: many transfers in one call.

use platform::prelude::*;
use wallets::client::access;
use wallets::transfer::view::BatchView;
use wallets::transfer::{TransferBatchRequest, Transfers};

struct TransferBatch;

impl HttpOperation for TransferBatch {
    type UseCase = Transfers;
    type Input = TransferBatchRequest;
    type Output = BatchView;

    /// 500 transfers with every field at its longest.
    const BODY_LIMIT_BYTES: usize = 256 * 1024;

    fn about() -> About {
        About::new(
            Method::Post,
            "Transfer in a batch",
            "Makes up to 500 transfers in their order. The key covers the whole batch: sent again, it is answered as it was. A \
             transfer may have a key of its own as well, under which it is made once in whatever batch.",
        )
        .idempotent()
        .one_of("BatchTransfer", &["amount", "receiver_amount"])
        .response(200, "What each transfer came to, in their order.")
        .problem(402, "In mode atomic: a transfer lacks money, and none was made.")
        .problem(404, "In mode atomic: a wallet or receiver doesn't exist, and none was made.")
    }

    async fn handle(
        transfers: &Transfers,
        call: Call<TransferBatchRequest>,
    ) -> Result<Reply<BatchView>, Problem> {
        let caller = access::calling_service(&call.identity)?;
        let key = call.idempotency_key()?;
        let results = transfers.batch(caller, &key, call.input).await?;
        results.map(BatchView::of).into_reply(200)
    }
}

fn main() -> ExitCode {
    serve::<TransferBatch>()
}
