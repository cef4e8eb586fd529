//! What the adviser has made by the API beside users and accounts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A portfolio that the adviser has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPortfolio {
    /// Its id.
    pub id: String,
    /// The adviser's own name of it.
    pub client_id: String,
    /// Its name for people.
    pub name: String,
}

/// A bank account that was linked by the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccount {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The name that it was given.
    pub nickname: String,
    /// When it was linked.
    pub created: DateTime<Utc>,
}
