//! Mailing new feed items of the kinds that their profiles want by mail, one mail per notification.
//!
//! That the mail server has taken it is recorded on the item: a crash in between repeats a mail under the same Message-ID,
//! and none is lost. What the server refuses for good is set aside; while it takes nothing at all, the item comes again.

use std::time::Duration;

use domain::ids::ProfileId;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::entry::stream::{Change, ChangeKind};
use platform::observability::metrics;
use platform::observability::telemetry;
use platform::security::secret::{Rotating, SecretSource};
use providers::mail::{
    MESSAGE_REFUSED, Mail, RECIPIENT_REFUSED, Security, Sender, Server, Smtp, SmtpCredentials, is_loopback,
};
use providers::outcome::{Decline, Outcome};

use crate::Error;
use crate::given_up::GivenUp;
use crate::kind::Kind;
use crate::store::contacts::{self, Contact};
use crate::store::feed::{Feed, FeedItem, key_of};
use crate::text::{Language, letter};

/// Refusals of this mail to this person. Others, of the sender or the sign-in, are mended by a person, and then everything
/// goes through.
const PERMANENT: [&str; 2] = [RECIPIENT_REFUSED, MESSAGE_REFUSED];
/// Kept back from the deadline for recording what came of a mail.
const RECORDING: Duration = Duration::from_secs(2);

/// What mails notifications.
#[derive(Debug)]
pub struct Mailer {
    feed: Feed,
    given_up: GivenUp,
    database: Database,
    server: Server,
    from: Sender,
    client: Rotating<Smtp>,
}

impl Mailer {
    /// Reads the table, the database, the queue of failures, `SMTP_HOST`, `SMTP_PORT`, `SMTP_SECURITY`, `MAIL_FROM` and
    /// `SMTP_SECRET(_ARN)`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let feed = Feed::read(environment);
        let given_up = GivenUp::of_mails(environment);
        let database = Database::read(environment);
        let server = server(environment);
        let from = environment.required("MAIL_FROM");
        let credentials = SecretSource::read(environment, "SMTP_SECRET");
        Some(Self {
            feed: feed?,
            given_up: given_up?,
            database: database?,
            server: server?,
            from: from?,
            client: Rotating::new(credentials?),
        })
    }

    /// Mails a new feed item that is to be mailed; other changes of the table are none of its business.
    ///
    /// # Errors
    /// When DynamoDB, the database or the mail server doesn't answer, or the server refuses everything: the item has to
    /// come again.
    pub async fn mail(&self, change: Change, deadline: Deadline) -> Result<(), Error> {
        if change.kind != ChangeKind::Inserted {
            return Ok(());
        }
        match key_of(&change.new) {
            Ok(Some((profile, id))) => self.mail_item(profile, &id, deadline).await,
            Ok(None) => Ok(()),
            // It would hold up the stream for hours and be no more readable then.
            Err(error) => self.given_up.add(None, None, &error).await,
        }
    }

    async fn mail_item(&self, profile: ProfileId, id: &str, deadline: Deadline) -> Result<(), Error> {
        telemetry::identify(profile.get());
        // The stream's image is as old as its record: the item itself knows whether it was mailed since.
        let item = match self.feed.item_with_pushes(profile, id).await {
            Ok(Some((item, _))) => item,
            Ok(None) => return Ok(()),
            Err(error @ Error::Item(_)) => return self.given_up.add(Some(profile), Some(id), &error).await,
            Err(error) => return Err(error),
        };
        if !item.mail || item.mail_settled_at.is_some() {
            return Ok(());
        }
        let mail = match contacts::contact(&self.database, profile).await? {
            Some(contact) => mail(&item, contact),
            None => Err(Error::NoContact),
        };
        match mail {
            Ok(mail) => self.send(profile, &item, &mail, deadline).await,
            Err(error) => self.give_up(profile, &item, &error).await,
        }
    }

    async fn send(
        &self,
        profile: ProfileId,
        item: &FeedItem,
        mail: &Mail,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let client = self.client.get(|credentials| self.connect(credentials)).await?;
        let until = deadline.earlier_by(RECORDING).instant();
        match client.send(mail, until).await {
            Outcome::Done(()) => {
                metrics::count("MailsSent", 1);
                tracing::info!(kind = item.kind, "a mail is handed over");
                self.feed.mark_mail_settled(profile, &item.id).await
            }
            Outcome::Declined(decline) => self.declined(profile, item, decline).await,
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(Error::MailUnavailable(reason.to_string()))
            }
        }
    }

    async fn declined(&self, profile: ProfileId, item: &FeedItem, decline: Decline) -> Result<(), Error> {
        let is_for_good = PERMANENT.contains(&decline.code.as_str());
        let error = Error::MailRefused(format!("{} ({})", decline.code, decline.status));
        if is_for_good {
            return self.give_up(profile, item, &error).await;
        }
        // A password that was replaced looks like this too.
        self.client.look_again().await;
        Err(error)
    }

    async fn give_up(&self, profile: ProfileId, item: &FeedItem, error: &Error) -> Result<(), Error> {
        self.given_up.add(Some(profile), Some(&item.id), error).await?;
        self.feed.mark_mail_settled(profile, &item.id).await
    }

    fn connect(&self, credentials: SmtpCredentials) -> Result<Smtp, Error> {
        Smtp::new(self.server.clone(), self.from.clone(), credentials).map_err(Error::MailUnavailable)
    }
}

fn server(environment: &mut Environment) -> Option<Server> {
    let host: Option<String> = environment.required("SMTP_HOST");
    let port = environment.required("SMTP_PORT");
    let security = environment.required("SMTP_SECURITY");
    let (host, port, security) = (host?, port?, security?);
    if security == Security::None && !is_loopback(&host) {
        environment.problem(
            "SMTP_SECURITY is none, which only a server on this machine may have; set it to tls or starttls"
                .to_owned(),
        );
        return None;
    }
    Some(Server { host, port, security })
}

fn mail(item: &FeedItem, contact: Contact) -> Result<Mail, Error> {
    let kind = Kind::named(&item.kind).ok_or_else(|| Error::Item(format!("{} is no kind", item.kind)))?;
    let first_name = crate::events::printable(&contact.first_name);
    let letter = letter(kind, Language::of(&item.language), &item.fields, &first_name)?;
    Ok(Mail {
        to: contact.email,
        subject: letter.subject,
        text: letter.text,
        html: letter.html,
        id: item.id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(host: &str, security: &str) -> Result<Server, Vec<String>> {
        let variables = [
            ("SMTP_HOST", host),
            ("SMTP_PORT", "465"),
            ("SMTP_SECURITY", security),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = Environment::of(variables);
        let server = server(&mut environment);
        environment.finish(server).map_err(|error| error.problems)
    }

    #[test]
    fn without_tls_only_this_machine_is_spoken_to() {
        assert!(configured("127.0.0.1", "none").is_ok());
        assert!(configured("smtp.example.com", "tls").is_ok());
        assert!(configured("smtp.example.com", "starttls").is_ok());
        let problems = configured("smtp.example.com", "none").unwrap_err();
        assert!(problems[0].contains("SMTP_SECURITY"), "{problems:?}");
        assert!(configured("smtp.example.com", "ssl").is_err());
    }
}
