//! Queue `dealers-review-decisions`: applies what an operator has decided about an account, a bill or a payment.
//!
//! | What waits | What may be decided |
//! |---|---|
//! | `account-refused` | `provision-again` |
//! | `bill-refused` | `issue-again` |
//! | `payment-conflicts`, `payment-names-no-bill`, `reversal-uncovered`, `records-differ` | `acknowledge` |

use std::process::ExitCode;

use dealers::review_decision::DealersReviewer;

fn main() -> ExitCode {
    platform::review::serve::<DealersReviewer>()
}
