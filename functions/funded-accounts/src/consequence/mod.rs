//! What follows from warnings and violations: events, and the closure of the record. The decision was written with the
//! live state; here it is carried out, once, whoever finds it: the stream, or the sweep after it.

pub(crate) mod store;

use std::collections::BTreeMap;

use domain::funded::live::Breach;
use domain::funded::rules::{RuleEvaluation, RuleStatus};
use domain::ids::FundedAccountId;
use domain::market::MarketCalendar;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::entry::stream::Change;
use platform::messaging::relay_waker::RelayWaker;

use crate::Error;
use crate::live::store::LiveSummary;
use crate::withdrawal::outcome;

/// Carries out what follows from live states.
#[derive(Debug)]
pub struct Consequences {
    database: Database,
    relay: RelayWaker,
    clock: ClockHandle,
}

platform::from_environment!(Consequences {
    database,
    relay,
    clock,
});

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) warnings: usize,
    pub(crate) closures: usize,
}

/// What has to follow from live states.
#[derive(Debug, Default)]
struct Findings<'a> {
    warnings: Vec<(&'a LiveSummary, &'a RuleEvaluation)>,
    breaches: BTreeMap<FundedAccountId, &'a Breach>,
}

impl Consequences {
    /// Carries out what follows from changes of live states. Twice it does nothing the second time.
    ///
    /// # Errors
    /// Transient when the database fails: all of it comes again.
    pub async fn follow(&self, changes: &[Change]) -> Result<(), Error> {
        let news = |change: &Change| {
            let live = LiveSummary::of_image(&change.new)?;
            let before = LiveSummary::of_image(&change.old);
            before
                .is_none_or(|before| says(&before) != says(&live))
                .then_some(live)
        };
        let changed: Vec<LiveSummary> = changes.iter().filter_map(news).collect();
        self.carry_out(&changed).await.map(drop)
    }

    /// Carries out what follows from live states.
    pub(crate) async fn carry_out(&self, states: &[LiveSummary]) -> Result<Done, Error> {
        let findings = Findings::of(states);
        if findings.warnings.is_empty() && findings.breaches.is_empty() {
            return Ok(Done::default());
        }
        let now = self.clock.now();
        let breaches: Vec<_> = findings.breaches.into_iter().collect();
        let done = self
            .database
            .transaction(async |connection| {
                // In the order in which it happened: ids of events, and with them a feed, keep it.
                let warnings = store::warn(connection, &findings.warnings).await?;
                let closures = store::close(connection, &breaches, now).await?;
                let ids: Vec<i64> = breaches.iter().map(|(id, _)| id.get()).collect();
                outcome::accounts_closed(connection, &ids, now).await?;
                Ok::<_, Error>(Done { warnings, closures })
            })
            .await?;
        if done != Done::default() {
            self.relay.wake().await;
        }
        Ok(done)
    }
}

impl<'a> Findings<'a> {
    fn of(states: &'a [LiveSummary]) -> Self {
        let mut findings = Self::default();
        for live in states {
            match &live.breach {
                // Of several, the last has the evidence of the earliest snapshot.
                Some(breach) => drop(findings.breaches.insert(live.funded_account_id, breach)),
                None => findings.warnings.extend(warnings(live)),
            }
        }
        findings
    }
}

fn warnings(live: &LiveSummary) -> impl Iterator<Item = (&LiveSummary, &RuleEvaluation)> {
    let of_note =
        |evaluation: &&RuleEvaluation| matches!(evaluation.status, RuleStatus::Warning | RuleStatus::Danger);
    live.rules
        .iter()
        .filter(of_note)
        .map(move |evaluation| (live, evaluation))
}

/// What there may be something to do about; the same twice is nothing new.
fn says(live: &LiveSummary) -> impl PartialEq + use<> {
    let levels: Vec<_> = warnings(live)
        .map(|(_, evaluation)| (evaluation.rule, evaluation.status))
        .collect();
    (
        levels,
        MarketCalendar::business_date(live.state.at),
        live.breach.clone(),
    )
}
