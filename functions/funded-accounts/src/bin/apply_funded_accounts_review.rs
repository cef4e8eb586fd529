//! Queue `funded-accounts-review-decisions`: applies what an operator has decided about a withdrawal.
//!
//! | What waits | What may be decided |
//! |---|---|
//! | `withdrawal-approval` | `approve`, `reject` |
//! | `withdrawal-refused` | `try-again`, `give-up` |
//! | `payout-discrepancy` | `close` |

use std::process::ExitCode;

use funded_accounts::review_decision::FundedAccountsReviewer;

fn main() -> ExitCode {
    platform::review::serve::<FundedAccountsReviewer>()
}
