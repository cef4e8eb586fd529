//! Queue `trading-review-decisions`: applies what an operator has decided about a money flow or a suspension.
//!
//! | What waits | What may be decided |
//! |---|---|
//! | `money-flow-in-doubt` | `link-payment` with its `payment_id`, `record-not-made`, `keep-status` |
//! | `deposits-suspended` | `resume-deposits` |
//!
//! A money flow moves by the transitions that DriveWealth's events move it by.

use std::process::ExitCode;

use trading::review_decision::TradingReviewer;

fn main() -> ExitCode {
    platform::review::serve::<TradingReviewer>()
}
