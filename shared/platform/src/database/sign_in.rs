//! The IAM token that RDS Proxy takes instead of a password.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::aws;
use crate::error::PlatformError;

/// A token that RDS takes as password: a presigned request, as AWS documents it.
pub(super) async fn iam_token(host: &str, port: u16, user: &str) -> Result<String, PlatformError> {
    let failure = |reason: String| PlatformError::Secret {
        name: "DATABASE_USER".to_owned(),
        reason,
    };
    let config = aws::config().await;
    let region = config
        .region()
        .ok_or_else(|| failure("no region is set".to_owned()))?;
    let provider = config
        .credentials_provider()
        .ok_or_else(|| failure("no credentials".to_owned()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| failure(crate::error::chain(&error)))?;

    let mut settings = SigningSettings::default();
    settings.expires_in = Some(Duration::from_secs(15 * 60));
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("rds-db")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| failure(error.to_string()))?;
    let query = serde_urlencoded::to_string([("Action", "connect"), ("DBUser", user)])
        .map_err(|error| failure(error.to_string()))?;
    let mut address = format!("https://{host}:{port}/?{query}");
    let request = SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| failure(error.to_string()))?;
    let (instructions, _) = sign(request, &parameters.into())
        .map_err(|error| failure(error.to_string()))?
        .into_parts();
    let signature =
        serde_urlencoded::to_string(instructions.params()).map_err(|error| failure(error.to_string()))?;
    address.push('&');
    address.push_str(&signature);
    Ok(address.trim_start_matches("https://").to_owned())
}
