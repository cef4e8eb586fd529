//! Schedule: every day the wallets are compared with their payments, and the sides of transfers with each other.

use std::process::ExitCode;

use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;
use wallets::Error;
use wallets::reconciliation::{Reconciler, Report};

struct ReconcileWallets;

impl Job for ReconcileWallets {
    type UseCase = Reconciler;
    type Input = Nothing;
    type Report = Report;
    type Error = Error;

    async fn run(reconciler: &Reconciler, _: Nothing, deadline: Deadline) -> Result<Report, Error> {
        reconciler.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileWallets>()
}
