//! Trading from outside: deposits, withdrawals, the broker's events and session, reconciliation, portfolios after a change
//! of cash, every account's daily balance, and the identity check.

mod account_balances;
mod bank_links;
mod bank_tokens;
mod broker_session;
mod cash_changes;
mod deposits;
mod drivewealth_events;
mod history;
mod kyc;
mod reconciliation;
mod statements;
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
        bank_links::scenarios(),
        bank_tokens::scenarios(),
        statements::scenarios(),
        history::scenarios(),
        kyc::form::scenarios(),
        kyc::phone::scenarios(),
        kyc::submission::scenarios(),
        kyc::documents::scenarios(),
        kyc::doubt::scenarios(),
    ];
    run_suites([Suite::new("trading", options(), files)])
}
