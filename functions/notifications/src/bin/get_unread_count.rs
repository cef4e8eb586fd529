//! `GET /notifications/unread-count`: how many of the caller's notifications are unread.

use std::process::ExitCode;

use notifications::feed::{FeedReader, UnreadCount};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

/// Nothing to ask for: the profile is the caller's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct GetUnreadCount(FeedReader);

impl HttpOperation for GetUnreadCount {
    type Input = NoInput;
    type Output = UnreadCount;

    fn about() -> About {
        About::new(
            Method::Get,
            "Count unread notifications",
            "How many of the caller's notifications are unread.",
        )
        .answer(200, "The count.")
    }

    fn configure(environment: &mut Environment) -> Option<Self> {
        FeedReader::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoInput>) -> Result<Reply<UnreadCount>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&self.0.unread(profile).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetUnreadCount>()
}
