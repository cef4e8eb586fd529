//! Who is asking, and what nobody else may read: identity, secrets, values sealed at rest.

pub mod identity;
pub mod sealed;
pub mod secret;
