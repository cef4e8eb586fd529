//! `PUT /trading/collections/{collection_id}`: the company's catalogue service puts a thematic collection.

use platform::prelude::*;
use trading::collection::{CollectionView, Collections, PutCollectionRequest};

struct PutCollection;

impl HttpOperation for PutCollection {
    type UseCase = Collections;
    type Input = PutCollectionRequest;
    type Output = CollectionView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Put a collection",
            "Puts a thematic collection, or brings it up to date. Weights other than before are a new version of its model; what \
             people hold already stays as it is. For the company's catalogue service, with scope `internal`.",
        )
        .path_id("collection_id", "The collection's id, as the catalogue has it.")
        .response(201, "The collection is new.")
        .response(200, "The collection was there and is up to date.")
        .problem(409, "Another collection has this `uniq_id`.")
        .problem(422, "A name or the weights are not acceptable.")
    }

    async fn handle(
        use_case: &Collections,
        call: Call<PutCollectionRequest>,
    ) -> Result<Reply<CollectionView>, Problem> {
        call.identity.require_scope("internal")?;
        let id = call.path("collection_id")?;
        let put = use_case.put(id, &call.input).await?;
        Reply::with_status(if put.replayed { 200 } else { 201 }, &put.value)
    }
}

fn main() -> ExitCode {
    serve::<PutCollection>()
}
