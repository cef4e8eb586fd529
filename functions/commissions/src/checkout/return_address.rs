//! Addresses that customers may be sent back to from Stripe's payment page.

use platform::config::{Environment, FromEnvironment};
use url::{Host, Url};

use crate::Error;

/// Longest return address, in bytes.
const MAX_ADDRESS_BYTES: usize = 2048;

/// The hosts that customers may be sent back to.
#[derive(Debug, Clone)]
pub(super) struct ReturnHosts(Vec<String>);

impl FromEnvironment for ReturnHosts {
    /// Reads `CHECKOUT_RETURN_HOSTS`: hosts with commas between.
    fn read(environment: &mut Environment) -> Option<Self> {
        let hosts: String = environment.required("CHECKOUT_RETURN_HOSTS")?;
        let hosts = hosts.split(',');
        Some(Self(hosts.map(|host| host.trim().to_ascii_lowercase()).collect()))
    }
}

impl ReturnHosts {
    /// Checks that a customer may be sent to an address: https to one of the hosts, or http to this machine where that is
    /// one of them.
    ///
    /// # Errors
    /// Rejected with the field and the rule it breaks.
    pub(super) fn check(&self, field: &'static str, address: &str) -> Result<(), Error> {
        let refused = |message: String| Err(Error::ReturnAddress { field, message });
        if address.len() > MAX_ADDRESS_BYTES {
            let length = address.len();
            return refused(format!(
                "is {length} bytes long; at most {MAX_ADDRESS_BYTES} are allowed"
            ));
        }
        // The parser strips and encodes what Stripe refuses and the database can't store, and the address goes there as it is.
        if !address
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        {
            let allowed =
                "has to be visible ASCII without spaces and backslashes; percent-encode everything else";
            return refused(allowed.to_owned());
        }
        let Ok(url) = Url::parse(address) else {
            return refused("has to be an absolute address (https://…)".to_owned());
        };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if !self.0.contains(&host) {
            return refused(format!("has to be on one of these hosts: {}", self.0.join(", ")));
        }
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
            return refused("has to begin with https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("must not carry a user or password".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> bool {
        let hosts = ReturnHosts(vec!["app.example.com".to_owned(), "localhost".to_owned()]);
        hosts.check("success_url", address).is_err()
    }

    #[test]
    fn customers_are_sent_back_to_our_hosts_only() {
        for address in [
            "https://app.example.com/billing?session={CHECKOUT_SESSION_ID}",
            "https://APP.example.com:8443/",
            "http://localhost:3000/done",
            "https://localhost/done",
        ] {
            assert!(!refused(address), "{address}");
        }
        for address in [
            "",
            "/billing",
            "//app.example.com/billing",
            "http://app.example.com/",
            "https://app.example.com.evil.example/",
            "https://evil.example/app.example.com",
            "https://app.example.com@evil.example/",
            "https://user:secret@app.example.com/",
            "https://evil.example\\@app.example.com/",
            "javascript:alert(1)//app.example.com",
            "data:text/html,app.example.com",
            "https://sub.app.example.com/",
            " https://app.example.com/",
            "https://app.example.com/\0",
            "https://app.example.com/\n",
            "https://app.example.com/a b",
            "https://app.example.com/ключ",
            "https://app.example.com\\.evil.example/",
            &format!("https://app.example.com/{}", "x".repeat(MAX_ADDRESS_BYTES)),
        ] {
            assert!(refused(address), "{address}");
        }
    }
}
