//! Mailing new feed items of the kinds that their profiles want by mail, one mail per notification.
//!
//! That the mail server has taken it is recorded on the item: a crash in between repeats a mail under the same Message-ID,
//! and none is lost. A mail that the server refuses for good is undeliverable; while it takes nothing at all, the item comes
//! again.

use std::time::Duration;

use chrono::TimeDelta;
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::entry::stream::Change;
use platform::observability::metrics;
use platform::security::secret::Rotating;
use providers::mail::{
    MESSAGE_REFUSED, Mail, RECIPIENT_DEFERRED, RECIPIENT_REFUSED, Security, Sender, Server, Smtp,
    SmtpCredentials, is_loopback,
};
use providers::outcome::{Decline, Outcome, ProviderError};

use super::new_item;
use super::store::{self, Contact};
use super::undeliverable::UndeliverableQueue;
use crate::Error;
use crate::event::printable;
use crate::feed::store::{FeedItem, FeedStore};
use crate::kind::Kind;
use crate::recipient::Recipient;
use crate::text::{Language, mail_text};

const PROVIDER: &str = "the mail server";
/// Refusals of this mail to this person. Others, of the sender or the sign-in, are mended by a person, and then everything
/// goes through.
const PERMANENT: [&str; 2] = [RECIPIENT_REFUSED, MESSAGE_REFUSED];
/// How long after its event a mailbox that takes no mail at the moment is tried.
const MAX_DEFERRAL: TimeDelta = TimeDelta::minutes(30);
/// Kept back from the deadline for recording the outcome of a mail.
const RECORDING_TIME: Duration = Duration::from_secs(2);

/// Mails notifications.
#[derive(Debug)]
pub struct Mailer {
    feed: FeedStore,
    undeliverable: UndeliverableQueue,
    database: Database,
    server: Server,
    from: Sender,
    client: Rotating<Smtp>,
    clock: ClockHandle,
}

platform::from_environment!(Mailer {
    feed,
    undeliverable: UndeliverableQueue::of_mails,
    database,
    server: mail_server,
    from: |environment: &mut Environment| environment.required("MAIL_FROM"),
    client: Rotating::named("SMTP_SECRET"),
    clock,
});

impl Mailer {
    /// Mails a new feed item that is to be mailed; other changes of the table are ignored.
    ///
    /// # Errors
    /// When DynamoDB, the database or the mail server can't be reached, or the server refuses everything: the item has to
    /// come again.
    pub async fn mail(&self, change: &Change, deadline: Deadline) -> Result<(), Error> {
        let Some((recipient, item)) = new_item(&self.feed, &self.undeliverable, change).await? else {
            return Ok(());
        };
        if !item.mail || item.mail_settled_at.is_some() {
            return Ok(());
        }
        let contact = self
            .database
            .with(async |connection| store::contact(connection, recipient).await)
            .await?;
        match contact
            .ok_or(Error::NoContact)
            .and_then(|contact| mail(&item, contact))
        {
            Ok(mail) => self.send(recipient, &item, &mail, deadline).await,
            Err(error) => self.give_up(recipient, &item, &error).await,
        }
    }

    async fn send(
        &self,
        recipient: Recipient,
        item: &FeedItem,
        mail: &Mail,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let client = self.client.get(|credentials| self.connect(credentials)).await?;
        let until = deadline.earlier_by(RECORDING_TIME).instant();
        match client.send(mail, until).await {
            Outcome::Done(()) => {
                metrics::count("MailsSent", 1);
                tracing::info!(notification_id = %item.id, kind = item.kind, "mailed the notification");
                self.record(recipient, item).await
            }
            Outcome::Declined(decline) => self.declined(recipient, item, decline).await,
            Outcome::Retryable(reason) | Outcome::Unknown(reason) => {
                Err(ProviderError::unavailable(PROVIDER, &reason).into())
            }
        }
    }

    async fn declined(&self, recipient: Recipient, item: &FeedItem, decline: Decline) -> Result<(), Error> {
        // One mailbox holds up the others of its shard for so long, and no longer.
        let is_too_late =
            decline.code == RECIPIENT_DEFERRED && self.clock.now() - item.created_at > MAX_DEFERRAL;
        let is_permanent = is_too_late || PERMANENT.contains(&decline.code.as_str());
        let error = Error::MailRefused(format!("{} ({})", decline.code, decline.status));
        if is_permanent {
            return self.give_up(recipient, item, &error).await;
        }
        if decline.code != RECIPIENT_DEFERRED {
            // A password that was replaced is refused like this too.
            self.client.invalidate().await;
        }
        Err(error)
    }

    async fn give_up(&self, recipient: Recipient, item: &FeedItem, error: &Error) -> Result<(), Error> {
        self.undeliverable
            .send(Some(recipient), Some(item.id), error)
            .await?;
        self.record(recipient, item).await
    }

    /// Records that the item needs no mail any more.
    async fn record(&self, recipient: Recipient, item: &FeedItem) -> Result<(), Error> {
        self.feed.record_mail(recipient, item.id, self.clock.now()).await
    }

    fn connect(&self, credentials: SmtpCredentials) -> Result<Smtp, Error> {
        Smtp::new(self.server.clone(), self.from.clone(), credentials)
            .map_err(|error| ProviderError::unavailable(PROVIDER, &error).into())
    }
}

fn mail_server(environment: &mut Environment) -> Option<Server> {
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
    let kind = Kind::parse(&item.kind)
        .ok_or_else(|| Error::UnreadableItem(format!("{} is no kind of notification", item.kind)))?;
    let first_name = printable(&contact.first_name);
    let text = mail_text(kind, Language::of(&item.language), &item.fields, &first_name)?;
    Ok(Mail {
        to: contact.email,
        subject: text.subject,
        text: text.text,
        html: text.html,
        id: item.id.to_string(),
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
        let server = mail_server(&mut environment);
        environment.finish(server).map_err(|error| error.problems)
    }

    #[test]
    fn only_a_server_on_this_machine_may_be_without_tls() {
        assert!(configured("127.0.0.1", "none").is_ok());
        assert!(configured("smtp.example.com", "tls").is_ok());
        assert!(configured("smtp.example.com", "starttls").is_ok());
        let problems = configured("smtp.example.com", "none").unwrap_err();
        assert!(problems[0].contains("SMTP_SECURITY"), "{problems:?}");
        assert!(configured("smtp.example.com", "ssl").is_err());
    }
}
