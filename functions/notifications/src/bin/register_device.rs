//! `PUT /notifications/devices/{token}`: the caller's notifications are pushed to this device from now on.

use std::process::ExitCode;

use notifications::devices::{Device, DevicePlatform, DeviceRegistry, DeviceToken, TOKEN_PATTERN};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// A device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceRequest {
    /// What it runs.
    #[schema(value_type = String, pattern = "^(ios|android|web)$", examples("ios"))]
    platform: DevicePlatform,
}

struct RegisterDevice;

impl HttpOperation for RegisterDevice {
    type UseCase = DeviceRegistry;
    type Input = DeviceRequest;
    type Output = Device;

    fn about() -> About {
        About::new(
            Method::Put,
            "Register a device",
            "To be called at each start of the app. A device belongs to whoever registered it last, and to nobody else; of \
             more than 20 devices of one profile, the one registered longest ago goes.",
        )
        .path(
            "token",
            json!({"type": "string", "pattern": TOKEN_PATTERN}),
            "The device's registration token of Firebase.",
        )
        .answer(200, "The device was the caller's already.")
        .answer(201, "The device is the caller's now.")
    }

    async fn handle(device_registry: &DeviceRegistry, call: Call<DeviceRequest>) -> Result<Reply<Device>, Problem> {
        let profile = call.identity.profile()?;
        let token: DeviceToken = call.path("token")?;
        let (device, is_new) = device_registry.register(profile, &token, call.input.platform).await?;
        Reply::with_status(if is_new { 201 } else { 200 }, &device)
    }
}

fn main() -> ExitCode {
    http::serve::<RegisterDevice>()
}
