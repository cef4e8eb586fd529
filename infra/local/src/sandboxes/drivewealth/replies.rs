//! What every answer of the REST interface is made of.

use serde_json::{Value, json};

use crate::sandboxes::call::Reply;

/// DriveWealth's codes of errors: in the request's body, in its path.
pub(super) const BAD_BODY: &str = "E032";
pub(super) const BAD_PATH: &str = "E030";
/// The bank's token isn't valid.
pub(super) const BANK_TOKEN_INVALID: &str = "K110";

/// A list.
pub(super) fn list(items: impl Iterator<Item = Value>) -> Reply {
    Reply::ok(&Value::Array(items.collect()))
}

/// A refusal with its code.
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "errorCode": code, "message": message }))
}
