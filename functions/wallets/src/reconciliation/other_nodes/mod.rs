//! The other sides of transfers, where these are on another node: looked for there, and told when a second look sees the same.
//!
//! What is compared is read here first and there afterwards. A receiver's side is never there before its payer's, and a payer's
//! side isn't settled before the receiver's answer, so that what isn't there is missing.

mod store;

use domain::ids::{ClientId, WalletId};
use futures::future::join_all;
use platform::database::Database;

use super::store::{Difference, FirstPending, Span};
use crate::Error;
use crate::placement::{Nodes, is_out_of_reach};
use store::Side;

/// Sides that are looked for at once.
const AT_ONCE: usize = 500;

/// What was seen of the other sides.
#[derive(Debug, Default)]
pub(super) struct OtherSides {
    pub(super) found: Vec<Difference>,
    /// The first transfer of each wallet whose other side's node is out of reach.
    pub(super) not_seen: Vec<FirstPending>,
}

/// Looks for the other sides of the transfers of these spans, whose own are on the node of `own_slot`.
pub(super) async fn look(
    nodes: &Nodes,
    own: &Database,
    own_slot: i16,
    spans: &[Span],
) -> Result<OtherSides, Error> {
    let sides = own
        .with(async |connection| store::with_other_elsewhere(connection, spans, own_slot).await)
        .await?;
    let by_slot = nodes.by_slot(sides, |side| side.partner_client_id);
    let looks = by_slot
        .iter()
        .map(|(slot, sides)| look_at(nodes.of_slot(*slot), sides));
    let mut seen = OtherSides::default();
    for (found, sides) in join_all(looks).await.into_iter().zip(by_slot.values()) {
        match found {
            Ok(found) => seen.found.extend(found),
            Err(error) if is_out_of_reach(&error) => seen.not_seen.extend(first_of_each(spans, sides)),
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

async fn look_at(node: &Database, sides: &[Side]) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    for some in sides.chunks(AT_ONCE) {
        let differences = differences(node, some).await?;
        if differences.is_empty() {
            continue;
        }
        let again = self::differences(node, some).await?;
        found.extend(differences.into_iter().filter(|one| again.contains(one)));
    }
    Ok(found)
}

async fn differences(node: &Database, sides: &[Side]) -> Result<Vec<Difference>, Error> {
    node.with(async |connection| store::differences(connection, sides).await)
        .await
}

/// The first of these sides of each wallet.
fn first_of_each(spans: &[Span], sides: &[Side]) -> Vec<FirstPending> {
    let first = |(place, span): (i64, &Span)| {
        let is_of = |side: &&Side| is_same(span, side.client_id, side.wallet_id);
        let entry = sides.iter().filter(is_of).map(|side| side.entry).min()?;
        Some(FirstPending { place, entry })
    };
    (1..).zip(spans).filter_map(first).collect()
}

fn is_same(span: &Span, client_id: ClientId, wallet_id: WalletId) -> bool {
    (span.client_id, span.wallet_id) == (client_id, wallet_id)
}
