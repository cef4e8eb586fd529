//! What callers see of exchange rates.

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::wallets::rates::{RateMaxAge, RateStatus};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::store::{Source, StoredRate};

/// A rate of a pair of currencies.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExchangeRateView {
    /// The currency of which there is one, an ISO 4217 code.
    #[schema(value_type = String)]
    pub base: Currency,
    /// The currency that the rate gives so many of, an ISO 4217 code.
    #[schema(value_type = String)]
    pub quote: Currency,
    /// Major units of `quote` for one of `base`, a decimal.
    pub rate: String,
    /// From when it counts (RFC 3339, UTC); of a pair's rates the newest counts.
    pub as_of: DateTime<Utc>,
    /// Until when it converts (RFC 3339, UTC), unless a newer one counts before.
    pub valid_until: DateTime<Utc>,
    /// Who gave it.
    #[schema(schema_with = source_schema)]
    pub source: &'static str,
    /// What has become of it.
    #[schema(schema_with = status_schema)]
    pub status: RateStatus,
}

impl ExchangeRateView {
    /// A rate that has become this.
    pub(super) fn of(rate: &StoredRate, status: RateStatus, max_age: RateMaxAge) -> Self {
        Self {
            base: rate.base,
            quote: rate.quote,
            rate: rate.rate.to_string(),
            as_of: rate.as_of,
            valid_until: max_age.valid_until(rate.as_of),
            source: rate.source.name(),
            status,
        }
    }
}

/// What has become of a rate that was added, where the pair's newest is as of a time.
pub(super) fn status(
    rate: &StoredRate,
    newest: DateTime<Utc>,
    max_age: RateMaxAge,
    now: DateTime<Utc>,
) -> RateStatus {
    if rate.as_of < newest {
        RateStatus::Superseded
    } else if max_age.allows(rate.as_of, now) {
        RateStatus::Counts
    } else {
        RateStatus::Expired
    }
}

fn source_schema() -> Object {
    names(
        "Who gave it: an administrator, or the European Central Bank.",
        [Source::Admin.name(), Source::Ecb.name()],
    )
}

fn status_schema() -> Object {
    names(
        "counts: it converts. expired: it is the newest of its pair and too old to convert. superseded: the pair has a newer \
         one. under_review: it changes too much at once, and waits for another administrator. refused: by one.",
        RateStatus::ALL,
    )
}

fn names(description: &str, names: impl IntoIterator<Item = impl ToString>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names.into_iter().map(|name| name.to_string())))
        .build()
}
