//! The devices that a profile's notifications are pushed to.
//!
//! A token moves with the person who last signed in on the device: registering it takes it from whoever had it, so that
//! nobody's notifications appear on a phone that has become another's. Apps register at each start; of more than
//! [`MAX_DEVICES`] the one that did so longest ago is removed.

pub(crate) mod store;
mod token;
mod view;

use domain::ids::ProfileId;
use platform::clock::ClockHandle;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use token::{DeviceToken, InvalidDeviceToken, TOKEN_PATTERN};
pub use view::DeviceView;

use crate::Error;
use store::{Device, DeviceStore};

/// Devices of one profile.
pub const MAX_DEVICES: usize = 20;

/// A device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRequest {
    /// What it runs.
    #[schema(value_type = String, pattern = "^(ios|android|web)$", examples("ios"))]
    pub platform: DevicePlatform,
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

/// Registers devices and removes them.
#[derive(Debug)]
pub struct DeviceRegistry {
    devices: DeviceStore,
    clock: ClockHandle,
}

platform::from_environment!(DeviceRegistry { devices, clock });

impl DeviceRegistry {
    /// Assigns the device to the profile, whoever had it before. `true` when it wasn't the profile's already.
    ///
    /// # Errors
    /// Transient when DynamoDB fails.
    pub async fn register(
        &self,
        profile: ProfileId,
        token: DeviceToken,
        request: &DeviceRequest,
    ) -> Result<(DeviceView, bool), Error> {
        let device = Device {
            token,
            platform: request.platform.name().to_owned(),
            registered_at: self.clock.now(),
        };
        let is_new = self.devices.assign(profile, &device).await?;
        if is_new {
            self.remove_oldest(profile).await?;
        }
        tracing::info!(platform = device.platform, is_new, "registered the device");
        Ok((device.into(), is_new))
    }

    /// Removes a device, and returns it as it was.
    ///
    /// # Errors
    /// [`Error::DeviceNotFound`] when it isn't the profile's; transient when DynamoDB fails.
    pub async fn unregister(&self, profile: ProfileId, token: &DeviceToken) -> Result<DeviceView, Error> {
        let device = self.devices.find(profile, token).await?;
        let device = device.ok_or(Error::DeviceNotFound)?;
        if !self.devices.remove(profile, token).await? {
            return Err(Error::DeviceNotFound);
        }
        Ok(device.into())
    }

    async fn remove_oldest(&self, profile: ProfileId) -> Result<(), Error> {
        let mut devices = self.devices.of(profile).await?;
        devices.sort_by_key(|device| std::cmp::Reverse(device.registered_at));
        for device in devices.iter().skip(MAX_DEVICES) {
            self.devices.remove(profile, &device.token).await?;
        }
        Ok(())
    }
}
