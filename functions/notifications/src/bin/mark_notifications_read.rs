//! `POST /notifications/read`: marks notifications of the caller as read.

use std::process::ExitCode;

use notifications::reading::{Marked, NotificationId, Reader, Which};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// What to mark: either `ids` or `up_to`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MarkReadRequest {
    /// These notifications.
    #[schema(min_items = 1, max_items = 100)]
    ids: Option<Vec<NotificationId>>,
    /// This notification and all older ones.
    #[schema(value_type = Option<String>, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    up_to: Option<NotificationId>,
}

struct MarkNotificationsRead;

impl HttpOperation for MarkNotificationsRead {
    type UseCase = Reader;
    type Input = MarkReadRequest;
    type Output = Marked;

    fn about() -> About {
        About::new(
            Method::Post,
            "Mark notifications as read",
            "Marks up to 100 of the caller's notifications, or one and all older ones. What is read already stays so, and \
             ids that aren't the caller's are passed over, so that the request can be repeated.",
        )
        .answer(200, "What is left unread.")
        .refusal(422, "Neither ids nor up_to is given, or both, or too many ids.")
    }

    async fn handle(reader: &Reader, call: Call<MarkReadRequest>) -> Result<Reply<Marked>, Problem> {
        let profile = call.identity.profile()?;
        let which = Which::of(call.input.ids, call.input.up_to)?;
        Reply::ok(&reader.mark(profile, which, call.deadline).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<MarkNotificationsRead>()
}
