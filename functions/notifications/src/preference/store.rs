//! The choices of profiles: one item each, `sk` = `preferences`, with the channels that were chosen by kind.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::ProfileId;
use platform::aws;

use crate::Error;
use crate::kind::{Channels, Kind};
use crate::table::{Table, key};

/// The choices of all profiles.
#[derive(Debug)]
pub(crate) struct PreferenceStore {
    table: Table,
}

platform::from_environment!(PreferenceStore { table });

impl PreferenceStore {
    /// What a profile has chosen. A kind that no longer exists is ignored.
    pub(crate) async fn of(&self, profile: ProfileId) -> Result<BTreeMap<Kind, Channels>, Error> {
        let item = self.table.get(key(profile, "preferences")).await?;
        let Some(chosen) = item.and_then(|mut item| item.remove("chosen")) else {
            return Ok(BTreeMap::new());
        };
        let chosen: BTreeMap<String, Channels> =
            serde_dynamo::from_attribute_value(chosen).map_err(|error| Error::item(&error))?;
        let known = chosen
            .into_iter()
            .filter_map(|(name, channels)| Some((Kind::parse(&name)?, channels)));
        Ok(known.collect())
    }

    /// Replaces a profile's choices.
    pub(crate) async fn replace(
        &self,
        profile: ProfileId,
        chosen: &BTreeMap<Kind, Channels>,
    ) -> Result<(), Error> {
        let chosen: AttributeValue =
            serde_dynamo::to_attribute_value(chosen).map_err(|error| Error::item(&error))?;
        let put = aws::dynamodb().await.put_item().table_name(&self.table.name);
        put.set_item(Some(key(profile, "preferences")))
            .item("chosen", chosen)
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(())
    }
}
