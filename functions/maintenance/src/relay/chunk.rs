//! What follows from the outcomes of a chunk: which messages are done, which keys are held, and how it goes on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::message::{Message, Outcome};

/// A key that is held: its oldest message failed, or waits behind one that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldKey {
    /// Why the message failed; none when it was only read behind a failed one.
    pub(super) reason: Option<String>,
    /// When the message was written.
    pub(super) waiting_since: DateTime<Utc>,
}

/// What follows from sending a chunk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Messages that got through.
    pub(super) published: Vec<i64>,
    /// Messages that wait behind a failed one of their key, and that one itself.
    pub(super) held: Vec<i64>,
    /// The keys of those.
    pub(super) held_keys: BTreeMap<String, HeldKey>,
    /// Why the destination is out of reach: nothing got through.
    pub(super) out_of_reach: Option<String>,
    /// How many attempts failed.
    pub(super) failed: usize,
    /// Messages were left as they are: the chunk has to be read again from where it began.
    pub(super) is_incomplete: bool,
}

impl Verdict {
    /// Judges the outcomes of a chunk, in the order of its messages.
    ///
    /// While something gets through, or is refused for its own sake, a failure holds up its key alone. When nothing does,
    /// the destination is out of reach; its keys aren't to blame.
    pub(super) fn of(outcomes: &[(Message, Outcome)]) -> Self {
        let out_of_reach = out_of_reach(outcomes);
        let mut verdict = Self::default();
        for (message, outcome) in outcomes {
            if !matches!(outcome, Outcome::Published | Outcome::NotTried) {
                verdict.failed += 1;
            }
            verdict.judge(message, outcome, out_of_reach.is_some());
        }
        verdict.out_of_reach = out_of_reach;
        verdict
    }

    fn judge(&mut self, message: &Message, outcome: &Outcome, is_out_of_reach: bool) {
        // Even one that got through is sent again, rather than that one before it comes after it.
        if message.is_held || self.held_keys.contains_key(&message.ordering_key) {
            return self.hold(message, None);
        }
        match outcome {
            Outcome::Published => self.published.push(message.id),
            Outcome::Refused(reason) => self.hold(message, Some(reason)),
            Outcome::Unreachable(reason) if !is_out_of_reach => self.hold(message, Some(reason)),
            Outcome::Unreachable(_) | Outcome::NotTried => self.is_incomplete = true,
        }
    }

    fn hold(&mut self, message: &Message, reason: Option<&String>) {
        self.held.push(message.id);
        let key = self.held_keys.entry(message.ordering_key.clone());
        key.or_insert_with(|| HeldKey {
            reason: reason.cloned(),
            waiting_since: message.created_at,
        });
    }
}

fn out_of_reach(outcomes: &[(Message, Outcome)]) -> Option<String> {
    let mut reason = None;
    for (_, outcome) in outcomes {
        match outcome {
            Outcome::Published => return None,
            Outcome::Unreachable(why) => reason = reason.or(Some(why)),
            Outcome::Refused(_) | Outcome::NotTried => {}
        }
    }
    reason.cloned()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn message(id: i64, key: &str) -> Message {
        Message {
            id,
            event_id: Uuid::nil(),
            kind: "probe.happened".to_owned(),
            ordering_key: key.to_owned(),
            payload: Some("{}".to_owned()),
            correlation_id: None,
            created_at: DateTime::UNIX_EPOCH,
            is_held: false,
        }
    }

    fn verdict(outcomes: &[(i64, &str, Outcome)]) -> Verdict {
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(id, key, outcome)| (message(*id, key), outcome.clone()))
            .collect();
        Verdict::of(&outcomes)
    }

    fn refused() -> Outcome {
        Outcome::Refused("too large".to_owned())
    }

    fn unreachable() -> Outcome {
        Outcome::Unreachable("timed out".to_owned())
    }

    #[test]
    fn refused_message_holds_what_is_behind_it_of_its_key() {
        let verdict = verdict(&[
            (1, "a", refused()),
            (2, "b", Outcome::Published),
            (3, "a", Outcome::NotTried),
            (4, "b", Outcome::Published),
        ]);
        assert_eq!((verdict.published, verdict.held), (vec![2, 4], vec![1, 3]));
        assert_eq!(verdict.held_keys.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(
            (verdict.out_of_reach, verdict.is_incomplete, verdict.failed),
            (None, false, 1)
        );
    }

    #[test]
    fn message_that_overtook_a_failed_one_of_its_key_is_sent_again_after_it() {
        let verdict = verdict(&[
            (1, "a", unreachable()),
            (2, "a", Outcome::Published),
            (3, "b", Outcome::Published),
        ]);
        assert_eq!((verdict.published, verdict.held), (vec![3], vec![1, 2]));
    }

    #[test]
    fn destination_that_takes_nothing_is_out_of_reach_and_no_key_is_to_blame() {
        let verdict = verdict(&[
            (1, "a", unreachable()),
            (2, "b", Outcome::NotTried),
            (3, "c", refused()),
        ]);
        assert_eq!(verdict.out_of_reach.as_deref(), Some("timed out"));
        assert_eq!((verdict.held, verdict.is_incomplete), (vec![3], true));
    }

    #[test]
    fn messages_given_up_with_a_refused_one_are_read_again() {
        let verdict = verdict(&[(1, "a", refused()), (2, "b", Outcome::NotTried)]);
        assert_eq!(
            (verdict.held, verdict.is_incomplete, verdict.out_of_reach),
            (vec![1], true, None)
        );
    }

    #[test]
    fn message_of_a_held_key_waits_without_a_reason_of_its_own() {
        let held = Message {
            is_held: true,
            ..message(1, "a")
        };
        let verdict = Verdict::of(&[(held, Outcome::NotTried)]);
        assert_eq!(
            (verdict.held, verdict.failed, verdict.is_incomplete),
            (vec![1], 0, false)
        );
        assert_eq!(verdict.held_keys["a"].reason, None);
    }
}
