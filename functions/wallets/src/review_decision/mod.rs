//! `apply_wallets_review`: what an administrator has decided about a held rate.

use domain::ids::HeldRateId;
use domain::wallets::held_rate::HeldRateEnd;
use domain::wallets::rates::{RateMaxAge, RateMaxJump};
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::held_rate::store::HeldRate;
use crate::rate::{accept, limits, store as rates};
use crate::review::{ACCEPT, EXCHANGE_RATE_JUMP, HELD_RATE, REFUSE};
use crate::{Error, held_rate};

/// Applies decisions about held rates.
#[derive(Debug)]
pub struct WalletsReviewer {
    clock: ClockHandle,
    max_age: RateMaxAge,
    max_jump: RateMaxJump,
}

platform::from_environment!(WalletsReviewer {
    clock,
    max_age: limits::read_max_age,
    max_jump: limits::read_max_jump,
});

impl Reviewer for WalletsReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        let end = match (decision.kind.as_str(), decision.action.as_str()) {
            (EXCHANGE_RATE_JUMP, ACCEPT) => HeldRateEnd::Accepted,
            (EXCHANGE_RATE_JUMP, REFUSE) => HeldRateEnd::Refused,
            _ => return Ok(Verdict::unknown_action(decision)),
        };
        rates::lock(connection).await?;
        match decision.subject_id::<HeldRateId>(HELD_RATE) {
            Some(id) => match held_rate::store::load(connection, id).await? {
                Some(held) => self.end(connection, &held, end, decision).await,
                None => Ok(Verdict::unknown_subject(decision)),
            },
            None => Ok(Verdict::unknown_subject(decision)),
        }
    }
}

impl WalletsReviewer {
    async fn end(
        &self,
        connection: &mut PgConnection,
        held: &HeldRate,
        end: HeldRateEnd,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let accepts = end == HeldRateEnd::Accepted;
        if accepts && held.set_by.as_ref() == Some(&decision.decided_by) {
            return Ok(Verdict::CantBeApplied(
                "whoever set the rate can't accept it: another administrator has to".to_owned(),
            ));
        }
        let now = self.clock.now();
        if held_rate::decide(connection, held, end, now).await?.is_err() {
            return Ok(Verdict::Superseded(format!("the rate is {}", held.status)));
        }
        if accepts {
            accept::add(connection, held, self.max_age, self.max_jump, now).await?;
        }
        Ok(Verdict::Applied)
    }
}
