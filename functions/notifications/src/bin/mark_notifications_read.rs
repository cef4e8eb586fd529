//! `POST /notifications/read`: marks notifications of the caller as read.

use notifications::feed::{MarkReadRequest, MarkReadView, ReadMarker};
use platform::prelude::*;

struct MarkNotificationsRead;

impl HttpOperation for MarkNotificationsRead {
    type UseCase = ReadMarker;
    type Input = MarkReadRequest;
    type Output = MarkReadView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Mark notifications as read",
            "Marks up to 100 of the caller's notifications, or one and all older ones. One that is read already stays so, \
             and ids that aren't the caller's are ignored, so that the request can be repeated.",
        )
        .one_of("MarkReadRequest", &["ids", "up_to"])
        .response(200, "How many are left unread.")
        .problem(422, "Neither ids nor up_to is given, or both, or too many ids.")
    }

    async fn handle(
        marker: &ReadMarker,
        call: Call<MarkReadRequest>,
    ) -> Result<Reply<MarkReadView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&marker.mark(profile, call.input, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    serve::<MarkNotificationsRead>()
}
