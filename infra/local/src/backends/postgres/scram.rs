//! What PostgreSQL keeps of a password instead of it (RFC 5803).

use std::num::NonZeroU32;

use anyhow::anyhow;
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};

/// Stretching makes passwords that people choose harder to guess. Ours are random, so that it would only make every
/// function's first connection slower.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN;
const SALT_BYTES: usize = 16;

/// The verifier of a random password, as `ALTER ROLE … PASSWORD` takes it.
pub(super) fn verifier(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| anyhow!("the system has no random numbers"))?;
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    Ok(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    ))
}
