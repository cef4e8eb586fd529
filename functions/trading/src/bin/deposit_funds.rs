//! `POST /trading/deposits`: moves money from a linked bank account into the trading account.

use std::process::ExitCode;

use domain::ids::{BankAccountId, TradingAccountId};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use trading::answer::{Answer, MoneyFlowView};
use trading::money_flow::{Deposits, MoneyFlowRequest};
use utoipa::ToSchema;

/// A deposit to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DepositRequest {
    /// The trading account that gets the money; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    trading_account_id: TradingAccountId,
    /// The amount in cents, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(25_000))]
    amount_cents: i64,
    /// The bank account that pays; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    bank_account_id: BankAccountId,
}

struct DepositFunds;

impl HttpOperation for DepositFunds {
    type UseCase = Deposits;
    type Input = DepositRequest;
    type Output = MoneyFlowView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Deposit funds",
            "Takes the amount from the bank account (ACH) and puts it into the trading account. The deposit is on its \
             way when this answers; its status follows in the history and by notification.",
        )
        .idempotent()
        .answer(201, "The broker has accepted the deposit.")
        .answer(
            202,
            "The deposit is noted. Repeat the request with the same key to learn the broker's word; while it is \
             `under_review`, only a person of ours can find out.",
        )
        .refusal(404, "The account is not one of the caller's.")
    }

    async fn handle(deposits: &Deposits, call: Call<DepositRequest>) -> Result<Reply<MoneyFlowView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let DepositRequest {
            trading_account_id,
            amount_cents,
            bank_account_id,
        } = call.input;
        let request = MoneyFlowRequest {
            trading_account_id,
            amount_cents,
            bank_account_id,
        };
        match deposits.deposit(profile, key, request, call.deadline).await? {
            Answer::Kept { answer, replayed } => Ok(Reply::kept(answer, replayed)),
            Answer::Open(flow) => Reply::with_status(202, &flow),
        }
    }
}

fn main() -> ExitCode {
    http::serve::<DepositFunds>()
}
