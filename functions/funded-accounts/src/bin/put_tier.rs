//! `PUT /tiers/{tier_id}`: what is offered, and on which terms.

use funded_accounts::Error;
use funded_accounts::tier::Tiers;
use funded_accounts::tier::request::TierRequest;
use funded_accounts::tier::view::TierView;
use platform::prelude::*;
use serde_json::json;

struct PutTier;

impl HttpOperation for PutTier {
    type UseCase = Tiers;
    type Input = TierRequest;
    type Output = TierView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Put a tier",
            "For services with scope `internal`. Accounts that are active keep the numbers that their tier had when they \
             began.",
        )
        .path(
            "tier_id",
            json!({"type": "string", "pattern": "^[a-z0-9-]{1,64}$"}),
            "The tier's id: lower-case letters, digits and hyphens.",
        )
        .response(201, "The tier is new.")
        .response(200, "The tier has these numbers now.")
        .problem(422, "A number is one that the tier can't have.")
    }

    async fn handle(tiers: &Tiers, call: Call<TierRequest>) -> Result<Reply<TierView>, Problem> {
        call.identity.require_scope("internal").map_err(Error::from)?;
        let tier = tiers.put(call.path("tier_id")?, call.input).await?;
        Reply::with_status(if tier.replayed { 200 } else { 201 }, &tier.value)
    }
}

fn main() -> ExitCode {
    serve::<PutTier>()
}
