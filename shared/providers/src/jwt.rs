//! Signed tokens (RFC 7515, compact form), with ring: the one cryptography library of what is deployed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a token says of its signature.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
}

/// The header of a token that nobody has verified yet; none when it is no token.
pub(crate) fn header(token: &str) -> Option<Header> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&decoded(header)?).ok()
}

/// The claims of a token that is signed by ES256 with the key of this point (RFC 7518, 6.2.1); none when it isn't.
pub(crate) fn verified_es256<T: DeserializeOwned>(token: &str, x: &str, y: &str) -> Option<T> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (_, claims) = signed.split_once('.')?;
    // The point as ring takes it: uncompressed.
    let point = [vec![4], decoded(x)?, decoded(y)?].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
    serde_json::from_slice(&decoded(claims)?).ok()
}

/// A token with these claims, signed by RS256 with a key in PEM (PKCS #8); or what is wrong with the key.
pub(crate) fn signed_rs256(claims: &impl Serialize, key: &SecretString) -> Result<String, &'static str> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| "it is no PEM of a private key")?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| "it is no RSA key")?;
    let claims = serde_json::to_vec(claims).map_err(|_| "the claims can't be written")?;
    let header = json!({"typ": "JWT", "alg": "RS256"}).to_string();
    let signed = format!("{}.{}", encoded(header.as_bytes()), encoded(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "it can't sign")?;
    Ok(format!("{signed}.{}", encoded(&signature)))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use rsa::RsaPrivateKey;
    use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_is_read_by_another_library() {
        let own = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let key = SecretString::from(own.to_pkcs8_pem(LineEnding::LF).unwrap().as_str());
        let token = signed_rs256(&json!({"iss": "moneta", "exp": 4_000_000_000_i64}), &key).unwrap();
        let public = own.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        let public = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
        let read =
            jsonwebtoken::decode::<Value>(&token, &public, &Validation::new(Algorithm::RS256)).unwrap();
        assert_eq!(read.claims["iss"], "moneta");
    }

    #[test]
    fn a_key_that_is_none_is_said_to_be() {
        for wrong in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(
                signed_rs256(&json!({}), &SecretString::from(wrong)).is_err(),
                "{wrong}"
            );
        }
    }
}
