//! `POST /dealers`: registers a dealer who has accepted the offer, with his requisite.

use dealers::SCOPE;
use dealers::dealer::{DealerView, Dealers, RegisterDealerRequest};
use platform::prelude::*;

struct RegisterDealer;

impl HttpOperation for RegisterDealer {
    type UseCase = Dealers;
    type Input = RegisterDealerRequest;
    type Output = DealerView;

    fn about() -> About {
        About::new(
            Method::Post,
            "Register a dealer",
            "Registers a dealer with his requisite and opens his COMMISSION account, which Billing gets afterwards. One who is \
             registered is given again, whether this comes with the requisite of then or with the one of now.",
        )
        .response(201, "The dealer is registered.")
        .response(200, "The dealer was registered before.")
        .problem(409, "The dealer is registered with another requisite.")
        .problem(422, "Fields of the requisite are wrong (`errors` names all of them), or the time is in the future.")
    }

    async fn handle(
        dealers: &Dealers,
        call: Call<RegisterDealerRequest>,
    ) -> Result<Reply<DealerView>, Problem> {
        call.identity.require_scope(SCOPE)?;
        let registered = dealers.register(call.input).await;
        let registered = registered.map_err(dealers::Error::into_problem)?;
        let status = if registered.replayed { 200 } else { 201 };
        Reply::with_status(status, &registered.value)
    }
}

fn main() -> ExitCode {
    serve::<RegisterDealer>()
}
