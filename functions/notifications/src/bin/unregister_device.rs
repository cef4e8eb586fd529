//! `DELETE /notifications/devices/{token}`: nothing is pushed to this device any more.

use std::process::ExitCode;

use notifications::devices::{Device, DeviceRegistry, DeviceToken, TOKEN_PATTERN};
use platform::config::Environment;
use platform::http::Problem;
use platform::http::{self, About, Call, HttpOperation, Method, Reply};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// Nothing to ask for: the device is in the path.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoInput {}

struct UnregisterDevice(DeviceRegistry);

impl HttpOperation for UnregisterDevice {
    type Input = NoInput;
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

    fn configure(environment: &mut Environment) -> Option<Self> {
        DeviceRegistry::read(environment).map(Self)
    }

    async fn handle(&self, call: Call<NoInput>) -> Result<Reply<Device>, Problem> {
        let profile = call.identity.profile()?;
        let token: DeviceToken = call.path("token")?;
        Reply::ok(&self.0.unregister(profile, &token).await?)
    }
}

fn main() -> ExitCode {
    http::serve::<UnregisterDevice>()
}
