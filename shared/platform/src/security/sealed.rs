//! Values sealed at rest (bank tokens, session tokens): AES-256-GCM with a data key from Secrets Manager.
//!
//! Layout: one byte of version (1), 12 bytes of nonce, ciphertext with its tag. The place a value belongs to
//! (table, column, row) is authenticated along, so that one row's value doesn't open in another.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::config::{Environment, FromEnvironment};
use crate::error::PlatformError;
use crate::security::secret::SecretSource;

const VERSION: u8 = 1;

/// The key with which values are sealed.
#[derive(Clone)]
pub struct DataKey(Arc<LessSafeKey>);

#[derive(Deserialize)]
struct DataKeySecret {
    key: String,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DataKey(redacted)")
    }
}

impl DataKey {
    /// Loads the key: a JSON document `{"key": base64 of 32 bytes}`.
    ///
    /// # Errors
    /// When the secret can't be read or isn't a key.
    pub async fn load(source: &SecretSource) -> Result<Self, PlatformError> {
        let secret: DataKeySecret = source.load().await?;
        let bytes = STANDARD.decode(secret.key).map_err(|_| PlatformError::Sealed)?;
        Self::from_bytes(&bytes)
    }

    /// A key of 32 bytes.
    ///
    /// # Errors
    /// For any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlatformError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| PlatformError::Sealed)?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Seals a value for its place, for instance `plaid_items.access_token:item-1`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, place: &str, value: &str) -> Result<Vec<u8>, PlatformError> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| PlatformError::Sealed)?;
        let mut text = value.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut text,
            )
            .map_err(|_| PlatformError::Sealed)?;
        Ok([&[VERSION], nonce.as_slice(), text.as_slice()].concat())
    }

    /// Opens a value at its place.
    ///
    /// # Errors
    /// [`PlatformError::Sealed`] for another key, another place or a changed value.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<String, PlatformError> {
        let (version, rest) = sealed.split_first().ok_or(PlatformError::Sealed)?;
        if *version != VERSION || rest.len() < NONCE_LEN {
            return Err(PlatformError::Sealed);
        }
        let (nonce, text) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| PlatformError::Sealed)?;
        let mut text = text.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| PlatformError::Sealed)?;
        String::from_utf8(opened.to_vec()).map_err(|_| PlatformError::Sealed)
    }
}

/// The key that seals what is stored, loaded on its first use; it isn't rotated. A clone is the same key.
#[derive(Debug, Clone)]
pub struct LazyDataKey(Arc<Lazy>);

#[derive(Debug)]
struct Lazy {
    secret: SecretSource,
    key: OnceCell<DataKey>,
}

impl FromEnvironment for LazyDataKey {
    /// Reads `DATA_KEY_SECRET(_ARN)`.
    fn read(environment: &mut Environment) -> Option<Self> {
        environment.shared(|environment| {
            let secret = SecretSource::read(environment, "DATA_KEY_SECRET")?;
            let key = OnceCell::new();
            Some(Self(Arc::new(Lazy { secret, key })))
        })
    }
}

impl LazyDataKey {
    /// The key.
    ///
    /// # Errors
    /// When the secret can't be read or isn't a key; the next call tries again.
    pub async fn get(&self) -> Result<&DataKey, PlatformError> {
        self.0.key.get_or_try_init(|| DataKey::load(&self.0.secret)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_at_its_place_with_its_key_and_unchanged() {
        let key = DataKey::from_bytes(&[7; 32]).unwrap();
        let mut sealed = key.seal("plaid_items:1", "access-sandbox-1").unwrap();
        assert_eq!(key.open("plaid_items:1", &sealed).unwrap(), "access-sandbox-1");
        assert!(key.open("plaid_items:2", &sealed).is_err());
        assert!(
            DataKey::from_bytes(&[8; 32])
                .unwrap()
                .open("plaid_items:1", &sealed)
                .is_err()
        );
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(key.open("plaid_items:1", &sealed).is_err());
        assert!(key.open("plaid_items:1", &[]).is_err());
    }

    #[test]
    fn sealing_twice_gives_two_values() {
        let key = DataKey::from_bytes(&[7; 32]).unwrap();
        assert_ne!(key.seal("a", "b").unwrap(), key.seal("a", "b").unwrap());
    }
}
