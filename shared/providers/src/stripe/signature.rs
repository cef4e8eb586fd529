//! The signature of an event: `t=1492774577,v1=5257a869…`, an HMAC-SHA256 over the time, a dot and the body
//! (<https://docs.stripe.com/webhooks#verify-manually>).

use chrono::{DateTime, TimeDelta, Utc};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// How far the time of a signature may be from ours, either way. Stripe signs every delivery anew.
pub const TOLERANCE: TimeDelta = TimeDelta::seconds(300);
/// Signatures in one header: one for each secret that is in use, and few secrets are.
const MAX_SIGNATURES: usize = 8;

/// Why an event is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSignature {
    /// There is no header.
    #[error("the Stripe-Signature header is missing")]
    Unsigned,
    /// The header isn't one time and at least one signature, each in its form.
    #[error(
        "the Stripe-Signature header must hold one t= with a time in seconds and 1 to 8 v1= with 64 hex digits"
    )]
    Malformed,
    /// None of the signatures is by any of our secrets.
    #[error("no signature in the Stripe-Signature header is by a secret of this endpoint")]
    WrongSignature,
    /// It is by one of our secrets, but of another time: an old event that somebody sends again, or a wrong clock.
    #[error("the time in the Stripe-Signature header is more than 300 seconds from now")]
    OutsideTolerance,
}

/// Checks that Stripe has sent the body, and now. `body` is as it came, before anything has read it.
///
/// # Errors
/// When it isn't signed in Stripe's form, by one of the secrets, and within [`TOLERANCE`] of `now`.
pub fn verify(
    signature_header: Option<&str>,
    body: &[u8],
    secrets: &[SecretString],
    now: DateTime<Utc>,
) -> Result<(), InvalidSignature> {
    let header = Header::parse(signature_header.ok_or(InvalidSignature::Unsigned)?)?;
    let mut signed = format!("{}.", header.time).into_bytes();
    signed.extend_from_slice(body);
    // Anybody can sign with an empty secret.
    let mut secrets = secrets
        .iter()
        .map(|secret| secret.expose_secret())
        .filter(|secret| !secret.is_empty());
    let is_ours = secrets.any(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let mut signatures = header.signatures.iter();
        signatures.any(|signature| hmac::verify(&key, &signed, signature).is_ok())
    });
    if !is_ours {
        return Err(InvalidSignature::WrongSignature);
    }
    if now.timestamp().abs_diff(header.seconds) > TOLERANCE.num_seconds().unsigned_abs() {
        return Err(InvalidSignature::OutsideTolerance);
    }
    Ok(())
}

struct Header<'a> {
    /// The time as it is written, which is what is signed.
    time: &'a str,
    seconds: i64,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidSignature> {
        let mut time = None;
        let mut signatures = Vec::new();
        for element in text.split(',') {
            match element
                .trim()
                .split_once('=')
                .ok_or(InvalidSignature::Malformed)?
            {
                ("t", value) if time.is_none() => time = Some((value, seconds(value)?)),
                ("t", _) => return Err(InvalidSignature::Malformed),
                ("v1", _) if signatures.len() == MAX_SIGNATURES => return Err(InvalidSignature::Malformed),
                ("v1", value) => signatures.push(signature(value)?),
                // v0 is a test's, and later schemes aren't known.
                _ => {}
            }
        }
        let (time, seconds) = time.ok_or(InvalidSignature::Malformed)?;
        if signatures.is_empty() {
            return Err(InvalidSignature::Malformed);
        }
        Ok(Self {
            time,
            seconds,
            signatures,
        })
    }
}

fn seconds(text: &str) -> Result<i64, InvalidSignature> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number { text.parse().ok() } else { None };
    seconds.ok_or(InvalidSignature::Malformed)
}

fn signature(text: &str) -> Result<Vec<u8>, InvalidSignature> {
    let bytes = hex::decode(text).map_err(|_| InvalidSignature::Malformed)?;
    if bytes.len() == 32 {
        Ok(bytes)
    } else {
        Err(InvalidSignature::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signed = [time.as_bytes(), b".", body].concat();
        hex::encode(hmac::sign(&key, &signed))
    }

    fn check(header: Option<&str>, body: &[u8]) -> Result<(), InvalidSignature> {
        let secrets = ["whsec_new", "", "whsec_old"].map(SecretString::from);
        verify(
            header,
            body,
            &secrets,
            DateTime::from_timestamp(NOW, 999_999_999).unwrap(),
        )
    }

    #[test]
    fn a_signature_made_by_openssl_is_valid() {
        // From `printf 1492774577.{} | openssl dgst -sha256 -hmac whsec_test`.
        let header = "t=1492774577,v1=0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b";
        let now = DateTime::from_timestamp(1_492_774_577, 0).unwrap();
        assert_eq!(
            verify(Some(header), b"{}", &[SecretString::from("whsec_test")], now),
            Ok(())
        );
    }

    #[test]
    fn a_header_needs_one_time_and_a_signature_by_a_secret() {
        let time = NOW.to_string();
        let new = sign("whsec_new", &time, BODY);
        let old = sign("whsec_old", &time, BODY);
        let foreign = sign("whsec_foreign", &time, BODY);
        let empty = sign("", &time, BODY);
        let many = format!("t={time}{}", format!(",v1={new}").repeat(MAX_SIGNATURES + 1));
        for (header, expected) in [
            (format!("t={time},v1={new}"), Ok(())),
            (format!("t={time},v1={old}"), Ok(())),
            (format!("v1={new},t={time}"), Ok(())),
            (format!("t={time}, v1={new}"), Ok(())),
            (format!("t={time},v1={}", new.to_uppercase()), Ok(())),
            (format!("t={time},v1={foreign},v1={new}"), Ok(())),
            (format!("t={time},v1={new},v0={foreign}"), Ok(())),
            (format!("t={time},v1={new},v2=future"), Ok(())),
            (
                format!("t={time},v1={foreign}"),
                Err(InvalidSignature::WrongSignature),
            ),
            (
                format!("t={time},v1={empty}"),
                Err(InvalidSignature::WrongSignature),
            ),
            (
                format!("t={},v1={new}", NOW + 1),
                Err(InvalidSignature::WrongSignature),
            ),
            (
                format!("t=0{time},v1={new}"),
                Err(InvalidSignature::WrongSignature),
            ),
            (format!("t={time},v0={new}"), Err(InvalidSignature::Malformed)),
            (
                format!("t={time},t={time},v1={new}"),
                Err(InvalidSignature::Malformed),
            ),
            (
                format!("t={time},v1={}", &new[..62]),
                Err(InvalidSignature::Malformed),
            ),
            (format!("t={time},v1={new}00"), Err(InvalidSignature::Malformed)),
            (format!("t={time},v1=none"), Err(InvalidSignature::Malformed)),
            (format!("t={time},v1="), Err(InvalidSignature::Malformed)),
            (format!("t=+{time},v1={new}"), Err(InvalidSignature::Malformed)),
            (format!("t=,v1={new}"), Err(InvalidSignature::Malformed)),
            (
                format!("t=99999999999999999999,v1={new}"),
                Err(InvalidSignature::Malformed),
            ),
            (format!("v1={new}"), Err(InvalidSignature::Malformed)),
            (format!("t={time}"), Err(InvalidSignature::Malformed)),
            (format!("t={time},{new}"), Err(InvalidSignature::Malformed)),
            (format!("t={time},v1={new},"), Err(InvalidSignature::Malformed)),
            (many, Err(InvalidSignature::Malformed)),
            (String::new(), Err(InvalidSignature::Malformed)),
        ] {
            assert_eq!(check(Some(&header), BODY), expected, "{header}");
        }
        assert_eq!(check(None, BODY), Err(InvalidSignature::Unsigned));
        let header = format!("t={time},v1={new}");
        assert_eq!(check(Some(&header), b"{}"), Err(InvalidSignature::WrongSignature));
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert_eq!(
            verify(Some(&header), BODY, &[], now),
            Err(InvalidSignature::WrongSignature)
        );
    }

    #[test]
    fn a_signature_is_valid_for_five_minutes_either_way() {
        for (seconds, expected) in [
            (-301, Err(InvalidSignature::OutsideTolerance)),
            (-300, Ok(())),
            (0, Ok(())),
            (300, Ok(())),
            (301, Err(InvalidSignature::OutsideTolerance)),
        ] {
            let time = (NOW + seconds).to_string();
            let header = format!("t={time},v1={}", sign("whsec_new", &time, BODY));
            assert_eq!(check(Some(&header), BODY), expected, "{seconds}");
        }
    }
}
