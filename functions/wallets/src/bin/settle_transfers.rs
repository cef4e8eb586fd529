//! Queue `transfer-nudges` (wake-ups after a payer has paid) and a schedule: brings deferred transfers to their receivers and
//! settles them at their payers.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;
use wallets::Error;
use wallets::transfer_order::{Report, TransferOrders};

struct SettleTransfers;

impl Job for SettleTransfers {
    type UseCase = TransferOrders;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(orders: &TransferOrders, _: Nothing, deadline: Deadline) -> Result<Report, Error> {
        orders.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<SettleTransfers>()
}
