//! `GET /admin/withdrawals/pending`: the withdrawals that wait for an operator, the one that waits longest first.

use funded_accounts::decision::PendingWithdrawals;
use funded_accounts::decision::view::PendingWithdrawalView;
use platform::prelude::*;

struct ListPendingWithdrawals;

impl HttpOperation for ListPendingWithdrawals {
    type UseCase = PendingWithdrawals;
    type Input = PageQuery;
    type Output = Page<PendingWithdrawalView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List withdrawals that wait",
            "For administrators. The withdrawals that nobody has approved yet, each with its trader, account and history and why \
             it waits; the one that waits longest first.",
        )
        .response(200, "A page of withdrawals.")
    }

    async fn handle(
        withdrawals: &PendingWithdrawals,
        call: Call<PageQuery>,
    ) -> Result<Reply<Page<PendingWithdrawalView>>, Problem> {
        call.identity.operator()?;
        let page = call.input.read()?;
        Reply::ok(&withdrawals.list(page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListPendingWithdrawals>()
}
