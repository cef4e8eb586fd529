//! `GET /notifications`: the caller's notifications, newest first.

use notifications::feed::{FeedQuery, FeedReader, NotificationView};
use platform::prelude::*;

struct ListNotifications;

impl HttpOperation for ListNotifications {
    type UseCase = FeedReader;
    type Input = FeedQuery;
    type Output = Page<NotificationView>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List notifications",
            "The caller's notifications, newest first. They are kept for a year.",
        )
        .response(200, "A page of the feed.")
    }

    async fn handle(
        feed: &FeedReader,
        call: Call<FeedQuery>,
    ) -> Result<Reply<Page<NotificationView>>, Problem> {
        let profile = call.identity.profile()?;
        let unread_only = call.input.unread.unwrap_or(false);
        let page = call.input.page()?;
        Reply::ok(&feed.page(profile, unread_only, page).await?)
    }
}

fn main() -> ExitCode {
    serve::<ListNotifications>()
}
