//! What of the wallets waits for a person: the reviews that are opened here. What a decision does is in
//! [`review_decision`](crate::review_decision).

use chrono::{DateTime, Utc};
use domain::ids::HeldRateId;
use platform::review::{self, Action, Evidence, NewReview, Subject};
use serde_json::json;
use sqlx::PgConnection;

use crate::Error;
use crate::held_rate::store::HeldRate;

/// The area, as its queue of decisions names it.
const AREA: &str = "wallets";

/// An exchange rate changes too much at once.
pub(crate) const EXCHANGE_RATE_JUMP: &str = "exchange-rate-jump";
/// What a held rate is called, before its id.
pub(crate) const HELD_RATE: &str = "held-rate";

/// The rate counts.
pub(crate) const ACCEPT: &str = "accept";
/// The rate never counts.
pub(crate) const REFUSE: &str = "refuse";

const JUMP_ACTIONS: &[Action] = &[
    Action::new(
        ACCEPT,
        "The rate counts, as of its time; one of the bank's file with all rates of its currency. Not for whoever set it.",
    ),
    Action::new(REFUSE, "The rate never counts; the one before goes on to."),
];

/// Opens the reviews of held rates.
pub(crate) async fn rates_held(
    connection: &mut PgConnection,
    held: impl Iterator<Item = &HeldRate>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let reviews: Vec<NewReview> = held.map(of_jump).collect();
    Ok(review::open_all(connection, &reviews, now).await?)
}

/// Closes the reviews of rates that nothing is left to decide about.
pub(crate) async fn rates_replaced(
    connection: &mut PgConnection,
    held: &[HeldRateId],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let subjects: Vec<String> = held.iter().map(|id| subject(*id)).collect();
    let reason = "a newer rate has taken its place";
    review::settle_all(connection, AREA, EXCHANGE_RATE_JUMP, &subjects, reason, now).await?;
    Ok(())
}

fn subject(id: HeldRateId) -> String {
    format!("{HELD_RATE}-{id}")
}

fn of_jump(held: &HeldRate) -> NewReview {
    let (base, quote) = held.rate.pair();
    let (rate, before) = (held.rate.rate.to_string(), held.before.to_string());
    NewReview {
        area: AREA,
        kind: EXCHANGE_RATE_JUMP,
        subject: subject(held.id),
        about: Subject::NOBODY,
        summary: format!("{base}/{quote} would change from {before} to {rate}"),
        evidence: Evidence {
            ours: json!({ "base": base, "quote": quote, "rate": before }),
            theirs: json!({
                "base": base, "quote": quote, "rate": rate, "as_of": held.rate.as_of,
                "source": held.rate.source.name(), "set_by": held.set_by,
            }),
        },
        actions: JUMP_ACTIONS,
    }
}
