//! Queue `commissions-review-decisions`: applies what an operator has decided about a charge or an invoice.

use std::process::ExitCode;

use commissions::review_decision::CommissionsReviewer;

fn main() -> ExitCode {
    platform::review::serve::<CommissionsReviewer>()
}
