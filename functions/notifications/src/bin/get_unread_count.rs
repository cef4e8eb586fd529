//! `GET /notifications/unread-count`: how many of the caller's notifications are unread.

use notifications::feed::{FeedReader, UnreadCountView};
use platform::prelude::*;

struct GetUnreadCount;

impl HttpOperation for GetUnreadCount {
    type UseCase = FeedReader;
    type Input = Nothing;
    type Output = UnreadCountView;

    fn about() -> About {
        About::new(
            Method::Get,
            "Count unread notifications",
            "How many of the caller's notifications are unread.",
        )
        .response(200, "The count.")
    }

    async fn handle(feed: &FeedReader, call: Call<Nothing>) -> Result<Reply<UnreadCountView>, Problem> {
        let profile = call.identity.profile()?;
        Reply::ok(&feed.unread(profile).await?)
    }
}

fn main() -> ExitCode {
    serve::<GetUnreadCount>()
}
