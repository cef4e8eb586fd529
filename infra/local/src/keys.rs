//! The keys and secrets of the local cloud: for development only, made at the first start and kept, so that a token outlives a
//! restart. A developer's key pairs are in the state directory; tests share theirs.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::errors::ErrorKind as TokenErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::clock::LocalClock;

/// Where the state directory says who issues its tokens.
const ISSUER_FILE: &str = "keys/issuer.url";
/// The audience of local tokens.
pub const AUDIENCE: &str = "moneta";
/// The application key that the DriveWealth sandbox expects.
pub const DRIVEWEALTH_APP_KEY: &str = "local-drivewealth-app-key";
/// The user that signs in to the DriveWealth sandbox.
pub const DRIVEWEALTH_USERNAME: &str = "moneta";
/// The password of that user.
pub const DRIVEWEALTH_PASSWORD: &str = "local-drivewealth-password";
/// The client id that the Plaid sandbox expects.
pub const PLAID_CLIENT_ID: &str = "local-plaid-client";
/// The secret that the Plaid sandbox expects.
pub const PLAID_SECRET: &str = "local-plaid-secret";
/// The API key that the Stripe sandbox expects.
pub const STRIPE_API_KEY: &str = "sk_test_moneta_local";
/// The e-mail address of the service account that may send through the Firebase sandbox.
pub const FIREBASE_CLIENT_EMAIL: &str = "push@moneta-local.iam.gserviceaccount.com";

/// The key with which values are sealed at rest.
pub const DATA_KEY: &[u8; 32] = b"moneta-local-development-key-32b";
const KEY_ID: &str = "moneta-local";
const RSA_BITS: usize = 2048;

/// The constant local secrets by the variable that a function reads; `FIREBASE_SECRET` comes from the sandboxes, since
/// it names their address, and so does `STRIPE_SECRET`, whose signing secrets change.
pub fn local_secrets() -> BTreeMap<String, String> {
    let drivewealth = json!({
        "app_key": DRIVEWEALTH_APP_KEY,
        "username": DRIVEWEALTH_USERNAME,
        "password": DRIVEWEALTH_PASSWORD,
    });
    let plaid = json!({ "client_id": PLAID_CLIENT_ID, "secret": PLAID_SECRET });
    let data_key = json!({ "key": STANDARD.encode(DATA_KEY) });
    [
        ("DATA_KEY_SECRET", data_key),
        ("DRIVEWEALTH_SECRET", drivewealth),
        ("PLAID_SECRET", plaid),
    ]
    .into_iter()
    .map(|(name, secret)| (name.to_owned(), secret.to_string()))
    .collect()
}

/// The properties of a token besides its claims.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// After how many seconds it expires; a negative number makes an expired token.
    pub expires_in_s: i64,
    /// The issuer instead of the local one.
    pub issuer: Option<String>,
    /// The audience instead of the local one.
    pub audience: Option<String>,
    /// Signs with a key that the issuer doesn't know.
    pub wrong_key: bool,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            expires_in_s: 3600,
            issuer: None,
            audience: None,
            wrong_key: false,
        }
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It isn't a token, or lacks a claim, or another algorithm signed it.
    #[error("the token is malformed")]
    Malformed,
    /// Its signature isn't the issuer's.
    #[error("the token's signature is wrong")]
    Signature,
    /// It names a key that the issuer doesn't have.
    #[error("the token's key is unknown")]
    Key,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another issuer made it.
    #[error("the token's issuer is wrong")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token's audience is wrong")]
    Audience,
}

/// The local issuer of JSON Web Tokens. They are signed with RS256, since the JWT authorizer of an HTTP API takes RSA
/// alone: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>.
pub struct LocalIssuer {
    signing: EncodingKey,
    /// Made when it is first asked for.
    wrong: OnceLock<EncodingKey>,
    verifying: DecodingKey,
    validation: Validation,
    issuer: String,
    clock: LocalClock,
    jwks: Value,
}

impl std::fmt::Debug for LocalIssuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LocalIssuer")
            .field("jwks", &self.jwks)
            .finish_non_exhaustive()
    }
}

impl LocalIssuer {
    /// Reads the issuer's key pair from the folder of key pairs, or makes and keeps one. The issuer is the address of the
    /// local cloud, which answers `/.well-known/openid-configuration`.
    pub fn load_or_create(key_pairs: &Path, issuer: &str, clock: LocalClock) -> anyhow::Result<Self> {
        let pem = load_or_make(&key_pairs.join("issuer.pem"), make_rsa_key)?;
        let public = RsaPublicKey::from(&RsaPrivateKey::from_pkcs8_pem(std::str::from_utf8(&pem)?)?);
        let modulus = URL_SAFE_NO_PAD.encode(public.n().to_bytes_be());
        let exponent = URL_SAFE_NO_PAD.encode(public.e().to_bytes_be());
        let mut validation = Validation::new(Algorithm::RS256);
        // By the local cloud's clock, after the rest.
        validation.validate_exp = false;
        validation.set_issuer(&[issuer]);
        // A token may name its audience in another claim.
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "iss"]);
        Ok(Self {
            signing: EncodingKey::from_rsa_pem(&pem)?,
            wrong: OnceLock::new(),
            verifying: DecodingKey::from_rsa_components(&modulus, &exponent)?,
            validation,
            issuer: issuer.to_owned(),
            clock,
            jwks: json!({ "keys": [{
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": modulus, "e": exponent,
            }] }),
        })
    }

    /// The issuer of the local cloud that uses the state directory, or used it last; none before the first one.
    pub(crate) fn last_issuer(state_dir: &Path) -> Option<String> {
        std::fs::read_to_string(state_dir.join(ISSUER_FILE)).ok()
    }

    /// Lets the command line mint tokens while no local cloud runs.
    pub(crate) fn announce(&self, state_dir: &Path) -> anyhow::Result<()> {
        let path = state_dir.join(ISSUER_FILE);
        unfinished(&path, self.issuer.as_bytes())?.persist(path)?;
        Ok(())
    }

    /// The issuer's name, as in the tokens' `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What `/.well-known/openid-configuration` says: how a verifier finds the keys. There is no sign-in here; tokens
    /// come from `POST /local/tokens`.
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.issuer),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// The audience of its tokens, as in `aud`.
    pub fn audience(&self) -> &'static str {
        AUDIENCE
    }

    /// Makes a token with the claims (a JSON object); `iss`, `aud`, `iat` and `exp` come from the options, and `sub` from the
    /// claims, unless the claims say otherwise; one that is null there is left out.
    pub fn mint(&self, claims: Value, options: TokenOptions) -> anyhow::Result<String> {
        let Value::Object(given) = claims else {
            anyhow::bail!("the claims must be a JSON object");
        };
        let now = self.clock.now().timestamp();
        let mut claims = serde_json::Map::new();
        claims.insert(
            "iss".to_owned(),
            options.issuer.unwrap_or_else(|| self.issuer.clone()).into(),
        );
        claims.insert(
            "aud".to_owned(),
            options.audience.unwrap_or_else(|| AUDIENCE.to_owned()).into(),
        );
        claims.insert(
            "iat".to_owned(),
            now.min(now.saturating_add(options.expires_in_s)).into(),
        );
        claims.insert("exp".to_owned(), now.saturating_add(options.expires_in_s).into());
        // Whoever asks for the same claims is the same caller, unless a subject is named.
        claims.insert("sub".to_owned(), subject_of(&given).into());
        claims.extend(given);
        claims.retain(|_, value| !value.is_null());
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(Algorithm::RS256)
        };
        let key = match options.wrong_key {
            true => self.wrong_key()?,
            false => &self.signing,
        };
        Ok(jsonwebtoken::encode(&header, &claims, key)?)
    }

    fn wrong_key(&self) -> anyhow::Result<&EncodingKey> {
        if let Some(key) = self.wrong.get() {
            return Ok(key);
        }
        let made = EncodingKey::from_rsa_pem(&make_rsa_key()?)?;
        Ok(self.wrong.get_or_init(|| made))
    }

    /// The claims of a token that is this issuer's, meant for us and not expired.
    pub fn verify(&self, token: &str) -> Result<Value, Refused> {
        match jsonwebtoken::decode::<Value>(token, &self.verifying, &self.validation) {
            Ok(token) if token.header.kid.as_deref() != Some(KEY_ID) => Err(Refused::Key),
            Ok(token) => {
                check_times(&token.claims, self.clock.now().timestamp())?;
                if !is_for_us(&token.claims) {
                    return Err(Refused::Audience);
                }
                Ok(token.claims)
            }
            Err(error) => Err(match error.kind() {
                TokenErrorKind::InvalidSignature => Refused::Signature,
                TokenErrorKind::InvalidIssuer => Refused::Issuer,
                _ => Refused::Malformed,
            }),
        }
    }

    /// The public key as a JSON Web Key Set.
    pub fn jwks(&self) -> &Value {
        &self.jwks
    }
}

/// A subject for these claims: `scope=wallets`, `profile_id=1`.
fn subject_of(claims: &serde_json::Map<String, Value>) -> String {
    let part = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{name}={text}"),
        None => format!("{name}={value}"),
    };
    claims.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// Whether the token is meant for us. As API Gateway does it, `client_id` counts only where there is no `aud`.
fn is_for_us(claims: &Value) -> bool {
    match claims.get("aud").or_else(|| claims.get("client_id")) {
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == AUDIENCE),
        Some(audience) => audience == AUDIENCE,
        None => false,
    }
}

/// Whether a token is good at a time, in seconds since 1970.
fn check_times(claims: &Value, now: i64) -> Result<(), Refused> {
    let time = |name: &str| {
        claims
            .get(name)
            .map(|time| time.as_i64().ok_or(Refused::Malformed))
    };
    let expires_at = time("exp").unwrap_or(Err(Refused::Malformed))?;
    if expires_at < now {
        return Err(Refused::Expired);
    }
    for begins_at in [time("nbf"), time("iat")].into_iter().flatten() {
        if begins_at? > now {
            return Err(Refused::NotYetValid);
        }
    }
    Ok(())
}

/// The service account with which a function signs in to the Firebase sandbox.
#[derive(Debug)]
pub(crate) struct ServiceAccount {
    private_key_pem: String,
    public_key_pem: String,
}

impl ServiceAccount {
    /// Reads the key from the folder of key pairs, or makes one, which is kept if there is a folder.
    pub(crate) fn load_or_create(key_pairs: Option<&Path>) -> anyhow::Result<Self> {
        let pem = match key_pairs {
            Some(folder) => load_or_make(&folder.join("service-account.pem"), make_rsa_key)?,
            None => make_rsa_key()?,
        };
        let private_key_pem = String::from_utf8(pem)?;
        let key = RsaPrivateKey::from_pkcs8_pem(&private_key_pem)?;
        let public_key_pem = RsaPublicKey::from(&key).to_public_key_pem(LineEnding::LF)?;
        Ok(Self {
            private_key_pem,
            public_key_pem,
        })
    }

    /// The public half, as PEM.
    pub(crate) fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The JSON file that Google would give out for the account.
    pub(crate) fn secret(&self, project: &str, token_uri: &str) -> String {
        json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": KEY_ID,
            "private_key": self.private_key_pem,
            "client_email": FIREBASE_CLIENT_EMAIL,
            "token_uri": token_uri,
        })
        .to_string()
    }
}

/// The password in the file of the state directory; one is made and kept when there is none. Also says whether it was
/// made just now.
pub(crate) fn load_or_make_password(path: &Path) -> anyhow::Result<(String, bool)> {
    let is_new = !path.exists();
    let password = load_or_make(path, || {
        let random: [u8; 24] = rand::random();
        Ok(URL_SAFE_NO_PAD.encode(random).into_bytes())
    })?;
    Ok((String::from_utf8(password)?, is_new))
}

fn make_rsa_key() -> anyhow::Result<Vec<u8>> {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS)?;
    Ok(key.to_pkcs8_pem(LineEnding::LF)?.as_bytes().to_vec())
}

fn load_or_make(path: &Path, make: impl FnOnce() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    if !path.exists() {
        let made = unfinished(path, &make()?)?.persist_noclobber(path);
        // Where two made one at the same time, the first counts for both.
        if let Err(error) = made
            && error.error.kind() != ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("cannot keep {}", path.display()));
        }
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A file beside the path with its content, which its owner alone reads; under its name it is never half-written.
fn unfinished(path: &Path, content: &[u8]) -> anyhow::Result<NamedTempFile> {
    let folder = path.parent().context("a key has a folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "http://127.0.0.1:9400";

    fn issuer() -> (tempfile::TempDir, LocalIssuer) {
        let state = tempfile::tempdir().unwrap();
        let issuer = LocalIssuer::load_or_create(state.path(), ISSUER, LocalClock::default()).unwrap();
        (state, issuer)
    }

    #[test]
    fn a_token_is_good_after_a_restart_too() {
        let (state, issuer) = issuer();
        let token = issuer
            .mint(json!({ "profile_id": 7 }), TokenOptions::default())
            .unwrap();
        assert_eq!(issuer.verify(&token).unwrap()["profile_id"], 7);
        let again = LocalIssuer::load_or_create(state.path(), ISSUER, LocalClock::default()).unwrap();
        assert_eq!(again.verify(&token).unwrap()["iss"], ISSUER);
        assert_eq!(again.jwks(), issuer.jwks());
    }

    #[test]
    fn a_token_goes_by_the_local_clouds_clock() {
        let state = tempfile::tempdir().unwrap();
        let clock = LocalClock::default();
        let issuer = LocalIssuer::load_or_create(state.path(), ISSUER, clock.clone()).unwrap();
        let mint = || {
            issuer
                .mint(json!({ "profile_id": 7 }), TokenOptions::default())
                .unwrap()
        };
        let before = mint();
        clock
            .set(Some(chrono::Utc::now() + chrono::TimeDelta::days(30)))
            .unwrap();
        assert_eq!(issuer.verify(&before).unwrap_err(), Refused::Expired);
        let after = mint();
        assert_eq!(issuer.verify(&after).unwrap()["profile_id"], 7);
        clock.set(None).unwrap();
        assert_eq!(issuer.verify(&after).unwrap_err(), Refused::NotYetValid);
    }

    #[test]
    fn a_token_that_is_not_ours_is_refused_with_its_reason() {
        let (_state, issuer) = issuer();
        let refused = |options: TokenOptions| {
            let token = issuer.mint(json!({ "profile_id": 7 }), options).unwrap();
            issuer.verify(&token).unwrap_err()
        };
        let usual = TokenOptions::default;
        assert_eq!(
            refused(TokenOptions {
                expires_in_s: -1,
                ..usual()
            }),
            Refused::Expired
        );
        assert_eq!(
            refused(TokenOptions {
                wrong_key: true,
                ..usual()
            }),
            Refused::Signature
        );
        assert_eq!(
            refused(TokenOptions {
                issuer: Some("x".to_owned()),
                ..usual()
            }),
            Refused::Issuer
        );
        assert_eq!(
            refused(TokenOptions {
                audience: Some("x".to_owned()),
                ..usual()
            }),
            Refused::Audience
        );
        assert_eq!(issuer.verify("not.a.token").unwrap_err(), Refused::Malformed);
        let later = chrono::Utc::now().timestamp() + 60;
        for claim in ["iat", "nbf"] {
            let token = issuer.mint(json!({ claim: later }), usual()).unwrap();
            assert_eq!(
                issuer.verify(&token).unwrap_err(),
                Refused::NotYetValid,
                "{claim}"
            );
        }
    }

    #[test]
    fn a_token_names_its_audience_in_one_of_two_claims() {
        let (_state, issuer) = issuer();
        let exp = chrono::Utc::now().timestamp() + 60;
        let verify = |claims: Value| {
            let mut all = json!({ "iss": ISSUER, "exp": exp });
            for (name, value) in claims.as_object().unwrap() {
                crate::util::set(&mut all, name, value.clone());
            }
            let header = Header {
                kid: Some(KEY_ID.to_owned()),
                ..Header::new(Algorithm::RS256)
            };
            let token = jsonwebtoken::encode(&header, &all, &issuer.signing).unwrap();
            issuer.verify(&token).map(|_| ())
        };
        assert_eq!(verify(json!({ "client_id": AUDIENCE })), Ok(()));
        assert_eq!(verify(json!({ "aud": ["other", AUDIENCE] })), Ok(()));
        assert_eq!(verify(json!({ "aud": AUDIENCE, "client_id": 7 })), Ok(()));
        for refused in [
            json!({}),
            json!({ "client_id": "other" }),
            json!({ "aud": "other", "client_id": AUDIENCE }),
            json!({ "aud": [] }),
        ] {
            assert_eq!(verify(refused), Err(Refused::Audience));
        }
    }

    #[test]
    fn a_token_of_a_key_that_is_not_published_is_refused() {
        let (_state, issuer) = issuer();
        for kid in [None, Some("another".to_owned())] {
            let header = Header {
                kid,
                ..Header::new(Algorithm::RS256)
            };
            let exp = chrono::Utc::now().timestamp() + 60;
            let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp });
            let token = jsonwebtoken::encode(&header, &claims, &issuer.signing).unwrap();
            assert_eq!(issuer.verify(&token).unwrap_err(), Refused::Key);
        }
    }

    #[test]
    fn the_service_accounts_key_is_kept() {
        let state = tempfile::tempdir().unwrap();
        let first = ServiceAccount::load_or_create(Some(state.path())).unwrap();
        let second = ServiceAccount::load_or_create(Some(state.path())).unwrap();
        assert_eq!(first.public_key_pem(), second.public_key_pem());
        assert!(
            first
                .secret("p", "http://localhost/token")
                .contains("BEGIN PRIVATE KEY")
        );
    }
}
