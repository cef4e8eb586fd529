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

use end_to_end::{Suite, options, run_suites};

fn main() -> ExitCode {
    let files = [
        deposits::scenarios(),
        deposits::lost_answers::scenarios(),
        withdrawals::scenarios(),
        drivewealth_events::scenarios(),
        drivewealth_events::accounts::scenarios(),
        reconciliation::scenarios(),
        cash_changes::scenarios(),
        account_balances::scenarios(),
        broker_session::scenarios(),
    ];
    run_suites([Suite::new("trading", options(), files)])
}
