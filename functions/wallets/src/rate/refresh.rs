//! The European Central Bank's reference rates, as rates between every two of its currencies.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Europe::Berlin;
use domain::wallets::rates::{RateMaxAge, RateMaxJump};
use domain::wallets::reference_day;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::deadline::Deadline;
use platform::observability::metrics;
use providers::ecb::{EcbClient, ReferenceRates};
use providers::outcome::Outcome;
use serde::Serialize;
use sqlx::PgConnection;

use super::file::{FileRates, LeftOut};
use super::store::{self, Source, StoredRate};
use super::{copies, limits};
use crate::held_rate::store as held_rates;
use crate::placement::Nodes;
use crate::{Error, held_rate};

/// The banks agree on the rates at ten past two in Frankfurt (ECB, "Euro foreign exchange reference rates").
const CONCERTATION: Option<NaiveTime> = NaiveTime::from_hms_opt(14, 10, 0);
/// Longer than Easter, the longest time without new rates.
const MAX_AGE: TimeDelta = TimeDelta::days(6);

/// The report of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The day of the rates; null when they could not be used.
    pub date: Option<NaiveDate>,
    /// Rates that are new.
    pub added: u64,
    /// Why all of the old rates still count; null when the file was used.
    pub not_refreshed: Option<String>,
    /// The day whose rates should be there by now, if the file is older.
    pub overdue: Option<NaiveDate>,
    /// Of which currencies and pairs the old rates still count, and why.
    pub left_out: Vec<LeftOut>,
}

/// Refreshes the rates.
#[derive(Debug)]
pub struct RateRefresh {
    nodes: Nodes,
    clock: ClockHandle,
    feed: EcbClient,
    max_age: RateMaxAge,
    max_jump: RateMaxJump,
}

platform::from_environment!(RateRefresh {
    nodes,
    clock,
    feed: read_feed,
    max_age: limits::read_max_age,
    max_jump: limits::read_max_jump,
});

/// Reads `RATES_FEED_URL`, the address of the daily file.
fn read_feed(environment: &mut Environment) -> Option<EcbClient> {
    match EcbClient::new(environment.required("RATES_FEED_URL")?) {
        Ok(feed) => Some(feed),
        Err(error) => {
            environment.problem(format!("the rate feed's client can't be made: {error}"));
            None
        }
    }
}

impl RateRefresh {
    /// Reads the newest reference rates and adds them. A feed that can't be read, or that is from the future or old, adds
    /// nothing; of one that lacks something, or has something in it that can't be or changes too much at once, the rest is
    /// added. Where nothing is added the rates there are go on to count, and the metric `ExchangeRatesNotRefreshed` counts the
    /// run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, deadline: Deadline) -> Result<Report, Error> {
        let now = self.clock.now();
        let (rates, as_of) = match self.newest(deadline, now).await {
            Ok(newest) => newest,
            Err(reason) => return Ok(not_refreshed(reason)),
        };
        let file = FileRates::new(as_of, &rates.rates);
        let recorded = self
            .nodes
            .first()
            .transaction(async |connection| self.record_file(connection, file, now).await);
        let recorded = recorded.await?;
        copies::after_change(&self.nodes).await;
        Ok(match recorded {
            FileOutcome::Old { newer } => not_refreshed(format!(
                "the rates are of {}, and there are those of {} already",
                rates.date,
                newer.with_timezone(&Berlin).date_naive()
            )),
            FileOutcome::Added { added, left_out } => {
                let overdue = reference_day::due(now).filter(|due| *due > rates.date);
                refreshed(Report {
                    date: Some(rates.date),
                    added,
                    not_refreshed: None,
                    overdue,
                    left_out,
                })
            }
        })
    }

    /// The bank's newest rates with the time as of which they are, or why they can't be used.
    async fn newest(
        &self,
        deadline: Deadline,
        now: DateTime<Utc>,
    ) -> Result<(ReferenceRates, DateTime<Utc>), String> {
        match self.feed.daily_rates(deadline.instant()).await {
            Outcome::Done(rates) => usable(rates, now),
            Outcome::Declined(decline) => Err(decline.message),
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => Err(reason.to_string()),
        }
    }

    async fn record_file(
        &self,
        connection: &mut PgConnection,
        mut file: FileRates,
        now: DateTime<Utc>,
    ) -> Result<FileOutcome, Error> {
        store::lock(connection).await?;
        let before = store::newest_file(connection).await?;
        if let Some(newer) = before
            .iter()
            .map(|rate| rate.as_of)
            .find(|as_of| *as_of > file.as_of)
        {
            return Ok(FileOutcome::Old { newer });
        }
        let waiting = held_rates::waiting(connection).await?;
        let held_before = waiting.iter().map(|held| &held.rate);
        let held_before = held_before.filter(|rate| rate.source == Source::Ecb);
        file.compare_with(before.iter().chain(held_before));
        file.carry(&store::newest_of_files(connection, self.max_age.oldest(now)).await?);
        let newest = store::newest(connection, &file.pairs()).await?;
        let jumps = file.take_jumps(&newest, &waiting, self.max_jump);
        let held = held_rate::hold(connection, &jumps, now).await?;
        file.left_out.extend(held.iter().map(LeftOut::held));
        let rates = file.rates(&newest);
        let added = store::add(connection, &rates, now).await?;
        // A rate that goes on to count takes no place: what is held would be forgotten by the file that it is of.
        let own: Vec<StoredRate> = rates.into_iter().filter(|rate| file.has(rate.pair())).collect();
        held_rate::replaced(connection, &own, self.max_jump, now).await?;
        Ok(FileOutcome::Added {
            added,
            left_out: file.left_out,
        })
    }
}

/// What has become of a file.
enum FileOutcome {
    /// There are rates of a newer one.
    Old { newer: DateTime<Utc> },
    /// What counts of it was added.
    Added { added: u64, left_out: Vec<LeftOut> },
}

fn not_refreshed(reason: String) -> Report {
    metrics::count("ExchangeRatesNotRefreshed", 1);
    tracing::warn!(reason, "refreshing the exchange rates failed; the old ones count");
    Report {
        date: None,
        added: 0,
        not_refreshed: Some(reason),
        overdue: None,
        left_out: Vec::new(),
    }
}

fn refreshed(report: Report) -> Report {
    let mut named: Vec<String> = report.left_out.iter().map(LeftOut::to_string).collect();
    if let Some(day) = report.overdue {
        named.insert(0, format!("the rates of {day} should be there by now"));
    }
    if !named.is_empty() {
        metrics::count("ExchangeRatesNotRefreshed", 1);
        tracing::warn!(
            problems = named.join("; "),
            "refreshing some of the exchange rates failed; the old ones count"
        );
    }
    report
}

/// The rates with the moment as of which they are, if that is neither in the future nor long ago.
fn usable(rates: ReferenceRates, now: DateTime<Utc>) -> Result<(ReferenceRates, DateTime<Utc>), String> {
    let as_of = CONCERTATION
        .and_then(|time| rates.date.and_time(time).and_local_timezone(Berlin).earliest())
        .ok_or("the day of the rates has no such time")?
        .with_timezone(&Utc);
    if as_of > now {
        return Err(format!("the rates are of {}, which is in the future", rates.date));
    }
    if now - as_of > MAX_AGE {
        return Err(format!("the rates are of {}, which is long ago", rates.date));
    }
    Ok((rates, as_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(date: &str) -> ReferenceRates {
        ReferenceRates {
            date: date.parse().unwrap(),
            rates: Vec::new(),
        }
    }

    #[test]
    fn rates_of_the_future_and_of_long_ago_are_refused() {
        let at = |now: &str, date: &str| usable(feed(date), now.parse().unwrap()).map(|(_, as_of)| as_of);
        // Ten past two in Frankfurt is 13:10 in winter and 12:10 in summer.
        let winter: DateTime<Utc> = "2026-11-24T13:10:00Z".parse().unwrap();
        assert_eq!(at("2026-11-24T15:10:00Z", "2026-11-24"), Ok(winter));
        let summer: DateTime<Utc> = "2026-07-01T12:10:00Z".parse().unwrap();
        assert_eq!(at("2026-07-01T14:10:00Z", "2026-07-01"), Ok(summer));
        assert!(at("2026-11-24T13:09:59Z", "2026-11-24").is_err());
        assert!(at("2026-11-30T13:10:00Z", "2026-11-24").is_ok());
        assert!(at("2026-11-30T13:10:01Z", "2026-11-24").is_err());
    }
}
