//! Preferences as callers see them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::kind::{Channels, Kind};

/// Where notifications of a kind go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreferenceView {
    /// The kind, for instance `commission.charged`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Whether they are in the feed. Those that aren't are neither pushed nor mailed.
    pub feed: bool,
    /// Whether they are pushed to the phones.
    pub push: bool,
    /// Whether they are mailed.
    pub mail: bool,
    /// Whether they can't be switched off in the feed.
    pub feed_is_fixed: bool,
}

/// All kinds and where they go.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PreferencesView {
    /// One for each kind.
    pub items: Vec<PreferenceView>,
}

impl PreferencesView {
    /// All kinds, for a profile that has chosen these.
    pub(super) fn of(chosen: &BTreeMap<Kind, Channels>) -> Self {
        let of_kind = |kind: Kind| {
            let Channels { feed, push, mail } = kind.channels(chosen);
            PreferenceView {
                kind,
                feed,
                push,
                mail,
                feed_is_fixed: kind.feed_is_fixed(),
            }
        };
        Self {
            items: Kind::ALL.into_iter().map(of_kind).collect(),
        }
    }
}
