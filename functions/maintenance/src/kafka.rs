//! How the company's Kafka is reached.

use platform::config::Environment;
use platform::security::secret::SecretSource;
use rdkafka::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The brokers, and how they are spoken to.
#[derive(Debug)]
pub(crate) struct Cluster {
    brokers: String,
    security_protocol: String,
    certificates: String,
}

/// What signs in, by SASL.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: SecretString,
}

impl Cluster {
    /// Whether there is a Kafka at all: without `KAFKA_BROKERS` the company has none.
    pub(crate) fn is_there(environment: &Environment) -> bool {
        environment.has("KAFKA_BROKERS")
    }

    /// Reads `KAFKA_*`. The secret is needed unless `KAFKA_SECURITY_PROTOCOL` is PLAINTEXT.
    pub(crate) fn with_secret(environment: &mut Environment) -> Option<(Self, SecretSource)> {
        let cluster = Self::read(environment);
        let secret = match &cluster {
            Some(cluster) if cluster.security_protocol == "PLAINTEXT" => {
                Some(SecretSource::none("KAFKA_SECRET"))
            }
            _ => SecretSource::read(environment, "KAFKA_SECRET"),
        };
        Some((cluster?, secret?))
    }

    fn read(environment: &mut Environment) -> Option<Self> {
        let brokers = environment.required("KAFKA_BROKERS");
        let security_protocol = environment.required("KAFKA_SECURITY_PROTOCOL");
        // OpenSSL is linked statically and looks for certificates where no system has them. `probe` has librdkafka
        // try where systems do, /etc/pki/tls/certs/ca-bundle.crt of Amazon Linux first.
        let certificates = environment.optional("KAFKA_CA_LOCATION");
        Some(Self {
            brokers: brokers?,
            security_protocol: security_protocol?,
            certificates: certificates.unwrap_or_else(|| "probe".to_owned()),
        })
    }

    /// The settings of any client of the cluster.
    pub(crate) fn settings(&self, credentials: Option<Credentials>) -> ClientConfig {
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", &self.brokers)
            .set("security.protocol", &self.security_protocol);
        if self.security_protocol.ends_with("SSL") {
            settings.set("ssl.ca.location", &self.certificates);
        }
        if let Some(credentials) = credentials {
            settings
                .set("sasl.mechanisms", "SCRAM-SHA-512")
                .set("sasl.username", credentials.username)
                .set("sasl.password", credentials.password.expose_secret());
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(security_protocol: &str, more: &[(&str, &str)]) -> Environment {
        let own = [
            ("KAFKA_BROKERS", "broker:9096"),
            ("KAFKA_SECURITY_PROTOCOL", security_protocol),
        ];
        let all = own.iter().chain(more);
        Environment::of(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn settings(environment: &mut Environment, credentials: Option<Credentials>) -> ClientConfig {
        Cluster::read(environment).unwrap().settings(credentials)
    }

    #[test]
    fn brokers_are_verified_by_the_systems_certificates() {
        let credentials = Credentials {
            username: "moneta".to_owned(),
            password: SecretString::from("secret"),
        };
        let settings = settings(&mut environment("SASL_SSL", &[]), Some(credentials));
        assert_eq!(settings.get("ssl.ca.location"), Some("probe"));
        assert_eq!(settings.get("sasl.username"), Some("moneta"));
    }

    #[test]
    fn brokers_are_verified_by_a_given_certificate_authority() {
        let own = [("KAFKA_CA_LOCATION", "/opt/ca.pem")];
        let settings = settings(&mut environment("SSL", &own), None);
        assert_eq!(settings.get("ssl.ca.location"), Some("/opt/ca.pem"));
    }

    #[test]
    fn plain_kafka_needs_neither_certificates_nor_a_secret() {
        let mut environment = environment("PLAINTEXT", &[]);
        let (cluster, _) = Cluster::with_secret(&mut environment).unwrap();
        assert_eq!(cluster.settings(None).get("ssl.ca.location"), None);
        assert!(environment.finish(Some(())).is_ok());
    }

    #[test]
    fn kafka_with_sasl_needs_its_secret() {
        let mut environment = environment("SASL_SSL", &[]);
        assert!(Cluster::with_secret(&mut environment).is_none());
        let error = environment.finish(Some(())).unwrap_err();
        assert!(error.to_string().contains("KAFKA_SECRET_ARN"), "{error}");
    }

    #[test]
    fn kafka_is_not_there_without_brokers() {
        let given = |brokers: &str| Environment::of([("KAFKA_BROKERS".to_owned(), brokers.to_owned())]);
        assert!(Cluster::is_there(&given("broker:9096")));
        assert!(!Cluster::is_there(&given("")));
        assert!(!Cluster::is_there(&Environment::of([])));
    }
}
