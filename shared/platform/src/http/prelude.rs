//! What the binary of an HTTP operation is written with.

pub use std::process::ExitCode;

pub use serde::{Deserialize, Serialize};
pub use utoipa::ToSchema;

pub use super::{About, Call, HttpOperation, Method, Nothing, Problem, Reply, serve};
pub use crate::pagination::{Page, PageQuery};
