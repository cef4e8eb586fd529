//! A schedule: reports how many reviews wait, and for how long.

use std::process::ExitCode;

use maintenance::Error;
use maintenance::review::{ReviewReport, ReviewWatch};
use platform::deadline::Deadline;
use platform::entry::schedule::{self, Job};
use platform::http::Nothing;

struct ReportReviews;

impl Job for ReportReviews {
    type UseCase = ReviewWatch;
    type Input = Nothing;
    type Report = ReviewReport;
    type Error = Error;

    async fn run(watch: &ReviewWatch, _: Nothing, _: Deadline) -> Result<ReviewReport, Error> {
        watch.report().await
    }
}

fn main() -> ExitCode {
    schedule::serve::<ReportReviews>()
}
