//! What a usual run plays of that which has no end: a fixed sample. A long run plays all of it, or more.

use anyhow::Context;
use uuid::Uuid;

/// More points than any function has.
const MAX_POINTS: u64 = 600;
/// A run with this step goes through.
const BEYOND_ALL: u64 = u64::MAX;
/// The work is through for good when it has gone through this often in a row: where two answers arrive as one chunk, a
/// run has fewer points than the one before it.
const THROUGH: usize = 3;
/// So many points of a piece of work are a sample.
const SAMPLE: u64 = 12;
/// The seed of usual runs.
const SEED: u64 = 20_261_128;
/// A chunk that goes out has two steps and its answer one. Strides that are no multiple of it meet all of them.
const STEPS_OF_AN_EXCHANGE: u64 = 3;

/// The points to play.
#[derive(Debug)]
pub struct Points {
    step: u64,
    /// From one step to the next before the last.
    stride: u64,
    /// The last step of a run that went through.
    last: u64,
    /// Runs in a row that went through.
    through: usize,
    killed: usize,
}

impl Points {
    /// All of them in `make soak`, else a sample.
    pub fn of_this_run() -> Self {
        if crate::is_soak() {
            Self::all()
        } else {
            Self::sample()
        }
    }

    /// All, from the first on, until the work goes through.
    pub fn all() -> Self {
        Self {
            step: 1,
            stride: 1,
            last: 1,
            through: 0,
            killed: 0,
        }
    }

    /// The first, the last, and some between them at even distances. The first run only counts the steps.
    pub fn sample() -> Self {
        Self {
            step: BEYOND_ALL,
            ..Self::all()
        }
    }

    /// The next step to play, unless the work has gone through for good.
    ///
    /// # Errors
    /// When it doesn't come to its end.
    pub fn next_step(&self) -> crate::Result<Option<u64>> {
        let counts_only = self.step == BEYOND_ALL;
        anyhow::ensure!(
            counts_only || self.step <= MAX_POINTS,
            "the work did not come to its end in {MAX_POINTS} steps"
        );
        Ok((self.through < THROUGH).then_some(self.step))
    }

    /// The function was killed at the step.
    pub fn was_killed(&mut self) {
        self.killed += 1;
        self.through = 0;
        self.advance();
    }

    /// The work went through before the step; it has so many steps.
    pub fn went_through(&mut self, steps: u64) {
        if self.step == BEYOND_ALL {
            self.step = 1;
            self.last = steps;
            self.stride = stride(steps);
            return;
        }
        self.through += 1;
        self.advance();
    }

    /// At how many points the function was killed.
    pub fn killed(&self) -> usize {
        self.killed
    }

    fn advance(&mut self) {
        self.step = match self.step < self.last {
            true => self.last.min(self.step + self.stride),
            false => self.step + 1,
        };
    }
}

fn stride(steps: u64) -> u64 {
    let stride = steps.div_ceil(SAMPLE).max(1);
    match stride.is_multiple_of(STEPS_OF_AN_EXCHANGE) {
        true => stride + 1,
        false => stride,
    }
}

/// The seed of random operations: always the same in `make test`, another each time in `make soak`; `MONETA_SEED` repeats a
/// run that failed.
///
/// # Errors
/// When `MONETA_SEED` is no whole number.
pub fn seed() -> crate::Result<u64> {
    match std::env::var("MONETA_SEED") {
        Ok(text) => text.parse().with_context(|| format!("MONETA_SEED={text}")),
        Err(_) if crate::is_soak() => Ok(Uuid::new_v4().as_u64_pair().0),
        Err(_) => Ok(SEED),
    }
}

/// All in `make soak`; else every so-manieth from the first on, and the last.
pub fn sample_of<T>(all: Vec<T>, every: usize) -> Vec<T> {
    if crate::is_soak() {
        all
    } else {
        every_nth(all, every)
    }
}

fn every_nth<T>(all: Vec<T>, every: usize) -> Vec<T> {
    let last = all.len().saturating_sub(1);
    let numbered = all.into_iter().enumerate();
    let chosen = numbered.filter(|(number, _)| number.is_multiple_of(every) || *number == last);
    chosen.map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps at which work of this many steps is killed.
    fn played(mut points: Points, steps: u64) -> Vec<u64> {
        let mut killed = Vec::new();
        while let Some(step) = points.next_step().expect("the work has an end") {
            if step <= steps {
                killed.push(step);
                points.was_killed();
            } else {
                points.went_through(steps);
            }
        }
        assert_eq!(points.killed(), killed.len());
        killed
    }

    #[test]
    fn long_runs_play_every_point() {
        assert_eq!(played(Points::all(), 40), (1..=40).collect::<Vec<_>>());
    }

    #[test]
    fn samples_have_the_first_point_and_the_last_and_every_part_of_an_exchange() {
        for steps in [1, 2, 3, 12, 36, 60, 222] {
            let sample = played(Points::sample(), steps);
            assert_eq!(sample.first(), Some(&1), "{steps}");
            assert_eq!(sample.last(), Some(&steps), "{steps}");
            assert!(sample.len() <= 14, "{steps}: {sample:?}");
            let parts = |part: u64| sample.iter().any(|step| step % STEPS_OF_AN_EXCHANGE == part);
            assert!(steps < 3 || (0..3).all(parts), "{steps}: {sample:?}");
        }
        assert_eq!(played(Points::sample(), 60), played(Points::sample(), 60));
    }

    #[test]
    fn samples_go_on_when_a_run_has_more_steps_than_the_first() {
        let mut points = Points::sample();
        points.went_through(10);
        let mut killed = Vec::new();
        while let Some(step) = points.next_step().expect("the work has an end") {
            if step <= 12 {
                killed.push(step);
                points.was_killed();
            } else {
                points.went_through(12);
            }
        }
        assert_eq!(killed.get(killed.len() - 3..), Some(&[10, 11, 12][..]));
    }

    #[test]
    fn work_without_an_end_is_an_error() {
        let mut points = Points::all();
        for _ in 0..MAX_POINTS {
            points.was_killed();
        }
        assert!(points.next_step().is_err());
    }

    #[test]
    fn samples_of_a_list_have_the_first_and_the_last() {
        assert_eq!(every_nth((1..=10).collect(), 4), [1, 5, 9, 10]);
        assert_eq!(every_nth(vec![1], 4), [1]);
        assert!(every_nth(Vec::<u8>::new(), 4).is_empty());
    }
}
