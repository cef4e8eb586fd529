//! What a profile wants to hear of, and how: per kind in the feed, as a push, by mail.
//!
//! Pushes and mails tell of an item of the feed. A kind that is off in the feed is not recorded at all, and so neither
//! pushed nor mailed; what was chosen for those counts again when the feed is switched on. A choice counts for what
//! happens after it.

use std::collections::BTreeMap;

use domain::ids::ProfileId;
use platform::config::Environment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::kind::{Channels, Kind};
use crate::store::preferences::StoredPreferences;

/// Where notifications of a kind go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preference {
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
    pub items: Vec<Preference>,
}

/// A choice for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceChoice {
    /// The kind, by its name.
    #[schema(value_type = String, pattern = r"^(money-flow\.succeeded|money-flow\.failed|kyc\.status-changed|commission\.charged|commission\.charge-failed|commission\.confirmation-required|trading\.suspended|trading\.resumed|collection-version\.completed|collection-version\.failed|bank-account\.needs-reauth|withdrawal\.approved|withdrawal\.completed|withdrawal\.rejected|withdrawal\.failed|funded-account\.warned|funded-account\.closed)$", examples("commission.charged"))]
    pub kind: Kind,
    /// Whether they are in the feed; `true` for charge errors and the identity check.
    pub feed: bool,
    /// Whether they are pushed to the phones.
    pub push: bool,
    /// Whether they are mailed.
    pub mail: bool,
}

/// The preferences of profiles.
#[derive(Debug)]
pub struct Preferences {
    stored: StoredPreferences,
}

impl Preferences {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            stored: StoredPreferences::read(environment)?,
        })
    }

    /// Where a profile's notifications go, for every kind.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of(&self, profile: ProfileId) -> Result<PreferencesView, Error> {
        Ok(view(&self.stored.of(profile).await?))
    }

    /// Where a profile's notifications of one kind go.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of_kind(&self, profile: ProfileId, kind: Kind) -> Result<Channels, Error> {
        Ok(channels(&self.stored.of(profile).await?, kind))
    }

    /// Puts choices in the place of all made before; kinds without one are as they usually are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a kind that is named twice, or switched off in the feed where it can't be; or when DynamoDB
    /// fails.
    pub async fn set(
        &self,
        profile: ProfileId,
        choices: &[PreferenceChoice],
    ) -> Result<PreferencesView, Error> {
        let chosen = checked(choices)?;
        self.stored.put(profile, &chosen).await?;
        Ok(view(&chosen))
    }
}

fn checked(choices: &[PreferenceChoice]) -> Result<BTreeMap<Kind, Channels>, Error> {
    if choices.len() > Kind::ALL.len() {
        return Err(Error::Invalid {
            field: "items".to_owned(),
            message: format!(
                "has {} choices; there are {} kinds, name each at most once",
                choices.len(),
                Kind::ALL.len()
            ),
        });
    }
    let mut chosen = BTreeMap::new();
    for (position, choice) in choices.iter().enumerate() {
        if choice.kind.feed_is_fixed() && !choice.feed {
            return Err(Error::Invalid {
                field: format!("items[{position}].feed"),
                message: format!(
                    "{} can't be switched off in the feed, because it asks for your doing; set feed to true",
                    choice.kind.name()
                ),
            });
        }
        let channels = Channels {
            feed: choice.feed,
            push: choice.push,
            mail: choice.mail,
        };
        if chosen.insert(choice.kind, channels).is_some() {
            return Err(Error::Invalid {
                field: format!("items[{position}].kind"),
                message: format!(
                    "{} is named before; name each kind at most once",
                    choice.kind.name()
                ),
            });
        }
    }
    Ok(chosen)
}

fn channels(chosen: &BTreeMap<Kind, Channels>, kind: Kind) -> Channels {
    let channels = chosen.get(&kind).copied().unwrap_or(kind.usual_channels());
    Channels {
        feed: channels.feed || kind.feed_is_fixed(),
        ..channels
    }
}

fn view(chosen: &BTreeMap<Kind, Channels>) -> PreferencesView {
    let of = |kind: Kind| {
        let Channels { feed, push, mail } = channels(chosen, kind);
        Preference {
            kind,
            feed,
            push,
            mail,
            feed_is_fixed: kind.feed_is_fixed(),
        }
    };
    PreferencesView {
        items: Kind::ALL.into_iter().map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(kind: Kind, feed: bool) -> PreferenceChoice {
        PreferenceChoice {
            kind,
            feed,
            push: false,
            mail: true,
        }
    }

    fn refused(choices: &[PreferenceChoice]) -> String {
        match checked(choices) {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn charge_errors_and_the_identity_check_stay_in_the_feed() {
        let fixed: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.feed_is_fixed())
            .collect();
        assert_eq!(
            fixed,
            [
                Kind::KycStatusChanged,
                Kind::CommissionChargeFailed,
                Kind::CommissionConfirmationRequired
            ]
        );
        for kind in fixed {
            let other = choice(Kind::TradingResumed, false);
            assert_eq!(refused(&[other, choice(kind, false)]), "items[1].feed");
            let chosen = checked(&[choice(kind, true)]).unwrap();
            assert!(channels(&chosen, kind).feed);
        }
    }

    #[test]
    fn a_kind_is_chosen_once() {
        let twice = [
            choice(Kind::TradingResumed, true),
            choice(Kind::TradingResumed, true),
        ];
        assert_eq!(refused(&twice), "items[1].kind");
        assert_eq!(refused(&[twice[0]; 18]), "items");
    }

    #[test]
    fn the_description_names_all_kinds() {
        let schema = serde_json::to_value(<PreferenceChoice as utoipa::PartialSchema>::schema()).unwrap();
        let names: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| kind.name().replace('.', r"\."))
            .collect();
        let expected = format!("^({})$", names.join("|"));
        assert_eq!(schema["properties"]["kind"]["pattern"], expected);
    }

    #[test]
    fn what_is_not_chosen_is_as_usual() {
        let chosen = checked(&[choice(Kind::TradingResumed, false)]).unwrap();
        let view = view(&chosen);
        assert_eq!(view.items.len(), Kind::ALL.len());
        for item in view.items {
            let now = Channels {
                feed: item.feed,
                push: item.push,
                mail: item.mail,
            };
            if item.kind == Kind::TradingResumed {
                assert_eq!(
                    now,
                    Channels {
                        feed: false,
                        push: false,
                        mail: true
                    }
                );
            } else {
                assert_eq!(now, item.kind.usual_channels());
            }
        }
    }
}
