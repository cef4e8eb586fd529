//! What the binary of an HTTP operation is written with.

pub use std::process::ExitCode;

pub use serde::{Deserialize, Serialize};
pub use utoipa::ToSchema;

pub use crate::entry::http::serve;
pub use crate::http::{About, Call, HttpOperation, Method, Nothing, Problem, Reply};
pub use crate::pagination::{Page, PageQuery};
