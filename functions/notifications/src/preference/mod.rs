//! Which notifications a profile wants, and where: per kind in the feed, as a push, by mail.
//!
//! Pushes and mails are of an item of the feed. A kind that is off in the feed is not recorded at all, and so neither
//! pushed nor mailed; what was chosen for those counts again when the feed is switched on. A choice counts for what
//! happens after it.

pub(crate) mod store;
mod view;

use std::collections::BTreeMap;

use domain::ids::ProfileId;
use platform::http::Object;
use serde::Deserialize;
use utoipa::ToSchema;

pub use view::{PreferenceView, PreferencesView};

use crate::Error;
use crate::kind::{Channels, Kind};
use store::PreferenceStore;

/// The caller's choices, in the place of all made before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferencesRequest {
    /// Each kind at most once; those that aren't named have their defaults.
    #[schema(value_type = Vec<PreferenceChoice>, max_items = 22)]
    pub items: Vec<Object<PreferenceChoice>>,
}

/// A choice for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferenceChoice {
    /// The kind, by its name.
    #[schema(value_type = String, pattern = r"^(money-flow\.succeeded|money-flow\.failed|deposits\.suspended|deposits\.resumed|kyc\.status-changed|commission\.charged|commission\.refunded|commission\.charge-failed|commission\.confirmation-required|checkout\.paid|trading\.suspended|trading\.resumed|collection-version\.completed|collection-version\.failed|bank-account\.needs-reauth|withdrawal\.approved|withdrawal\.completed|withdrawal\.rejected|withdrawal\.returned|withdrawal\.failed|funded-account\.warned|funded-account\.closed)$", examples("commission.charged"))]
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
    store: PreferenceStore,
}

platform::from_environment!(Preferences { store });

impl Preferences {
    /// Where a profile's notifications go, for every kind.
    ///
    /// # Errors
    /// Transient when DynamoDB fails.
    pub async fn of(&self, profile: ProfileId) -> Result<PreferencesView, Error> {
        Ok(PreferencesView::of(&self.store.of(profile).await?))
    }

    /// Where a profile's notifications of one kind go.
    ///
    /// # Errors
    /// Transient when DynamoDB fails.
    pub async fn of_kind(&self, profile: ProfileId, kind: Kind) -> Result<Channels, Error> {
        Ok(kind.channels(&self.store.of(profile).await?))
    }

    /// Replaces all choices made before; kinds without one have their defaults.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a kind that is named twice, or switched off in the feed where it can't be; transient when
    /// DynamoDB fails.
    pub async fn set(
        &self,
        profile: ProfileId,
        request: &PreferencesRequest,
    ) -> Result<PreferencesView, Error> {
        let choices: Vec<PreferenceChoice> = request.items.iter().map(|Object(choice)| *choice).collect();
        let chosen = checked(&choices)?;
        self.store.replace(profile, &chosen).await?;
        Ok(PreferencesView::of(&chosen))
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
                    "{} can't be switched off in the feed, because it asks you to act; set feed to true",
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
            assert!(kind.channels(&chosen).feed);
        }
    }

    #[test]
    fn a_kind_is_chosen_once() {
        let twice = [
            choice(Kind::TradingResumed, true),
            choice(Kind::TradingResumed, true),
        ];
        assert_eq!(refused(&twice), "items[1].kind");
        assert_eq!(refused(&[twice[0]; Kind::ALL.len() + 1]), "items");
    }

    #[test]
    fn the_schema_of_a_choice_names_all_kinds() {
        let schema = serde_json::to_value(<PreferenceChoice as utoipa::PartialSchema>::schema()).unwrap();
        let names: Vec<String> = Kind::ALL
            .iter()
            .map(|kind| kind.name().replace('.', r"\."))
            .collect();
        let expected = format!("^({})$", names.join("|"));
        assert_eq!(schema["properties"]["kind"]["pattern"], expected);
    }

    #[test]
    fn kinds_without_a_choice_have_their_defaults() {
        let chosen = checked(&[choice(Kind::TradingResumed, false)]).unwrap();
        let view = PreferencesView::of(&chosen);
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
                assert_eq!(now, item.kind.default_channels());
            }
        }
    }
}
