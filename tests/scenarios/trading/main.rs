//! Trading from outside: deposits, withdrawals, the broker's events and session, reconciliation, portfolios after a change
//! of cash, and every account's daily balance.

mod account_balances;
mod broker_session;
mod cash_changes;
mod deposits;
mod drivewealth_events;
mod reconciliation;
mod withdrawals;

use std::process::ExitCode;

use end_to_end::{Scenario, options, run_scenarios};

fn main() -> ExitCode {
    let scenarios: Vec<Scenario> = [
        deposits::scenarios(),
        withdrawals::scenarios(),
        drivewealth_events::scenarios(),
        reconciliation::scenarios(),
        cash_changes::scenarios(),
        account_balances::scenarios(),
        broker_session::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect();
    run_scenarios("trading", options(), scenarios)
}
