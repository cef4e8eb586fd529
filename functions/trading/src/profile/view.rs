//! What callers see of a profile.

use domain::ids::ProfileId;
use serde::Serialize;
use utoipa::ToSchema;

/// A profile.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProfileView {
    /// Its id.
    #[schema(value_type = i64, minimum = 1)]
    pub profile_id: ProfileId,
    /// Where the person gets mail.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// ISO 639-1: the language that the person is written to in.
    pub language: String,
}
