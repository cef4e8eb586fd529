//! `GET /notifications/unread-count`: how many of the caller's notifications are unread.

use std::process::ExitCode;

use notifications::feed::{FeedReader, UnreadCount};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Nothing, Reply};

struct GetUnreadCount;

impl HttpOperation for GetUnreadCount {
    type UseCase = FeedReader;
    type Input = Nothing;
    type Output = UnreadCount;

    fn about() -> About {
        About::new(
            Method::Get,
            "Count unread notifications",
            "How many of the caller's notifications are unread.",
        )
        .answer(200, "The count.")
    }

    async fn handle(feed_reader: &FeedReader, call: Call<Nothing>) -> Result<Reply<UnreadCount>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&feed_reader.unread(profile).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<GetUnreadCount>()
}
