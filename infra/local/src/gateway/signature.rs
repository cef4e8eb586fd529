//! Whether a request to AppSync is signed as IAM wants it, with the credentials that the functions here have.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use axum::http::{HeaderMap, header};
use chrono::NaiveDateTime;

use crate::backends::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// What such a header begins with.
const ALGORITHM: &str = "AWS4-HMAC-SHA256 ";
const DATE: &str = "x-amz-date";
/// What the signing adds by itself.
const ADDED: [&str; 2] = ["host", DATE];

/// Whether the request is signed at all.
pub(super) fn is_signed(authorization: &str) -> bool {
    authorization.starts_with(ALGORITHM)
}

/// Whether it is signed with our credentials: whoever signs the same gets the same.
pub(super) fn is_ours(headers: &HeaderMap, path: &str, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let given = text(header::AUTHORIZATION.as_str());
    given.is_some_and(|given| signed(&text, given, path, body).is_ok_and(|expected| expected == given))
}

/// The header that the request should have.
fn signed<'a>(
    text: &dyn Fn(&str) -> Option<&'a str>,
    given: &str,
    path: &str,
    body: &[u8],
) -> anyhow::Result<String> {
    let part = |name: &str| {
        let (_, rest) = given.split_once(name)?;
        rest.split(',').next()
    };
    let scope = part("Credential=").context("no credential")?;
    let mut scope = scope.split('/').skip(2);
    let (region, service) = (scope.next(), scope.next());
    let names = part("SignedHeaders=").context("no signed headers")?;
    let names = names.split(';').filter(|name| !ADDED.contains(name));
    let headers: Vec<(&str, &str)> = names.filter_map(|name| Some((name, text(name)?))).collect();
    let at = NaiveDateTime::parse_from_str(text(DATE).context("no date")?, "%Y%m%dT%H%M%SZ")?;
    let identity = Credentials::from_keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None).into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.context("no region")?)
        .name(service.context("no service")?)
        .time(SystemTime::from(at.and_utc()))
        .settings(SigningSettings::default())
        .build()?;
    let url = format!("http://{}{path}", text("host").context("no host")?);
    let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body))?;
    let (instructions, _) = sign(request, &parameters.into())?.into_parts();
    let mut made = instructions.headers();
    made.find_map(|(name, value)| {
        name.eq_ignore_ascii_case("authorization")
            .then(|| value.to_owned())
    })
    .ok_or_else(|| anyhow!("no signature was made"))
}
