//! Mail over SMTP: in AWS, SES's.
//!
//! A mail is one connection: EHLO, TLS, sign-in, MAIL, RCPT, DATA. What a refusal is about depends on the step at which it
//! comes, so the steps are taken one by one here. A connection that breaks after DATA leaves open whether the mail was
//! taken; it is sent again under the same Message-ID, by which mail programs show it once.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, transport::smtp::Error as SmtpError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use crate::http::Attempts;
use crate::outcome::{Decline, Outcome, Reason};

/// Longest wait for the server to accept one mail.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for QUIT; the mail is sent by then.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);
const SPACING: [Duration; 1] = [Duration::from_secs(1)];

/// The recipient's address is invalid, or the server knows nobody there.
pub const RECIPIENT_REFUSED: &str = "recipient-refused";
/// The recipient's mailbox takes no mail at the moment: it is full, or wants another attempt later.
pub const RECIPIENT_DEFERRED: &str = "recipient-deferred";
/// The server refuses this mail.
pub const MESSAGE_REFUSED: &str = "message-refused";
/// The server refuses our sign-in: no mail goes out until a person mends it.
pub const SIGN_IN_REFUSED: &str = "sign-in-refused";
/// The server refuses our sender: no mail goes out until a person mends it.
pub const SENDER_REFUSED: &str = "sender-refused";

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`; without it nothing is sent.
    StartTls,
    /// Not at all: for a server on the same machine only.
    None,
}

/// Not a way to secure a connection.
#[derive(Debug, thiserror::Error)]
#[error("it has to be tls, starttls or none")]
pub struct UnknownSecurity;

impl FromStr for Security {
    type Err = UnknownSecurity;

    fn from_str(name: &str) -> Result<Self, UnknownSecurity> {
        match name {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => Err(UnknownSecurity),
        }
    }
}

/// Whether a connection to the host may go without TLS: it doesn't leave the machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The sender of all mails, `Name <address>`.
#[derive(Debug, Clone)]
pub struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = lettre::address::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// How to sign in to the server.
#[derive(Debug, Clone, Deserialize)]
pub struct SmtpCredentials {
    /// Name.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name, which its certificate has to be for.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How connections are secured.
    pub security: Security,
}

/// A mail to one person.
#[derive(Clone)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The text alone.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The part of the Message-ID before the `@`: the same whenever the mail is sent again.
    pub id: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Mail")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The client.
pub struct Smtp {
    server: Server,
    from: Sender,
    credentials: SmtpCredentials,
    tls: TlsParameters,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Smtp")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// A mail as it goes over the wire.
struct Outgoing {
    to: Address,
    bytes: Vec<u8>,
}

enum Attempt {
    Settled(Outcome<()>),
    /// The mailbox alone takes nothing at the moment, with this status.
    Deferred(u16),
    Again(String),
}

impl Smtp {
    /// A client of the server.
    ///
    /// # Errors
    /// When TLS can't be set up for its name, or a server on another machine is to be used without TLS.
    pub fn new(server: Server, from: Sender, credentials: SmtpCredentials) -> Result<Self, String> {
        if server.security == Security::None && !is_loopback(&server.host) {
            return Err("a server on another machine is only used with TLS".to_owned());
        }
        let tls = TlsParameters::new(server.host.clone()).map_err(|error| error.to_string())?;
        Ok(Self {
            server,
            from,
            credentials,
            tls,
        })
    }

    /// Sends a mail. One whose response was lost may be sent again: it has the same Message-ID.
    pub async fn send(&self, mail: &Mail, deadline: Instant) -> Outcome<()> {
        let outgoing = match self.outgoing(mail) {
            Ok(outgoing) => outgoing,
            Err(decline) => return Outcome::Declined(decline),
        };
        let mut attempts = Attempts::new(&SPACING, deadline);
        loop {
            let until = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
            let attempt = tokio::time::timeout_at(until, Box::pin(self.attempt(&outgoing))).await;
            let outcome = match attempt.unwrap_or_else(|_| Attempt::Again("no response in time".to_owned())) {
                Attempt::Settled(outcome) => return outcome,
                Attempt::Deferred(status) => {
                    let message = "the mailbox takes no mail at the moment";
                    Outcome::Declined(Decline::new(RECIPIENT_DEFERRED, message, status))
                }
                Attempt::Again(reason) => Outcome::Retryable(Reason(reason)),
            };
            if !attempts.later(None).await {
                return outcome;
            }
        }
    }

    fn outgoing(&self, mail: &Mail) -> Result<Outgoing, Decline> {
        let refused = |code: &str, message: &str| Decline::new(code, message, 553);
        let to = ascii(&mail.to);
        let address = to.as_deref().and_then(|to| to.parse::<Address>().ok());
        let to = address.ok_or_else(|| refused(RECIPIENT_REFUSED, "the address is invalid"))?;
        // A line break would end the header.
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let id: String = mail.id.chars().filter(char::is_ascii_alphanumeric).collect();
        let message = Message::builder()
            .from(self.from.0.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(one_line(&mail.subject))
            .message_id(Some(format!("<{id}@{}>", self.from.0.email.domain())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(
                mail.text.clone(),
                mail.html.clone(),
            ));
        let message = message.map_err(|_| refused(MESSAGE_REFUSED, "the message can't be written"))?;
        Ok(Outgoing {
            to,
            bytes: message.formatted(),
        })
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Attempt {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Attempt::Again(without_text("no connection", &error)),
        };
        let credentials = Credentials::new(
            self.credentials.username.clone(),
            self.credentials.password.expose_secret().to_owned(),
        );
        if let Err(error) = connection.auth(DEFAULT_MECHANISMS, &credentials).await {
            return failed(SIGN_IN_REFUSED, &error);
        }
        let sender = MailFrom::new(Some(self.from.0.email.clone()), Vec::new());
        if let Err(error) = connection.command(sender).await {
            return failed(SENDER_REFUSED, &error);
        }
        let recipient = Rcpt::new(outgoing.to.clone(), Vec::new());
        if let Err(error) = connection.command(recipient).await {
            return match error.status().filter(|_| error.is_transient()) {
                Some(status) => Attempt::Deferred(status.into()),
                None => failed(RECIPIENT_REFUSED, &error),
            };
        }
        if let Err(error) = connection.command(Data).await {
            return failed(MESSAGE_REFUSED, &error);
        }
        if let Err(error) = connection.message(&outgoing.bytes).await {
            return failed(MESSAGE_REFUSED, &error);
        }
        // The mail is accepted, whatever QUIT says.
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Attempt::Settled(Outcome::Done(()))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::Domain(self.from.0.email.domain().to_owned());
        let address = (self.server.host.as_str(), self.server.port);
        let tls = (self.server.security == Security::Tls).then(|| self.tls.clone());
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_TIMEOUT), &hello, tls, None).await?;
        if self.server.security == Security::StartTls {
            connection.starttls(self.tls.clone(), &hello).await?;
        }
        Ok(connection)
    }
}

/// The address as every mail server takes it: an international domain in its ASCII form. `None` for one whose own part isn't
/// ASCII, which needs SMTPUTF8 all the way.
fn ascii(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    local.is_ascii().then(|| format!("{local}@{domain}"))
}

/// The attempt's outcome after a failed step: a permanent refusal is about what the step names, another is tried again.
fn failed(code: &str, error: &SmtpError) -> Attempt {
    match error.status().filter(|_| error.is_permanent()) {
        Some(status) => Attempt::Settled(Outcome::Declined(Decline::new(
            code,
            "the mail server refused",
            status.into(),
        ))),
        None => Attempt::Again(without_text("the mail server didn't accept the mail", error)),
    }
}

/// A failure without the server's own text, which may name the recipient.
fn without_text(what: &str, error: &SmtpError) -> String {
    match error.status() {
        Some(status) => format!("{what}: {status}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn smtp() -> Smtp {
        let server = Server {
            host: "127.0.0.1".to_owned(),
            port: 1,
            security: Security::None,
        };
        let credentials = SmtpCredentials {
            username: "name".to_owned(),
            password: SecretString::from("word"),
        };
        Smtp::new(
            server,
            "Moneta <news@moneta.example>".parse().unwrap(),
            credentials,
        )
        .unwrap()
    }

    fn mail() -> Mail {
        Mail {
            to: "ada@example.com".to_owned(),
            subject: "Grüße".to_owned(),
            text: "Hello\n".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            id: "01M7WNTHQZS2Y2B1PDV1YDDYBG".to_owned(),
        }
    }

    fn written(mail: &Mail) -> String {
        String::from_utf8(smtp().outgoing(mail).unwrap().bytes).unwrap()
    }

    #[test]
    fn a_mail_has_both_texts_and_keeps_its_id() {
        let text = written(&mail());
        assert!(
            text.contains("Message-ID: <01M7WNTHQZS2Y2B1PDV1YDDYBG@moneta.example>\r\n"),
            "{text}"
        );
        assert!(
            text.contains("multipart/alternative") && text.contains("text/html"),
            "{text}"
        );
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.is_ascii(), "nothing that needs 8BITMIME: {text}");
    }

    #[test]
    fn no_text_of_a_mail_becomes_a_header() {
        let subject = "Hello\r\nBcc: eve@example.com\r\n\r\nbody".to_owned();
        let text = written(&Mail { subject, ..mail() });
        assert!(!text.contains("\r\nBcc:"), "{text}");
        for to in [
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com> RCPT TO:<eve@example.com",
            "ada@example.com, eve@example.com",
            "ada",
            "",
            "adä@example.com",
        ] {
            let refused = smtp().outgoing(&Mail {
                to: to.to_owned(),
                ..mail()
            });
            assert_eq!(
                refused.err().map(|decline| decline.code).as_deref(),
                Some(RECIPIENT_REFUSED),
                "{to}"
            );
        }
        let id = "x>\r\nBcc: eve@example.com".to_owned();
        assert!(!written(&Mail { id, ..mail() }).contains("\r\nBcc:"));
    }

    #[test]
    fn a_server_on_another_machine_is_refused_without_tls() {
        for (host, may) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
            ("email-smtp.us-east-1.amazonaws.com", false),
        ] {
            assert_eq!(is_loopback(host), may, "{host}");
        }
        let open = Server {
            host: "smtp.example.com".to_owned(),
            port: 25,
            security: Security::None,
        };
        let Smtp {
            from, credentials, ..
        } = smtp();
        assert!(Smtp::new(open, from, credentials).is_err());
    }

    #[test]
    fn international_domains_get_their_mail() {
        assert_eq!(
            ascii("ada@münchen.example").as_deref(),
            Some("ada@xn--mnchen-3ya.example")
        );
        assert_eq!(ascii("ada+1@example.com").as_deref(), Some("ada+1@example.com"));
        for wrong in ["ада@example.com", "example.com", "ada@", "ada@exa mple.com"] {
            assert_eq!(ascii(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_server_that_can_not_be_reached_is_retryable() {
        let outcome = smtp()
            .send(&mail(), Instant::now() + Duration::from_millis(300))
            .await;
        assert!(matches!(outcome, Outcome::Retryable(_)), "{outcome:?}");
    }

    /// Sends a mail to a server that writes these lines, one after each that it receives; the outcome, and what it received.
    async fn sent_to(security: Security, lines: &'static [&'static str]) -> (Outcome<()>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut received, mut chunk) = (Vec::new(), [0; 1024]);
            for line in lines {
                stream.write_all(line.as_bytes()).await.unwrap();
                let length = stream.read(&mut chunk).await.unwrap_or(0);
                received.extend_from_slice(&chunk[..length]);
            }
            received
        });
        let Smtp {
            from, credentials, ..
        } = smtp();
        let server_of = Server {
            host: "localhost".to_owned(),
            port,
            security,
        };
        let client = Smtp::new(server_of, from, credentials).unwrap();
        let outcome = client
            .send(&mail(), Instant::now() + Duration::from_millis(400))
            .await;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn nothing_is_sent_when_the_server_does_not_offer_starttls() {
        let hello = &["220 here\r\n", "250-here\r\n250 AUTH PLAIN\r\n"];
        let (outcome, received) = sent_to(Security::StartTls, hello).await;
        assert!(matches!(outcome, Outcome::Retryable(_)), "{outcome:?}");
        let received = String::from_utf8_lossy(&received).into_owned();
        assert!(received.starts_with("EHLO moneta.example\r\n"), "{received}");
        assert!(
            !received.contains("AUTH") && !received.contains("MAIL"),
            "{received}"
        );
    }

    #[tokio::test]
    async fn tls_begins_with_the_first_byte() {
        let (outcome, received) = sent_to(Security::Tls, &[""]).await;
        assert!(matches!(outcome, Outcome::Retryable(_)), "{outcome:?}");
        assert_eq!(received.first(), Some(&0x16), "a handshake of TLS");
    }
}
