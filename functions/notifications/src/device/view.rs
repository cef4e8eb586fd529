//! Devices as callers see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::Device;

/// A device that notifications are pushed to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceView {
    /// What it runs: `ios`, `android` or `web`.
    pub platform: String,
    /// When the app last registered it (RFC 3339, UTC).
    pub registered_at: DateTime<Utc>,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            platform: device.platform,
            registered_at: device.registered_at,
        }
    }
}
