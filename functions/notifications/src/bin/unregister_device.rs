//! `DELETE /notifications/devices/{token}`: no notification is pushed to this device any more.

use notifications::device::{DeviceRegistry, DeviceToken, DeviceView, TOKEN_PATTERN};
use platform::prelude::*;
use serde_json::json;

struct UnregisterDevice;

impl HttpOperation for UnregisterDevice {
    type UseCase = DeviceRegistry;
    type Input = Nothing;
    type Output = DeviceView;

    fn about() -> About {
        About::new(
            Method::Delete,
            "Unregister a device",
            "To be called when the person signs out. A device that is not the caller's is not found.",
        )
        .path(
            "token",
            json!({"type": "string", "pattern": TOKEN_PATTERN}),
            "The device's registration token of Firebase.",
        )
        .response(200, "The device as it was.")
    }

    async fn handle(devices: &DeviceRegistry, call: Call<Nothing>) -> Result<Reply<DeviceView>, Problem> {
        let profile = call.identity.profile()?;
        let token: DeviceToken = call.path("token")?;
        Reply::ok(&devices.unregister(profile, &token).await?)
    }
}

fn main() -> ExitCode {
    serve::<UnregisterDevice>()
}
