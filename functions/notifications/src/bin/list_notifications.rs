//! `GET /notifications`: the caller's notifications, newest first.

use std::process::ExitCode;

use notifications::feed::{FeedPosition, FeedReader, Notification};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use platform::pagination::{self, Page};
use serde::Deserialize;
use utoipa::ToSchema;

/// Which page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FeedQuery {
    /// `true` for unread notifications only.
    unread: Option<bool>,
    /// `next_cursor` of the page before; nothing for the newest.
    #[schema(max_length = 512)]
    cursor: Option<String>,
    /// Notifications of a page; 20 unless given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

struct ListNotifications;

impl HttpOperation for ListNotifications {
    type UseCase = FeedReader;
    type Input = FeedQuery;
    type Output = Page<Notification>;

    fn about() -> About {
        About::new(
            Method::Get,
            "List notifications",
            "The caller's notifications, newest first. They are kept for a year.",
        )
        .answer(200, "A page of the feed.")
    }

    async fn handle(feed_reader: &FeedReader, call: Call<FeedQuery>) -> Result<Reply<Page<Notification>>, Problem> {
        let profile = call.identity.profile()?;
        let limit = pagination::limit(call.input.limit)?;
        let after: Option<FeedPosition> = call.input.cursor.as_deref().map(pagination::decode).transpose()?;
        let unread_only = call.input.unread.unwrap_or(false);
        Reply::ok(&feed_reader.page(profile, unread_only, after, limit).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<ListNotifications>()
}
