//! `DELETE /trading/collections/{collection_id}/versions/{version_id}`: takes an order back.

use platform::prelude::*;
use trading::collection_version::{Cancellations, CollectionVersionView};

struct CancelCollectionVersion;

impl HttpOperation for CancelCollectionVersion {
    type UseCase = Cancellations;
    type Input = Nothing;
    type Output = CollectionVersionView;

    fn about() -> About {
        About::new(
            Method::Delete,
            "Cancel a collection version",
            "Takes an order back that is pending. One that is being carried out, or has ended, stays as it is.",
        )
        .path_id("collection_id", "The collection.")
        .path_id("version_id", "The collection version.")
        .response(200, "It is cancelled.")
        .problem(404, "The collection version is not one of the caller's.")
        .problem(409, "It is not pending.")
    }

    async fn handle(
        use_case: &Cancellations,
        call: Call<Nothing>,
    ) -> Result<Reply<CollectionVersionView>, Problem> {
        let profile = call.identity.profile()?;
        let (collection, version) = (call.path("collection_id")?, call.path("version_id")?);
        Reply::ok(&use_case.cancel(profile, collection, version).await?)
    }
}

fn main() -> ExitCode {
    serve::<CancelCollectionVersion>()
}
