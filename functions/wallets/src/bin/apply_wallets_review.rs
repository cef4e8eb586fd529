//! Queue `wallets-review-decisions`: applies what an administrator has decided about an exchange rate that jumps.
//!
//! | What waits | What may be decided |
//! |---|---|
//! | `exchange-rate-jump` | `accept`, by another administrator than the one who set it; `refuse` |
//!
//! A rate that is accepted is added as one that doesn't jump is, under the same rule of there and back.

use std::process::ExitCode;

use wallets::review_decision::WalletsReviewer;

fn main() -> ExitCode {
    platform::review::serve::<WalletsReviewer>()
}
