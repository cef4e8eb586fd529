//! `POST /transfers/batch`: many transfers in one call.

use std::process::ExitCode;

use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Object, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::batch_answer::BatchView;
use wallets::batch_request::BatchTransfer;
use wallets::transfer::{BatchMode, Transfers};

/// Transfers to make, in their order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferBatchRequest {
    /// `atomic`: all or none. `each`: every one by itself.
    #[schema(value_type = String, pattern = "^(atomic|each)$", examples("each"))]
    mode: BatchMode,
    /// The transfers.
    #[schema(value_type = Vec<BatchTransfer>, min_items = 1, max_items = 500)]
    transfers: Vec<Object<BatchTransfer>>,
}

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
            "Makes up to 500 transfers in their order. Every transfer has a key of its own, so that a batch that is sent again \
             does only what wasn't done.",
        )
        .idempotent()
        .answer(200, "What each transfer came to, in their order.")
        .refusal(402, "In mode atomic: a transfer lacks money, and none was made.")
        .refusal(404, "In mode atomic: a wallet or receiver doesn't exist, and none was made.")
    }

    async fn handle(transfers: &Transfers, call: Call<TransferBatchRequest>) -> Result<Reply<BatchView>, Problem> {
        access::service(&call.identity)?;
        let key = call.idempotency_key()?;
        let TransferBatchRequest { mode, transfers } = call.input;
        let read = transfers.into_iter().enumerate();
        let items = read
            .map(|(position, Object(item))| item.read(position))
            .collect::<Result<_, _>>()?;
        Reply::ok(&BatchView::of(transfers.batch(&key, mode, items).await?))
    }
}

fn main() -> ExitCode {
    http::serve::<TransferBatch>()
}
