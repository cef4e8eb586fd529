//! The devices that a profile's notifications are pushed to.
//!
//! A token moves with the person who last signed in on the device: registering it takes it from whoever had it, so that
//! nobody's news appear on a phone that has become another's. Apps register at each start; of more than
//! [`MAX_DEVICES`] the one that did so longest ago goes.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use domain::ids::ProfileId;
use platform::clock::SystemClock;
use platform::config::Environment;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Error;
use crate::store::devices::{Devices, StoredDevice};

/// Devices of one profile.
pub const MAX_DEVICES: usize = 20;
/// What a token is made of, as a JSON schema has it: long enough to be none by chance, short enough for a key.
pub const TOKEN_PATTERN: &str = "^[A-Za-z0-9_:.-]{20,900}$";
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 20..=900;

/// Firebase's registration token of a device. It is as good as an address: it isn't logged.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(String);

impl std::fmt::Debug for DeviceToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DeviceToken(redacted)")
    }
}

/// Not a token of a device.
#[derive(Debug, thiserror::Error)]
#[error("a device's token has 20 to 900 letters, digits, '_', ':', '.' and '-'")]
pub struct NoDeviceToken;

impl FromStr for DeviceToken {
    type Err = NoDeviceToken;

    fn from_str(token: &str) -> Result<Self, NoDeviceToken> {
        let joins = |byte: u8| b"_:.-".contains(&byte);
        let fits = TOKEN_LENGTHS.contains(&token.len())
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || joins(byte));
        fits.then(|| Self(token.to_owned())).ok_or(NoDeviceToken)
    }
}

/// What a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevicePlatform {
    /// Apple's.
    Ios,
    /// Google's.
    Android,
    /// A browser.
    Web,
}

impl DevicePlatform {
    const fn name(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Web => "web",
        }
    }
}

/// A device that gets pushes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Device {
    /// What it runs: `ios`, `android` or `web`.
    pub platform: String,
    /// When the app last registered it (RFC 3339, UTC).
    pub registered_at: DateTime<Utc>,
}

impl From<StoredDevice> for Device {
    fn from(device: StoredDevice) -> Self {
        Self {
            platform: device.platform,
            registered_at: device.registered_at,
        }
    }
}

/// What registers devices and takes them off.
#[derive(Debug)]
pub struct DeviceRegistry {
    devices: Devices,
}

impl DeviceRegistry {
    /// Reads the configuration.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        Some(Self {
            devices: Devices::read(environment)?,
        })
    }

    /// Gives the device to the profile, whoever had it before. `true` when it wasn't the profile's already.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn register(
        &self,
        profile: ProfileId,
        token: &DeviceToken,
        platform: DevicePlatform,
    ) -> Result<(Device, bool), Error> {
        let device = StoredDevice {
            token: token.0.clone(),
            platform: platform.name().to_owned(),
            registered_at: SystemClock.now(),
        };
        let is_new = self.devices.give(profile, &device).await?;
        if is_new {
            self.keep_newest(profile).await?;
        }
        tracing::info!(platform = device.platform, is_new, "a device is registered");
        Ok((device.into(), is_new))
    }

    /// Takes a device off, and gives it as it was.
    ///
    /// # Errors
    /// [`Error::DeviceNotFound`] when it isn't the profile's; or when DynamoDB fails.
    pub async fn unregister(&self, profile: ProfileId, token: &DeviceToken) -> Result<Device, Error> {
        let taken = self.devices.take(profile, &token.0).await?;
        taken.map(Device::from).ok_or(Error::DeviceNotFound)
    }

    async fn keep_newest(&self, profile: ProfileId) -> Result<(), Error> {
        let mut devices = self.devices.of(profile).await?;
        devices.sort_by_key(|device| std::cmp::Reverse(device.registered_at));
        for device in devices.iter().skip(MAX_DEVICES) {
            self.devices.forget(profile, &device.token).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_neither_short_nor_endless_nor_anything_else() {
        let fits = |token: &str| token.parse::<DeviceToken>().is_ok();
        assert!(fits("fZ1-q_8:APA91bH.x0123456789"));
        assert!(fits(&"a".repeat(900)));
        for token in [
            "",
            "null",
            &"a".repeat(19),
            &"a".repeat(901),
            "a/bcdefghijklmnopqrstu",
            "äbcdefghijklmnopqrstuv",
        ] {
            assert!(!fits(token), "{token}");
        }
    }
}
