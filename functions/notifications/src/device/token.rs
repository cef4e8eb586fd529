//! Firebase's registration tokens.

use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

/// A token's form, as a JSON schema has it: long enough that nothing else is taken for one, short enough for a key.
pub const TOKEN_PATTERN: &str = "^[A-Za-z0-9_:.-]{20,900}$";
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 20..=900;

/// Firebase's registration token of a device. It is as good as an address: it isn't logged.
#[derive(Debug, Clone)]
pub struct DeviceToken(SecretString);

/// Not the token of a device.
#[derive(Debug, thiserror::Error)]
#[error("a device's token has 20 to 900 letters, digits, '_', ':', '.' and '-'")]
pub struct InvalidDeviceToken;

impl DeviceToken {
    /// A token that was stored, whatever its form.
    pub(super) fn stored(token: String) -> Self {
        Self(SecretString::from(token))
    }

    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl FromStr for DeviceToken {
    type Err = InvalidDeviceToken;

    fn from_str(token: &str) -> Result<Self, InvalidDeviceToken> {
        let fits_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
        let fits = TOKEN_LENGTHS.contains(&token.len()) && token.bytes().all(fits_byte);
        fits.then(|| Self(SecretString::from(token)))
            .ok_or(InvalidDeviceToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_neither_short_nor_endless_nor_anything_else() {
        let fits = |token: &str| token.parse::<DeviceToken>().is_ok();
        assert!(fits("fZ1-q_8:APA91bH.x0123456789"));
        assert!(fits(&"a".repeat(900)));
        for token in [
            "",
            "null",
            &"a".repeat(19),
            &"a".repeat(901),
            "a/bcdefghijklmnopqrstu",
            "äbcdefghijklmnopqrstuv",
        ] {
            assert!(!fits(token), "{token}");
        }
    }

    #[test]
    fn a_token_is_not_shown_when_it_is_logged() {
        let token: DeviceToken = "fZ1-q_8:APA91bH.x0123456789".parse().unwrap();
        assert!(!format!("{token:?}").contains("APA91bH"));
    }
}
