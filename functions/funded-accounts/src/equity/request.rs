//! The request for a chart.

use chrono::{DateTime, TimeDelta, Utc};
use platform::http::{Problem, optional_time};
use serde::Deserialize;
use utoipa::ToSchema;

/// Points unless others are wanted.
const DEFAULT_POINTS: u32 = 200;
const MIN_POINTS: u32 = 2;
const MAX_POINTS: u32 = 1_000;
/// The period unless another is wanted.
const DEFAULT_PERIOD: TimeDelta = TimeDelta::days(1);

/// Which part of the history.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EquityQuery {
    /// The first moment (RFC 3339); a day before the end unless given.
    #[serde(default, deserialize_with = "optional_time")]
    pub from: Option<DateTime<Utc>>,
    /// The end, which isn't included (RFC 3339); now unless given.
    #[serde(default, deserialize_with = "optional_time")]
    pub to: Option<DateTime<Utc>>,
    /// The most points to give; 200 unless given.
    #[schema(minimum = 2, maximum = 1_000)]
    pub points: Option<u32>,
}

/// A period, and how finely it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chart {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    /// Parts of the period, each shown by its lowest and its highest point.
    pub(super) parts: u32,
}

impl EquityQuery {
    /// How many points are wanted.
    ///
    /// # Errors
    /// 400 naming `points`.
    pub fn points(&self) -> Result<u32, Problem> {
        let points = self.points.unwrap_or(DEFAULT_POINTS);
        if (MIN_POINTS..=MAX_POINTS).contains(&points) {
            return Ok(points);
        }
        let message = format!("has to be between {MIN_POINTS} and {MAX_POINTS}");
        Err(Problem::malformed("points", &message))
    }

    pub(super) fn chart(&self, points: u32, now: DateTime<Utc>) -> Chart {
        let to = self.to.unwrap_or(now);
        let day_before = to.checked_sub_signed(DEFAULT_PERIOD).unwrap_or(to);
        Chart {
            from: self.from.unwrap_or(day_before),
            to,
            parts: points.div_euclid(2),
        }
    }
}
