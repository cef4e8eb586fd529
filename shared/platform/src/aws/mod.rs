//! Clients of AWS services, made on first use and held for the life of the instance.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

/// Who signs the certificates of AWS' endpoints: the roots of Amazon Trust Services. Reading all that the system has was the longest
/// part of a first answer that wakes the relay.
const ROOTS: &[u8] = include_bytes!("roots.pem");

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();
static SQS: OnceCell<aws_sdk_sqs::Client> = OnceCell::const_new();
static DYNAMODB: OnceCell<aws_sdk_dynamodb::Client> = OnceCell::const_new();
static SNS: OnceCell<aws_sdk_sns::Client> = OnceCell::const_new();
static SECRETS: OnceCell<aws_sdk_secretsmanager::Client> = OnceCell::const_new();

/// Region, credentials and HTTP client, as the environment gives them.
pub async fn config() -> &'static SdkConfig {
    // Boxed: the SDK's futures stand deep within each other, and the compiler works out no more than so many.
    CONFIG.get_or_init(|| Box::pin(load())).await
}

/// The SQS client.
pub async fn sqs() -> &'static aws_sdk_sqs::Client {
    SQS.get_or_init(|| async { aws_sdk_sqs::Client::new(config().await) })
        .await
}

/// The SNS client.
pub async fn sns() -> &'static aws_sdk_sns::Client {
    SNS.get_or_init(|| async { aws_sdk_sns::Client::new(config().await) })
        .await
}

/// The DynamoDB client.
pub async fn dynamodb() -> &'static aws_sdk_dynamodb::Client {
    DYNAMODB
        .get_or_init(|| async { aws_sdk_dynamodb::Client::new(config().await) })
        .await
}

/// The Secrets Manager client.
pub async fn secrets() -> &'static aws_sdk_secretsmanager::Client {
    SECRETS
        .get_or_init(|| async { aws_sdk_secretsmanager::Client::new(config().await) })
        .await
}

async fn load() -> SdkConfig {
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    let mut http = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
    // Nothing in it can fail; if it could, the system's roots would do.
    if let Ok(context) = TlsContext::builder().with_trust_store(roots).build() {
        http = http.tls_context(context);
    }
    let http = http.build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(10))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .load()
        .await
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn roots_are_five_that_browsers_trust_too() {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(ROOTS) {
            roots.add(root.unwrap()).unwrap();
        }
        assert_eq!(roots.len(), 5);
        for root in &roots.roots {
            let known = webpki_roots::TLS_SERVER_ROOTS.iter();
            let same = |known: &&rustls::pki_types::TrustAnchor<'_>| {
                known.subject == root.subject && known.subject_public_key_info == root.subject_public_key_info
            };
            assert!(known.clone().any(|known| same(&known)), "{:?}", root.subject);
        }
    }
}
