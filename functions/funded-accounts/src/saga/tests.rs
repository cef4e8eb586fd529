//! What every saga passes: each step run twice, a failure at each step, each compensation run twice, and a crash at each
//! point.

use std::fmt::Debug;
use std::sync::Mutex;

use domain::funded::saga::{Next, Progress};
use platform::error::PlatformError;

use super::*;

/// A journal in memory.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Progress>);

impl Journal for Notes {
    async fn progress(&self) -> Result<Progress, Error> {
        Ok(*self.0.lock().unwrap())
    }

    async fn note(&self, progress: Progress) -> Result<(), Error> {
        *self.0.lock().unwrap() = progress;
        Ok(())
    }

    async fn forget(&self) -> Result<(), Error> {
        self.note(Progress::default()).await
    }
}

/// Steps of which one fails: for good, or after its work as if the process had ended before it was noted.
struct Failing<'a, S: Steps> {
    steps: &'a S,
    at: S::Step,
    is_final: bool,
}

impl<S: Steps> Steps for Failing<'_, S> {
    type Step = S::Step;
    const SAGA: Saga<S::Step> = S::SAGA;

    async fn run(&self, step: S::Step) -> Result<(), Error> {
        if step == self.at && self.is_final {
            return Err(Error::UnreadableItem("injected".to_owned()));
        }
        self.steps.run(step).await?;
        if step == self.at {
            return Err(Error::Platform(PlatformError::Queue("injected".to_owned())));
        }
        Ok(())
    }

    async fn undo(&self, step: S::Step) -> Result<(), Error> {
        self.steps.undo(step).await
    }
}

/// A saga with a world of its own.
pub(crate) trait World {
    type Steps: Steps;

    fn steps(&self) -> &Self::Steps;

    /// What can be seen of its work.
    async fn seen(&self) -> String;
}

/// Holds a saga to what every one has to pass; `world` makes a new one, in which nothing is done.
pub(crate) async fn passes<W: World>(world: impl AsyncFn() -> W)
where
    <W::Steps as Steps>::Step: Debug,
{
    let clean = world().await;
    let nothing = clean.seen().await;
    execute(clean.steps(), &Notes::default()).await.unwrap();
    let done = clean.seen().await;
    assert_ne!(done, nothing);

    // Once more, from the journal's end and from its beginning.
    execute(clean.steps(), &Notes::default()).await.unwrap();
    assert_eq!(clean.seen().await, done, "done twice");

    for step in W::Steps::SAGA.steps {
        let twice = world().await;
        for each in W::Steps::SAGA.steps {
            twice.steps().run(*each).await.unwrap();
            if each == step {
                twice.steps().run(*each).await.unwrap();
            }
        }
        assert_eq!(twice.seen().await, done, "{step:?} run twice");

        let (crashed, notes) = (world().await, Notes::default());
        let failing = Failing {
            steps: crashed.steps(),
            at: *step,
            is_final: false,
        };
        execute(&failing, &notes).await.unwrap_err();
        execute(crashed.steps(), &notes).await.unwrap();
        assert_eq!(crashed.seen().await, done, "a crash after {step:?}");

        let (failed, notes) = (world().await, Notes::default());
        let failing = Failing {
            steps: failed.steps(),
            at: *step,
            is_final: true,
        };
        execute(&failing, &notes).await.unwrap_err();
        assert_eq!(failed.seen().await, nothing, "{step:?} fails for good");
        for each in W::Steps::SAGA.steps.iter().rev() {
            failed.steps().undo(*each).await.unwrap();
        }
        assert_eq!(failed.seen().await, nothing, "each compensation twice");
        execute(failed.steps(), &notes).await.unwrap();
        assert_eq!(failed.seen().await, done, "another try");

        // The process ends while the work is being undone: what is left is undone, and the next try begins anew.
        let (half, notes) = (world().await, Notes::default());
        let mut progress = Progress::default();
        while let Next::Do(each) = W::Steps::SAGA.next(progress) {
            half.steps().run(each).await.unwrap();
            if each == *step {
                break;
            }
            progress = progress.stepped();
        }
        notes.note(progress.failed()).await.unwrap();
        execute(half.steps(), &notes).await.unwrap();
        assert_eq!(half.seen().await, done, "undoing {step:?} was interrupted");
    }
}
