//! `POST /trading/withdrawals`: moves cash from the trading account to a linked bank account.

use std::process::ExitCode;

use domain::ids::{BankAccountId, TradingAccountId};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use trading::answer::{Answer, MoneyFlowView};
use trading::money_flow::{MoneyFlowRequest, Withdrawals};
use utoipa::ToSchema;

/// A withdrawal to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WithdrawalRequest {
    /// The trading account that pays; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    trading_account_id: TradingAccountId,
    /// The amount in cents, above zero; a whole number without a decimal point.
    #[schema(minimum = 1, examples(25_000))]
    amount_cents: i64,
    /// The bank account that gets the money; one of the caller's own.
    #[schema(value_type = i64, minimum = 1)]
    bank_account_id: BankAccountId,
}

struct WithdrawFunds;

impl HttpOperation for WithdrawFunds {
    type UseCase = Withdrawals;
    type Input = WithdrawalRequest;
    type Output = MoneyFlowView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Withdraw funds",
            "Takes the amount from the account's cash and sends it to the bank account (ACH). The withdrawal is on its \
             way when this answers; its status follows in the history and by notification.",
        )
        .idempotent()
        .answer(201, "The broker has accepted the withdrawal.")
        .answer(
            202,
            "The withdrawal is noted. Repeat the request with the same key to learn the broker's word; while it is \
             `under_review`, only a person of ours can find out.",
        )
        .refusal(404, "The account is not one of the caller's.")
    }

    async fn handle(withdrawals: &Withdrawals, call: Call<WithdrawalRequest>) -> Result<Reply<MoneyFlowView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let WithdrawalRequest {
            trading_account_id,
            amount_cents,
            bank_account_id,
        } = call.input;
        let request = MoneyFlowRequest {
            trading_account_id,
            amount_cents,
            bank_account_id,
        };
        match withdrawals.withdraw(profile, key, request, call.deadline).await? {
            Answer::Kept { answer, replayed } => Ok(Reply::kept(answer, replayed)),
            Answer::Open(flow) => Reply::with_status(202, &flow),
        }
    }
}

fn main() -> ExitCode {
    http::serve::<WithdrawFunds>()
}
