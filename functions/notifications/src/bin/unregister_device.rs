//! `DELETE /notifications/devices/{token}`: nothing is pushed to this device any more.

use std::process::ExitCode;

use notifications::devices::{Device, DeviceRegistry, DeviceToken, TOKEN_PATTERN};
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Nothing, Reply};
use serde_json::json;

struct UnregisterDevice;

impl HttpOperation for UnregisterDevice {
    type UseCase = DeviceRegistry;
    type Input = Nothing;
    type Output = Device;

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
        .answer(200, "The device as it was.")
    }

    async fn handle(device_registry: &DeviceRegistry, call: Call<Nothing>) -> Result<Reply<Device>, Problem> {
        let profile = call.identity.profile()?;
        let token: DeviceToken = call.path("token")?;
        Reply::ok(&device_registry.unregister(profile, &token).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<UnregisterDevice>()
}
