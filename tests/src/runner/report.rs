//! Where the time of a suite goes.

use std::{
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Company;

/// So many of the slowest scenarios are named.
const MAX_NAMED: usize = 5;

/// How long the parts of a suite took.
#[derive(Default)]
pub(super) struct Report(Mutex<Times>);

#[derive(Default)]
struct Times {
    start: Duration,
    scenarios: Vec<Played>,
}

struct Played {
    name: String,
    company: Company,
    waited: Duration,
    took: Duration,
}

impl Report {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The local cloud has started.
    pub(super) fn started(&self, took: Duration) {
        self.times().start = took;
    }

    /// A scenario has ended.
    pub(super) fn played(&self, name: String, company: Company, waited: Duration, took: Duration) {
        self.times().scenarios.push(Played {
            name,
            company,
            waited,
            took,
        });
    }

    /// Writes it, if anything was run.
    pub(super) fn print(&self, suite: &str) {
        let mut times = self.times();
        if times.scenarios.is_empty() {
            return;
        }
        times
            .scenarios
            .sort_by_key(|played| std::cmp::Reverse(played.took));
        let text = times.to_text(suite);
        // Whoever closes the output doesn't want to know.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

impl Times {
    fn to_text(&self, suite: &str) -> String {
        let (alone, together): (Vec<&Played>, Vec<&Played>) = self
            .scenarios
            .iter()
            .partition(|played| played.company == Company::Alone);
        let sum = |scenarios: &[&Played]| seconds(scenarios.iter().map(|played| played.took).sum());
        let mut text = format!(
            "times of {suite}: {} scenarios; start {:.1} s, beside each other {:.1} s in all, alone {:.1} s, waiting for \
             rest {:.1} s\n",
            self.scenarios.len(),
            seconds(self.start),
            sum(&together),
            sum(&alone),
            seconds(self.scenarios.iter().map(|played| played.waited).sum()),
        );
        for played in self.scenarios.iter().take(MAX_NAMED) {
            let took = seconds(played.took);
            text.push_str(&format!("  slow: {took:6.1} s  {suite}::{}\n", played.name));
        }
        text.push('\n');
        text
    }
}

fn seconds(duration: Duration) -> f32 {
    duration.as_secs_f32()
}
