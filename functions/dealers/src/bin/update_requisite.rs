//! `PUT /dealers/{cme_client_id}/requisite`: replaces a dealer's requisite, here and in Billing.

use dealers::SCOPE;
use dealers::dealer::{DealerView, Dealers, RequisiteRequest};
use platform::prelude::*;

struct UpdateRequisite;

impl HttpOperation for UpdateRequisite {
    type UseCase = Dealers;
    type Input = RequisiteRequest;
    type Output = DealerView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Replace a dealer's requisite",
            "Replaces the requisite as a whole. It is sent on to Billing for each of the dealer's accounts; \
             `has_newest_requisite` says when it is there.",
        )
        .path_text(
            "cme_client_id",
            64,
            "The dealer as the auction's systems know him.",
        )
        .response(200, "The dealer with the requisite.")
        .problem(422, "Fields are wrong; `errors` names all of them.")
    }

    async fn handle(dealers: &Dealers, call: Call<RequisiteRequest>) -> Result<Reply<DealerView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let dealer = call.path("cme_client_id")?;
        let updated = dealers.update_requisite(&dealer, call.input).await;
        Reply::ok(&updated.map_err(dealers::Error::into_problem)?)
    }
}

fn main() -> ExitCode {
    serve::<UpdateRequisite>()
}
