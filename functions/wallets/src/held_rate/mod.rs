//! Rates that change too much at once: they don't count, and wait for an administrator's decision or the bank's next file.
//! Whoever calls this has the lock of those who add rates. See README, Exchange rates.

pub(crate) mod store;

use chrono::{DateTime, Utc};
use domain::transition::{Refusal, Transition};
use domain::wallets::held_rate::{HeldRateEnd, HeldRateStatus};
use domain::wallets::rates::RateMaxJump;
use sqlx::PgConnection;

use crate::rate::store::StoredRate;
use crate::{Error, review};
use store::{HeldRate, NewHeldRate};

/// Holds rates, each in place of an older one of its pair, and opens their reviews. One that was refused stays refused.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    rates: &[NewHeldRate],
    now: DateTime<Utc>,
) -> Result<Vec<HeldRate>, Error> {
    if rates.is_empty() {
        return Ok(Vec::new());
    }
    let before = store::waiting(connection).await?;
    let held = store::insert(connection, rates, now).await?;
    let newer = |old: &HeldRate| {
        held.iter().any(|new| {
            new.id != old.id && new.rate.pair() == old.rate.pair() && new.rate.as_of >= old.rate.as_of
        })
    };
    let older = before.into_iter().filter(newer);
    let ended: Vec<(HeldRate, HeldRateEnd)> = older.map(|old| (old, HeldRateEnd::Superseded)).collect();
    end_by_itself(connection, &ended, now).await?;
    let waiting = held.iter().filter(|held| held.status == HeldRateStatus::Held);
    review::rates_held(connection, waiting, now).await?;
    Ok(held)
}

/// Ends the held rates in whose place one of these has come, as of their time or a later one.
pub(crate) async fn replaced(
    connection: &mut PgConnection,
    counting: &[StoredRate],
    max_jump: RateMaxJump,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut ended = Vec::new();
    for held in store::waiting(connection).await? {
        let newer = counting
            .iter()
            .find(|newer| newer.pair() == held.rate.pair() && held.rate.as_of <= newer.as_of);
        if let Some(newer) = newer {
            let end = HeldRateEnd::by(newer.rate, held.rate.rate, max_jump);
            ended.push((held, end));
        }
    }
    end_by_itself(connection, &ended, now).await
}

/// Ends a held rate by a person's decision.
///
/// # Errors
/// The refusal, when it has ended otherwise.
pub(crate) async fn decide(
    connection: &mut PgConnection,
    held: &HeldRate,
    end: HeldRateEnd,
    now: DateTime<Utc>,
) -> Result<Result<(), Refusal>, Error> {
    Ok(match held.status.after(end) {
        Transition::Applied(status) => {
            store::end(connection, &[(held.id, status)], now).await?;
            Ok(())
        }
        Transition::AlreadyApplied => Ok(()),
        Transition::Rejected(refusal) => Err(refusal),
    })
}

/// Ends held rates, and their reviews with them.
async fn end_by_itself(
    connection: &mut PgConnection,
    held: &[(HeldRate, HeldRateEnd)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ended: Vec<_> = held
        .iter()
        .filter_map(|(held, end)| Some((held.id, held.status.after(*end).applied()?)))
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    store::end(connection, &ended, now).await?;
    let ids: Vec<_> = ended.into_iter().map(|(id, _)| id).collect();
    review::rates_replaced(connection, &ids, now).await
}
