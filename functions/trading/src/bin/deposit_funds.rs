//! `POST /trading/deposits`: moves money from a linked bank account into the trading account.

use platform::prelude::*;
use trading::money_flow::{Deposits, MoneyFlowRequest, MoneyFlowView};

struct DepositFunds;

impl HttpOperation for DepositFunds {
    type UseCase = Deposits;
    type Input = MoneyFlowRequest;
    type Output = MoneyFlowView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Deposit funds",
            "Takes the amount from the bank account (ACH) and puts it into the trading account. The deposit is on its \
             way when this answers; its status follows in the history and by notification.",
        )
        .idempotent()
        .response(201, "The broker has accepted the deposit.")
        .response(
            202,
            "The deposit is recorded, and the broker's response isn't known yet. Repeat the request with the same key to \
             learn it; while the deposit is `under_review`, repeating brings nothing new.",
        )
        .problem(404, "The account is not one of the caller's.")
    }

    async fn handle(
        deposits: &Deposits,
        call: Call<MoneyFlowRequest>,
    ) -> Result<Reply<MoneyFlowView>, Problem> {
        let profile = call.identity.profile()?;
        let key = call.idempotency_key()?;
        let reply = deposits.deposit(profile, key, &call.input, call.deadline).await?;
        reply.into_reply()
    }
}

fn main() -> ExitCode {
    serve::<DepositFunds>()
}
