//! The numbers of a tier as they are put.

use std::ops::RangeInclusive;
use std::str::FromStr;

use domain::funded::share::{Share, Zone};
use domain::funded::thresholds::{DrawdownKind, Thresholds};
use domain::ids::{InvalidId, TierId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::store::Tier;
use crate::Error;

/// Characters of a name.
const MAX_NAME_LENGTH: usize = 80;
/// Ten billion dollars.
const MAX_AMOUNT_CENTS: i64 = 1_000_000_000_000;
/// Characters of an id.
const MAX_ID_LENGTH: usize = 64;
const MAX_COUNT: u32 = 10_000;

/// The id of a tier that is put: lower-case letters, digits and hyphens.
#[derive(Debug)]
pub struct NewTierId(TierId);

impl FromStr for NewTierId {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.len() > MAX_ID_LENGTH || !id.bytes().all(is_allowed) {
            return Err(InvalidId::NotVisibleAscii);
        }
        TierId::parse(id).map(Self)
    }
}

/// A tier. Shares are decimals from 0 to 1 as texts, with at most 4 digits after the point.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRequest {
    /// What traders read, 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// What an account begins with, in cents.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub starting_balance_cents: i64,
    /// The trader's share of the profit.
    #[schema(value_type = String, pattern = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$", examples("0.8"))]
    pub profit_split: Share,
    /// The largest drawdown of the assessment; a funded account may have 5 points more, within 10 and 15 %.
    #[schema(value_type = String, pattern = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$", examples("0.1"))]
    pub max_drawdown: Share,
    /// The largest risk of one trade in the assessment; a funded account may risk 5 % of its balance.
    #[schema(value_type = String, pattern = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$", examples("0.02"))]
    pub max_risk_per_trade: Share,
    /// Trades that the assessment takes.
    #[schema(minimum = 0, maximum = 10_000)]
    pub min_trades: u32,
    /// What the drawdown is measured from.
    #[schema(value_type = String, pattern = "^(trailing|trailing-locks-at-start|trailing-end-of-day|static)$")]
    pub drawdown_kind: DrawdownKind,
    /// The largest loss of a day, in cents.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub daily_loss_limit_cents: Option<i64>,
    /// Where days begin at midnight, a name of the IANA database: needed with a daily loss, or a drawdown from the end of day.
    #[schema(pattern = "^[A-Za-z0-9_+/-]{1,64}$", examples("America/New_York"))]
    pub daily_reset_zone: Option<String>,
    /// Days from one withdrawal to the next.
    #[schema(minimum = 1, maximum = 10_000)]
    pub payout_cycle_days: Option<u32>,
    /// The largest withdrawal, in cents.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub payout_cap_cents: Option<i64>,
    /// Winning days that a withdrawal takes.
    #[schema(minimum = 1, maximum = 10_000)]
    pub min_winning_days: Option<u32>,
    /// What a day has to bring to be a winning day, in cents.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub winning_day_min_profit_cents: Option<i64>,
    /// The largest part of the profit that may come of one day.
    #[schema(value_type = Option<String>, pattern = r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$")]
    pub max_best_day_share: Option<Share>,
}

impl TierRequest {
    pub(super) fn into_tier(self, NewTierId(id): NewTierId) -> Result<Tier, Error> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.chars().any(char::is_control) {
            return Err(invalid("name", "has to have 1 to 80 printable characters"));
        }
        self.check_numbers()?;
        let zone = self.zone()?;
        Ok(Tier {
            id,
            name,
            profit_split: self.profit_split,
            assessment: Thresholds {
                starting_balance_cents: self.starting_balance_cents,
                drawdown_kind: self.drawdown_kind,
                max_drawdown: self.max_drawdown,
                max_risk_per_trade: self.max_risk_per_trade,
                min_trades: self.min_trades,
                daily_loss_limit_cents: self.daily_loss_limit_cents,
                daily_reset_zone: zone,
                payout_cycle_days: self.payout_cycle_days,
                payout_cap_cents: self.payout_cap_cents,
                min_winning_days: self.min_winning_days,
                winning_day_min_profit_cents: self.winning_day_min_profit_cents,
                max_best_day_share: self.max_best_day_share,
            },
        })
    }

    fn check_numbers(&self) -> Result<(), Error> {
        let amounts = [
            ("starting_balance_cents", Some(self.starting_balance_cents)),
            ("daily_loss_limit_cents", self.daily_loss_limit_cents),
            ("payout_cap_cents", self.payout_cap_cents),
            ("winning_day_min_profit_cents", self.winning_day_min_profit_cents),
        ];
        for (field, amount) in amounts {
            check(field, amount, 1..=MAX_AMOUNT_CENTS)?;
        }
        let counts = [
            ("payout_cycle_days", self.payout_cycle_days),
            ("min_winning_days", self.min_winning_days),
        ];
        for (field, count) in counts {
            check(field, count, 1..=MAX_COUNT)?;
        }
        check("min_trades", Some(self.min_trades), 0..=MAX_COUNT)?;
        let shares = [
            ("profit_split", Some(self.profit_split)),
            ("max_best_day_share", self.max_best_day_share),
        ];
        let none = shares
            .into_iter()
            .find(|(_, share)| share.is_some_and(|share| share.as_decimal().is_zero()));
        none.map_or(Ok(()), |(field, _)| Err(invalid(field, "has to be above 0")))
    }

    fn zone(&self) -> Result<Option<Zone>, Error> {
        let is_needed =
            self.daily_loss_limit_cents.is_some() || self.drawdown_kind == DrawdownKind::TrailingEndOfDay;
        let zone = self.daily_reset_zone.as_deref().map(str::parse::<Zone>);
        match zone {
            Some(zone) => zone
                .map(Some)
                .map_err(|error| invalid("daily_reset_zone", &error.to_string())),
            None if is_needed => Err(invalid(
                "daily_reset_zone",
                "is needed with daily_loss_limit_cents, and with a drawdown from the end of day",
            )),
            None => Ok(None),
        }
    }
}

fn check<N: PartialOrd + std::fmt::Display>(
    field: &'static str,
    number: Option<N>,
    allowed: RangeInclusive<N>,
) -> Result<(), Error> {
    if number.is_none_or(|number| allowed.contains(&number)) {
        return Ok(());
    }
    let (start, end) = allowed.into_inner();
    Err(invalid(field, &format!("has to be between {start} and {end}")))
}

fn invalid(field: &'static str, message: &str) -> Error {
    Error::Invalid {
        field,
        message: message.to_owned(),
    }
}
