//! `GET /clients/{client_id}/payments`: the client's payments, newest first.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use domain::ids::WalletId;
use domain::wallets::payment::{PaymentStatus, PaymentType};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination::{self, Page};
use serde::Deserialize;
use utoipa::ToSchema;
use wallets::access;
use wallets::answer::PaymentView;
use wallets::payments::{PaymentFilter, PaymentList};

/// Which payments.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PaymentsQuery {
    /// Made at this time or later (RFC 3339).
    #[serde(default, deserialize_with = "http::optional_time")]
    from: Option<DateTime<Utc>>,
    /// Made before this time (RFC 3339).
    #[serde(default, deserialize_with = "http::optional_time")]
    to: Option<DateTime<Utc>>,
    /// Of this type: `recharge`, `withdraw` or `transfer`.
    #[serde(rename = "type")]
    #[schema(value_type = Option<String>, pattern = "^(recharge|withdraw|transfer)$")]
    payment_type: Option<PaymentType>,
    /// In this status: `pending`, `done` or `failed`.
    #[schema(value_type = Option<String>, pattern = "^(pending|done|failed)$")]
    status: Option<PaymentStatus>,
    /// Of this wallet.
    #[schema(value_type = Option<i64>, minimum = 1)]
    wallet_id: Option<WalletId>,
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Payments of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListPayments;

impl HttpOperation for ListPayments {
    type UseCase = PaymentList;
    type Input = PaymentsQuery;
    type Output = Page<PaymentView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List payments",
            "The client's payments with their present status, newest first.",
        )
        .path_id("client_id", "The client.")
        .answer(200, "A page of the payments.")
        .refusal(404, "There is no such client, or it is another.")
    }

    async fn handle(payment_list: &PaymentList, call: Call<PaymentsQuery>) -> Result<Reply<Page<PaymentView>>, Problem> {
        let client = access::acting_for(&call.identity, call.path("client_id")?)?;
        let query = call.input;
        let limit = pagination::limit(query.limit)?;
        let after = query.cursor.as_deref().map(pagination::decode).transpose()?;
        let filter = PaymentFilter {
            from: query.from,
            to: query.to,
            payment_type: query.payment_type,
            payment_status: query.status,
            wallet: query.wallet_id,
        };
        Reply::ok(&payment_list.page(client, filter, after, limit).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListPayments>()
}
