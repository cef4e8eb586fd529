//! `PUT /notifications/devices/{token}`: the caller's notifications are pushed to this device from now on.

use notifications::device::{DeviceRegistry, DeviceRequest, DeviceToken, DeviceView, TOKEN_PATTERN};
use platform::prelude::*;
use serde_json::json;

struct RegisterDevice;

impl HttpOperation for RegisterDevice {
    type UseCase = DeviceRegistry;
    type Input = DeviceRequest;
    type Output = DeviceView;

    fn about() -> About {
        About::new(
            Method::Put,
            "Register a device",
            "To be called at each start of the app. A device belongs to whoever registered it last, and to nobody else; of \
             more than 20 devices of one profile, the one registered longest ago is removed.",
        )
        .path(
            "token",
            json!({"type": "string", "pattern": TOKEN_PATTERN}),
            "The device's registration token of Firebase.",
        )
        .response(200, "The device was the caller's already.")
        .response(201, "The device is the caller's now.")
    }

    async fn handle(
        devices: &DeviceRegistry,
        call: Call<DeviceRequest>,
    ) -> Result<Reply<DeviceView>, Problem> {
        let profile = call.identity.profile()?;
        let token: DeviceToken = call.path("token")?;
        let (device, is_new) = devices.register(profile, token, &call.input).await?;
        Reply::with_status(if is_new { 201 } else { 200 }, &device)
    }
}

fn main() -> ExitCode {
    serve::<RegisterDevice>()
}
