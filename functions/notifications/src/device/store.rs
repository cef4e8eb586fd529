//! Devices. A token belongs to one profile at a time: `pk` = `device#{token}`, `sk` = `owner` says whose it is, and
//! `device#{token}` beside the profile's feed is what pushes go to. Both are written in one transaction, on the condition
//! that the owner still is who it was when it was read; of several who sign in on the same phone at the same time the last
//! has it.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use chrono::{DateTime, Utc};
use domain::ids::ProfileId;
use platform::aws;
use platform::error::PlatformError;

use super::token::DeviceToken;
use crate::Error;
use crate::table::{Item, Table, Transacted, key, key_of, number, partition, sort_after, text};

/// Attempts of a registration whose token went to somebody else meanwhile.
const MAX_ATTEMPTS: u32 = 10;

/// A device as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) token: DeviceToken,
    pub(crate) platform: String,
    /// When the app last registered it.
    pub(crate) registered_at: DateTime<Utc>,
}

/// The devices of all profiles.
#[derive(Debug)]
pub(crate) struct DeviceStore {
    table: Table,
}

platform::from_environment!(DeviceStore { table });

impl DeviceStore {
    /// Assigns the device to the profile, taking it from whoever had it. `true` when it wasn't the profile's before.
    pub(crate) async fn assign(&self, profile: ProfileId, device: &Device) -> Result<bool, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let owner = self.owner(&device.token).await?;
            let mut writes = vec![
                self.put_owner(&device.token, profile, owner)?,
                self.put_device(profile, device)?,
            ];
            if let Some(other) = owner.filter(|owner| *owner != profile) {
                writes.push(self.delete_device(other, &device.token, false)?);
            }
            if self.table.transact(&writes).await? == Transacted::Done {
                return Ok(owner != Some(profile));
            }
        }
        let contended = "the device keeps changing its owner".to_owned();
        Err(Error::Platform(PlatformError::DynamoDb(contended)))
    }

    /// A device of the profile.
    pub(crate) async fn find(
        &self,
        profile: ProfileId,
        token: &DeviceToken,
    ) -> Result<Option<Device>, Error> {
        let item = self.table.get(key(profile, &sort(token))).await?;
        Ok(item.as_ref().and_then(device))
    }

    /// Removes a device if it still is the profile's, and says whether it was.
    pub(crate) async fn remove(&self, profile: ProfileId, token: &DeviceToken) -> Result<bool, Error> {
        let writes = [
            self.delete_owner(token, profile)?,
            self.delete_device(profile, token, true)?,
        ];
        Ok(self.table.transact(&writes).await? == Transacted::Done)
    }

    /// The profile's devices.
    pub(crate) async fn of(&self, profile: ProfileId) -> Result<Vec<Device>, Error> {
        let pages: Result<Vec<_>, _> = aws::dynamodb()
            .await
            .query()
            .table_name(&self.table.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :device)")
            .expression_attribute_values(":pk", text(&partition(profile)))
            .expression_attribute_values(":device", text("device#"))
            .into_paginator()
            .items()
            .send()
            .collect()
            .await;
        let items = pages.map_err(|error| Error::dynamodb(&error))?;
        Ok(items.iter().filter_map(device).collect())
    }

    async fn owner(&self, token: &DeviceToken) -> Result<Option<ProfileId>, Error> {
        let item = self.table.get(key_of(&owner_partition(token), "owner")).await?;
        let Some(item) = item else { return Ok(None) };
        let owner = item.get("profile_id").and_then(|id| id.as_n().ok()?.parse().ok());
        owner
            .map(Some)
            .ok_or_else(|| Error::UnreadableItem("a device's owner is no profile".to_owned()))
    }

    /// Writes the owner item, as long as the owner is the one that was read before.
    fn put_owner(
        &self,
        token: &DeviceToken,
        profile: ProfileId,
        owner_before: Option<ProfileId>,
    ) -> Result<TransactWriteItem, Error> {
        let mut item = key_of(&owner_partition(token), "owner");
        item.insert("profile_id".to_owned(), number(profile.get()));
        let put = Put::builder().table_name(&self.table.name).set_item(Some(item));
        let put = match owner_before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(owner) => put
                .condition_expression("profile_id = :owner")
                .expression_attribute_values(":owner", number(owner.get())),
        };
        let put = put.build().map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn put_device(&self, profile: ProfileId, device: &Device) -> Result<TransactWriteItem, Error> {
        let mut item = key(profile, &sort(&device.token));
        item.insert("platform".to_owned(), text(&device.platform));
        item.insert(
            "registered_at".to_owned(),
            number(device.registered_at.timestamp_millis()),
        );
        let put = Put::builder().table_name(&self.table.name).set_item(Some(item));
        let put = put.build().map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletes the owner item, unless it is another's.
    fn delete_owner(&self, token: &DeviceToken, profile: ProfileId) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(&self.table.name)
            .set_key(Some(key_of(&owner_partition(token), "owner")))
            .condition_expression("attribute_not_exists(pk) OR profile_id = :owner")
            .expression_attribute_values(":owner", number(profile.get()))
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn delete_device(
        &self,
        profile: ProfileId,
        token: &DeviceToken,
        has_to_exist: bool,
    ) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(&self.table.name)
            .set_key(Some(key(profile, &sort(token))))
            .set_condition_expression(has_to_exist.then(|| "attribute_exists(pk)".to_owned()))
            .build()
            .map_err(|error| Error::dynamodb(&error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

fn sort(token: &DeviceToken) -> String {
    format!("device#{}", token.expose())
}

fn owner_partition(token: &DeviceToken) -> String {
    format!("device#{}", token.expose())
}

fn device(item: &Item) -> Option<Device> {
    let registered_ms = item
        .get("registered_at")
        .and_then(|at| at.as_n().ok()?.parse().ok());
    Some(Device {
        token: DeviceToken::stored(sort_after(item, "device#")?),
        platform: item.get("platform")?.as_s().ok()?.clone(),
        registered_at: registered_ms
            .and_then(DateTime::from_timestamp_millis)
            .unwrap_or(DateTime::UNIX_EPOCH),
    })
}
