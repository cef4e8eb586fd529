//! What profiles have chosen: one item per profile, `sk` = `preferences`, with what they chose by kind.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::ProfileId;
use platform::aws;
use platform::config::Environment;
use serde::{Deserialize, Serialize};

use super::table::{Table, key};
use crate::Error;
use crate::kind::{Channels, Kind};

/// The choices of all profiles.
#[derive(Debug)]
pub(crate) struct StoredPreferences {
    table: Table,
}

#[derive(Serialize, Deserialize)]
struct StoredChannels {
    feed: bool,
    push: bool,
    mail: bool,
}

impl StoredPreferences {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            table: Table::read(environment)?,
        })
    }

    /// What a profile has chosen. A kind that there no longer is is passed over.
    pub(crate) async fn of(&self, profile: ProfileId) -> Result<BTreeMap<Kind, Channels>, Error> {
        let item = self.table.get(key(profile, "preferences")).await?;
        let Some(chosen) = item.and_then(|mut item| item.remove("chosen")) else {
            return Ok(BTreeMap::new());
        };
        let chosen: BTreeMap<String, StoredChannels> =
            serde_dynamo::from_attribute_value(chosen).map_err(|error| Error::Item(error.to_string()))?;
        let of_kind = |(name, StoredChannels { feed, push, mail }): (String, StoredChannels)| {
            Some((Kind::named(&name)?, Channels { feed, push, mail }))
        };
        Ok(chosen.into_iter().filter_map(of_kind).collect())
    }

    /// Puts a profile's choices in the place of those before.
    pub(crate) async fn put(
        &self,
        profile: ProfileId,
        chosen: &BTreeMap<Kind, Channels>,
    ) -> Result<(), Error> {
        let stored: BTreeMap<&str, StoredChannels> = chosen
            .iter()
            .map(|(kind, Channels { feed, push, mail })| {
                let (feed, push, mail) = (*feed, *push, *mail);
                (kind.name(), StoredChannels { feed, push, mail })
            })
            .collect();
        let stored: AttributeValue =
            serde_dynamo::to_attribute_value(stored).map_err(|error| Error::Item(error.to_string()))?;
        let put = aws::dynamodb().await.put_item().table_name(&self.table.name);
        put.set_item(Some(key(profile, "preferences")))
            .item("chosen", stored)
            .send()
            .await
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(())
    }
}
