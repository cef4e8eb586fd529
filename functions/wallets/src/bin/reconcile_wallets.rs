//! Schedule: every day the wallets are compared with their payments, and the sides of transfers with each other.

use std::process::ExitCode;

use platform::config::Environment;
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use serde::Deserialize;
use wallets::Error;
use wallets::reconcile::{Reconciler, Report};

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct ReconcileWallets(Reconciler);

impl Job for ReconcileWallets {
    type Input = NoInput;
    type Report = Report;
    type Error = Error;

    fn configure(environment: &mut Environment) -> Option<Self> {
        Reconciler::read(environment).map(Self)
    }

    async fn run(&self, _: NoInput, deadline: Deadline) -> Result<Report, Error> {
        self.0.run(deadline).await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReconcileWallets>()
}
