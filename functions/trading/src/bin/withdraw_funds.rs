//! `POST /trading/withdrawals`: moves cash from the trading account to a linked bank account.

use platform::prelude::*;
use trading::money_flow::{MoneyFlowRequest, MoneyFlowView, Withdrawals};

struct WithdrawFunds;

impl HttpOperation for WithdrawFunds {
    type UseCase = Withdrawals;
    type Input = MoneyFlowRequest;
    type Output = MoneyFlowView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Withdraw funds",
            "Takes the amount from the account's cash and sends it to the bank account (ACH). The withdrawal is on its \
             way when this answers; its status follows in the history and by notification.",
        )
        .idempotent()
        .response(201, "The broker has accepted the withdrawal.")
        .response(
            202,
            "The withdrawal is recorded, and the broker's response isn't known yet. Repeat the request with the same key \
             to learn it; while the withdrawal is `under_review`, repeating brings nothing new.",
        )
        .problem(404, "The account is not one of the caller's.")
    }

    async fn handle(
        withdrawals: &Withdrawals,
        call: Call<MoneyFlowRequest>,
    ) -> Result<Reply<MoneyFlowView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let reply = withdrawals
            .withdraw(profile, key, &call.input, call.deadline)
            .await?;
        reply.into_reply()
    }
}

fn main() -> ExitCode {
    serve::<WithdrawFunds>()
}
