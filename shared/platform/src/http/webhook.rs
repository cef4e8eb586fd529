//! Routes that an outside party calls: without a token, with a signature over the very bytes of the body.

use std::future::Future;

use http::HeaderMap;

use super::about::About;
use super::problem::Problem;
use crate::config::FromEnvironment;
use crate::deadline::Deadline;

/// A function behind a webhook's route.
pub trait Webhook: Sized + 'static {
    /// What does the work; read from the environment once, at start.
    type UseCase: FromEnvironment + 'static;
    /// Largest body that is read.
    const BODY_LIMIT_BYTES: usize = 256 * 1024;

    /// What the API's description says of this operation.
    fn about() -> About;

    /// Handles one delivery, which is acknowledged unless this fails. It may come twice, late, out of order, and from
    /// anybody: the signature is checked before anything else.
    fn handle(use_case: &Self::UseCase, delivery: Delivery) -> impl Future<Output = Result<(), Problem>>;
}

/// What was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// The body as it was sent, to the byte.
    pub body: Vec<u8>,
    /// When it has to be acknowledged.
    pub deadline: Deadline,
    pub(crate) headers: HeaderMap,
}

impl Delivery {
    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
