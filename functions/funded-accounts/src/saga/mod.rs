//! Carries sagas out: each step is done and noted, and a failure for good undoes what was done, the last first.

mod journal;
pub(crate) mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt::Debug;

use domain::funded::saga::{Next, Progress, Saga};
use domain::lane::{Lane, Laned};

use crate::Error;

pub(crate) use journal::Journal;

/// The steps of one piece of work. Each may run twice, and be undone twice, whatever it came to before.
pub(crate) trait Steps {
    /// A step.
    type Step: Copy + Debug + PartialEq + 'static;
    /// All of them, in their order.
    const SAGA: Saga<Self::Step>;

    /// Does a step.
    async fn run(&self, step: Self::Step) -> Result<(), Error>;

    /// Undoes a step that was done, by half or not at all.
    async fn undo(&self, step: Self::Step) -> Result<(), Error>;
}

/// Goes on with a saga to its end. What passes by itself is given back as it is, and the saga goes on another time; after
/// any other failure all is undone, and the failure given back.
pub(crate) async fn execute<S: Steps>(steps: &S, journal: &impl Journal) -> Result<(), Error> {
    let mut progress = journal.progress().await?;
    let mut failure = None;
    loop {
        progress = match S::SAGA.next(progress) {
            Next::Do(step) => match steps.run(step).await {
                Ok(()) => progress.stepped(),
                Err(error) if error.lane() == Lane::Transient => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        saga = S::SAGA.name,
                        ?step,
                        code = error.code(),
                        "undoing the saga"
                    );
                    failure = Some(error);
                    progress.failed()
                }
            },
            Next::Undo(step) => {
                steps.undo(step).await?;
                progress.unstepped()
            }
            Next::Completed => return Ok(()),
            Next::Undone => {
                journal.forget().await?;
                match failure {
                    Some(error) => return Err(error),
                    // An earlier run had begun to undo it: this one is a new try.
                    None => {
                        progress = Progress::default();
                        continue;
                    }
                }
            }
        };
        journal.note(progress).await?;
    }
}
