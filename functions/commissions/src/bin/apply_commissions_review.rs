//! Queue `commissions-review-decisions`: applies what an operator has decided about a charge or an invoice.
//!
//! | What waits | What may be decided |
//! |---|---|
//! | `invoice-uncollectible` | `void-invoice`, `keep-owed` |
//! | `charge-outcome-unknown` | `look-up-again`, `record-not-charged` |
//! | `charge-refused` | `try-again`, `charge-anew` |
//! | `billing-discrepancy` | `close` |

use std::process::ExitCode;

use commissions::review_decision::CommissionsReviewer;

fn main() -> ExitCode {
    platform::review::serve::<CommissionsReviewer>()
}
