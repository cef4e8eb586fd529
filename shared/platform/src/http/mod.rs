//! Requests and replies of HTTP operations, problems, and the API's description.

mod about;
pub(crate) mod decode;
mod input;
pub(crate) mod openapi;
mod operation;
mod problem;
pub(crate) mod reply;
mod webhook;
mod words;

pub use about::{About, Method};
pub use input::{Nothing, Object, optional_time, time};
pub use operation::{Call, HttpOperation};
pub use problem::{FieldProblem, Problem};
pub use reply::{Replayable, Reply, StoredResponse};
pub use webhook::{Delivery, Webhook};
