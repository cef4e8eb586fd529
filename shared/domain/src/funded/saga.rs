//! Work of several steps, of which a failure undoes what was done.
//!
//! A saga is a list of named steps, each with its compensation, and a journal of those that are done. What comes next is
//! decided by the journal alone, so that a crash at any point is continued by whoever looks next. A step may run twice, and
//! so may its compensation: the journal learns of it afterwards.

/// The steps of a saga, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saga<S: 'static> {
    /// What it is called in the journal.
    pub name: &'static str,
    /// Its steps.
    pub steps: &'static [S],
}

/// How far a saga has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// So many of its first steps are done.
    pub done: usize,
    /// A step has failed for good: those that are done are undone, the last first.
    pub is_undoing: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<S> {
    /// This step is done.
    Do(S),
    /// This step is undone.
    Undo(S),
    /// Every step is done.
    Completed,
    /// Every step is undone.
    Undone,
}

impl<S: Copy> Saga<S> {
    /// What comes next after this.
    pub fn next(&self, progress: Progress) -> Next<S> {
        if progress.is_undoing {
            let last = progress.done.checked_sub(1).and_then(|last| self.steps.get(last));
            return last.map_or(Next::Undone, |step| Next::Undo(*step));
        }
        let next = self.steps.get(progress.done);
        next.map_or(Next::Completed, |step| Next::Do(*step))
    }
}

impl Progress {
    /// After the next step was done.
    #[must_use]
    pub const fn stepped(self) -> Progress {
        Progress {
            done: self.done.saturating_add(1),
            ..self
        }
    }

    /// After a step has failed for good. It may have done its work by half: it counts as done, and is undone first.
    #[must_use]
    pub const fn failed(self) -> Progress {
        Progress {
            done: self.done.saturating_add(1),
            is_undoing: true,
        }
    }

    /// After the last of the steps that are done was undone.
    #[must_use]
    pub const fn unstepped(self) -> Progress {
        Progress {
            done: self.done.saturating_sub(1),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAGA: Saga<char> = Saga {
        name: "letters",
        steps: &['a', 'b', 'c'],
    };

    /// Runs the saga; `failing` fails for good. Gives what was done, and what was undone behind a minus.
    fn run(failing: Option<char>) -> String {
        let (mut progress, mut seen) = (Progress::default(), String::new());
        loop {
            progress = match SAGA.next(progress) {
                Next::Do(step) => {
                    seen.push(step);
                    if Some(step) == failing {
                        progress.failed()
                    } else {
                        progress.stepped()
                    }
                }
                Next::Undo(step) => {
                    seen.extend(['-', step]);
                    progress.unstepped()
                }
                Next::Completed | Next::Undone => return seen,
            };
        }
    }

    #[test]
    fn every_step_is_done_in_order_or_undone_in_the_opposite_one() {
        assert_eq!(run(None), "abc");
        assert_eq!(run(Some('a')), "a-a");
        assert_eq!(run(Some('b')), "ab-b-a");
        assert_eq!(run(Some('c')), "abc-c-b-a");
        assert_eq!(
            SAGA.next(Progress {
                done: 3,
                is_undoing: false
            }),
            Next::Completed
        );
        assert_eq!(
            SAGA.next(Progress {
                done: 0,
                is_undoing: true
            }),
            Next::Undone
        );
    }
}
