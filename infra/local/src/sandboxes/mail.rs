//! A mail server that delivers nothing: it catches whatever is sent to it, for tests and people to read.
//!
//! It speaks SMTP (EHLO, HELO, AUTH, MAIL, RCPT, DATA, RSET, NOOP, QUIT) on a port of its own, takes any credentials, and
//! has no TLS, which a client on the same machine may go without.
//!
//! # By curl
//!
//! `GET /mail` on the sandboxes' listener lists the mails, newest first: as a page for a browser (`Accept: text/html`),
//! else as JSON. Under `/control/mail`, with JSON bodies:
//! `GET messages`, `DELETE messages`; `GET`, `POST`, `DELETE faults` (`{"step":"RCPT","times":1,
//! "effect":{"kind":"refuse","status":550}}`, `{"step":"MESSAGE","effect":{"kind":"close","after_doing":true}}`).

mod pages;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::call::{Call, Reply};
use super::store::Stored;
use crate::clock::LocalClock;
use crate::util::lock;

/// Who the local cloud's mails are from.
pub const MAIL_FROM: &str = "Moneta <notifications@moneta.example>";
/// Older mails are dropped.
const MAX_MAILS: usize = 10_000;
const MAX_LINE_LENGTH: u64 = 4_096;
const MAX_MAIL_BYTES: usize = 2 * 1024 * 1024;

/// A handle of the catcher.
#[derive(Debug, Clone)]
pub struct MailSandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stored: Stored<State>,
    clock: LocalClock,
    faults: Mutex<Vec<MailFault>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    mails: Vec<CaughtMail>,
    #[serde(default)]
    last_id: u64,
}

/// A mail that was caught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtMail {
    /// Counts the mails; none is 0.
    #[serde(default)]
    pub id: u64,
    /// The address that `From` names.
    pub from: String,
    /// Whom the envelope was to.
    pub recipients: Vec<String>,
    /// The addresses that `To` names.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The Message-ID, without the angle brackets.
    pub message_id: String,
    /// The names of its headers, in their order.
    pub headers: Vec<String>,
    /// When it was taken.
    pub at: DateTime<Utc>,
}

/// A way of failing, for the next times that the step is come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailFault {
    /// `CONNECT`, a command, or `MESSAGE` for the end of the mail's text.
    pub step: String,
    /// How often it hits.
    #[serde(default = "once")]
    pub times: u32,
    /// The failure.
    pub effect: MailEffect,
}

const fn once() -> u32 {
    1
}

impl MailFault {
    /// A fault that hits the step the next time.
    pub fn new(step: &str, effect: MailEffect) -> Self {
        Self {
            step: step.to_owned(),
            times: 1,
            effect,
        }
    }

    /// Hits this many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// The failure of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailEffect {
    /// Answers with this status, without doing anything.
    Refuse {
        /// 4xx for now, 5xx for good.
        status: u16,
    },
    /// Closes the connection without an answer.
    Close {
        /// Whether it is done before: after `MESSAGE`, whether the mail is kept.
        after_doing: bool,
    },
}

/// The running server.
#[derive(Debug)]
pub(super) struct MailServer {
    pub(super) port: u16,
    task: JoinHandle<()>,
}

impl MailServer {
    pub(super) fn start(listener: TcpListener, sandbox: MailSandbox) -> anyhow::Result<Self> {
        Ok(Self {
            port: listener.local_addr()?.port(),
            task: tokio::spawn(serve(listener, sandbox)),
        })
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl MailSandbox {
    pub(super) fn start(file: Option<PathBuf>, clock: LocalClock) -> anyhow::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                stored: Stored::open(file)?,
                clock,
                faults: Mutex::default(),
            }),
        })
    }

    /// Keeps the last state.
    pub(super) fn close(&self) {
        self.inner.stored.close();
    }

    /// All mails, oldest first (the newest 10,000).
    pub fn mails(&self) -> Vec<CaughtMail> {
        self.state().mails.clone()
    }

    /// The mails to one address, oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<CaughtMail> {
        let state = self.state();
        let mails = state.mails.iter();
        mails
            .filter(|mail| mail.recipients.iter().any(|recipient| recipient == address))
            .cloned()
            .collect()
    }

    /// Forgets the mails.
    pub fn clear_mails(&self) {
        self.state().mails.clear();
        self.inner.stored.changed();
    }

    /// Fails in this way from the next time that the step is come to.
    pub fn fault(&self, fault: MailFault) {
        self.faults().push(fault);
    }

    /// The faults that are still to hit.
    pub fn pending_faults(&self) -> Vec<MailFault> {
        self.faults().clone()
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.stored.lock()
    }

    fn faults(&self) -> MutexGuard<'_, Vec<MailFault>> {
        lock(&self.inner.faults)
    }

    /// The fault that hits this step, if one does; it is used up.
    fn take_fault(&self, step: &str) -> Option<MailEffect> {
        let mut faults = self.faults();
        let fault = faults.iter_mut().find(|fault| fault.step == step)?;
        let effect = fault.effect;
        fault.times = fault.times.saturating_sub(1);
        faults.retain(|fault| fault.times > 0);
        Some(effect)
    }

    fn save(&self, recipients: Vec<String>, bytes: &[u8]) -> bool {
        let Some(mail) = read(recipients, bytes, self.inner.clock.now()) else {
            return false;
        };
        let mut state = self.state();
        if state.mails.len() >= MAX_MAILS {
            state.mails.remove(0);
        }
        state.last_id = state.last_id.saturating_add(1);
        let id = state.last_id;
        state.mails.push(CaughtMail { id, ..mail });
        drop(state);
        self.inner.stored.changed();
        true
    }

    /// Everything below `/mail`: pages for a person, JSON for a program.
    pub(super) fn pages(&self, call: &Call) -> Reply {
        let newest_first: Vec<CaughtMail> = self.state().mails.iter().rev().cloned().collect();
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET" | "HEAD", []) if pages::is_wanted(call) => pages::list(&newest_first),
            ("GET" | "HEAD", []) => self.list(),
            ("GET" | "HEAD", [id]) => {
                let mail = newest_first.iter().find(|mail| mail.id.to_string() == *id);
                mail.map_or_else(pages::none, pages::mail)
            }
            _ => Reply::control_error(404, "there is no such route"),
        }
    }

    fn list(&self) -> Reply {
        let mails: Vec<CaughtMail> = self.state().mails.iter().rev().cloned().collect();
        Reply::ok(&json!({ "items": mails }))
    }

    pub(super) fn control(&self, call: &Call) -> Reply {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", [] | ["messages"]) => self.list(),
            ("DELETE", ["messages"]) => {
                self.clear_mails();
                Reply::ok(&json!({}))
            }
            ("GET", ["faults"]) => Reply::ok(&json!({ "items": self.pending_faults() })),
            ("DELETE", ["faults"]) => {
                self.clear_faults();
                Reply::ok(&json!({}))
            }
            ("POST", ["faults"]) => match call.json() {
                Ok(fault) => {
                    self.fault(fault);
                    Reply::ok(&json!({}))
                }
                Err(error) => Reply::control_error(400, error),
            },
            _ => Reply::control_error(404, "there is no such route"),
        }
    }
}

fn read(recipients: Vec<String>, bytes: &[u8], at: DateTime<Utc>) -> Option<CaughtMail> {
    let mail = MessageParser::default().parse(bytes)?;
    let addresses = |list: Option<&mail_parser::Address<'_>>| {
        let all = list.into_iter().flat_map(mail_parser::Address::iter);
        all.filter_map(|one| one.address().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    Some(CaughtMail {
        id: 0,
        from: addresses(mail.from()).into_iter().next().unwrap_or_default(),
        recipients,
        to: addresses(mail.to()),
        subject: mail.subject().unwrap_or_default().to_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
        message_id: mail.message_id().unwrap_or_default().to_owned(),
        headers: mail.headers_raw().map(|(name, _)| name.to_owned()).collect(),
        at,
    })
}

/// Accepts connections as long as the task lives; they end with it.
async fn serve(listener: TcpListener, sandbox: MailSandbox) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let sandbox = sandbox.clone();
                    connections.spawn(async move {
                        // A client that hangs up is no concern of the server's.
                        let _ = Session::new(stream, sandbox).run().await;
                    });
                }
                Err(error) => tracing::warn!(%error, "accepting a connection of the mail catcher failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A connection.
struct Session {
    input: BufReader<OwnedReadHalf>,
    output: OwnedWriteHalf,
    sandbox: MailSandbox,
    sender: Option<String>,
    recipients: Vec<String>,
}

/// The next move after a command.
enum Next {
    Reply(&'static str),
    /// The step failed by a fault, with this status.
    Refused(u16),
    Close,
}

impl Session {
    fn new(stream: TcpStream, sandbox: MailSandbox) -> Self {
        let _ = stream.set_nodelay(true);
        let (input, output) = stream.into_split();
        Self {
            input: BufReader::new(input),
            output,
            sandbox,
            sender: None,
            recipients: Vec::new(),
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        match self.sandbox.take_fault("CONNECT") {
            Some(MailEffect::Close { .. }) => return Ok(()),
            Some(MailEffect::Refuse { status }) => return self.reply(&format!("{status} not now")).await,
            None => self.reply("220 moneta.example ESMTP catcher").await?,
        }
        while let Some(line) = self.line().await? {
            let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let command = command.to_ascii_uppercase();
            let next = match self.sandbox.take_fault(&command) {
                Some(MailEffect::Refuse { status }) => Next::Refused(status),
                Some(MailEffect::Close { .. }) => Next::Close,
                None => self.execute(&command, argument).await?,
            };
            match next {
                Next::Reply(reply) => self.reply(reply).await?,
                Next::Refused(status) => self.reply(&format!("{status} as the fault says")).await?,
                Next::Close => return Ok(()),
            }
            if command == "QUIT" {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn execute(&mut self, command: &str, argument: &str) -> std::io::Result<Next> {
        Ok(Next::Reply(match command {
            "EHLO" => "250-moneta.example\r\n250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n250 SIZE 2097152",
            "HELO" | "NOOP" => "250 OK",
            "QUIT" => "221 Bye",
            "RSET" => {
                self.begin();
                "250 OK"
            }
            "AUTH" => self.sign_in(argument).await?,
            "MAIL" => match path(argument, "FROM:") {
                Some(sender) => {
                    self.begin();
                    self.sender = Some(sender);
                    "250 OK"
                }
                None => "501 MAIL FROM:<address>",
            },
            "RCPT" if self.sender.is_none() => "503 MAIL first",
            "RCPT" => match path(argument, "TO:").filter(|recipient| !recipient.is_empty()) {
                Some(recipient) => {
                    self.recipients.push(recipient);
                    "250 OK"
                }
                None => "501 RCPT TO:<address>",
            },
            "DATA" if self.recipients.is_empty() => "503 RCPT first",
            "DATA" => return self.take_message().await,
            _ => "502 no such command",
        }))
    }

    fn begin(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// Takes any credentials, by either mechanism.
    async fn sign_in(&mut self, argument: &str) -> std::io::Result<&'static str> {
        let mut words = argument.split(' ');
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let prompts: &[&str] = match (mechanism.as_str(), words.next()) {
            ("PLAIN", Some(_)) => &[],
            ("PLAIN", None) => &["334 "],
            ("LOGIN", None) => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            ("LOGIN", Some(_)) => &["334 UGFzc3dvcmQ6"],
            _ => return Ok("504 PLAIN or LOGIN"),
        };
        for prompt in prompts {
            self.reply(prompt).await?;
            if self.line().await?.is_none_or(|answer| answer == "*") {
                return Ok("501 cancelled");
            }
        }
        Ok("235 welcome")
    }

    async fn take_message(&mut self) -> std::io::Result<Next> {
        self.reply("354 go on").await?;
        let mut message = Vec::new();
        loop {
            let mut line = Vec::new();
            (&mut self.input)
                .take(MAX_LINE_LENGTH)
                .read_until(b'\n', &mut line)
                .await?;
            if line.is_empty() {
                return Ok(Next::Close);
            }
            if line == b".\r\n" {
                break;
            }
            // A line that begins with a dot has one more on its way.
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if message.len() > MAX_MAIL_BYTES {
                return Ok(Next::Reply("552 too large"));
            }
        }
        let recipients = std::mem::take(&mut self.recipients);
        self.begin();
        let effect = self.sandbox.take_fault("MESSAGE");
        if let Some(MailEffect::Refuse { status }) = effect {
            return Ok(Next::Refused(status));
        }
        let is_saved = effect != Some(MailEffect::Close { after_doing: false })
            && self.sandbox.save(recipients, &message);
        Ok(match effect {
            Some(_) => Next::Close,
            None if is_saved => Next::Reply("250 caught"),
            None => Next::Reply("554 this is no mail"),
        })
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let read = (&mut self.input)
            .take(MAX_LINE_LENGTH)
            .read_line(&mut line)
            .await?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    async fn reply(&mut self, reply: &str) -> std::io::Result<()> {
        self.output.write_all(format!("{reply}\r\n").as_bytes()).await
    }
}

/// The address in `FROM:<address> PARAMETERS`.
fn path(argument: &str, start: &str) -> Option<String> {
    let (given, rest) = argument.split_at_checked(start.len())?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    given.eq_ignore_ascii_case(start).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says these lines one by one and gives the statuses of the answers, as far as there are any.
    async fn talk(port: u16, lines: &[&str]) -> Vec<String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (input, mut output) = stream.into_split();
        let mut input = BufReader::new(input);
        let mut statuses = Vec::new();
        for line in [""].iter().chain(lines) {
            if !line.is_empty() {
                output.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            }
            let mut answer = String::new();
            loop {
                answer.clear();
                if input.read_line(&mut answer).await.unwrap_or(0) == 0 {
                    return statuses;
                }
                if answer.as_bytes().get(3) == Some(&b' ') {
                    break;
                }
            }
            statuses.push(answer.chars().take(3).collect());
        }
        statuses
    }

    const MAIL: [&str; 6] = [
        "EHLO me",
        "AUTH PLAIN AGEAYg==",
        "MAIL FROM:<news@moneta.example>",
        "RCPT TO:<ada@example.com>",
        "DATA",
        "From: Moneta <news@moneta.example>\r\nTo: ada@example.com\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\
         Message-ID: <1@moneta.example>\r\n\r\nHello\r\n..dot\r\n.",
    ];

    async fn started() -> (MailSandbox, MailServer) {
        let sandbox = MailSandbox::start(None, LocalClock::default()).unwrap();
        let server = MailServer::start(crate::ports::free().await.unwrap(), sandbox.clone()).unwrap();
        (sandbox, server)
    }

    #[tokio::test]
    async fn a_mail_is_caught_and_can_be_read() {
        let (sandbox, server) = started().await;
        let statuses = talk(server.port, &[&MAIL[..], &["QUIT"]].concat()).await;
        assert_eq!(statuses, ["220", "250", "235", "250", "250", "354", "250", "221"]);
        let mails = sandbox.mails_to("ada@example.com");
        let mail = mails.first().unwrap();
        assert_eq!((mails.len(), mail.subject.as_str()), (1, "Grüße"));
        assert_eq!((mail.text.trim_end(), mail.id), ("Hello\r\n.dot", 1));
        assert_eq!(
            (mail.message_id.as_str(), mail.from.as_str()),
            ("1@moneta.example", "news@moneta.example")
        );
        server.stop().await;
    }

    #[tokio::test]
    async fn faults_hit_their_step() {
        let (sandbox, server) = started().await;
        sandbox.fault(MailFault::new("RCPT", MailEffect::Refuse { status: 550 }));
        let statuses = talk(server.port, &MAIL[..4]).await;
        assert_eq!(statuses, ["220", "250", "235", "250", "550"]);
        for (after_doing, kept) in [(false, 0), (true, 1)] {
            sandbox.fault(MailFault::new("MESSAGE", MailEffect::Close { after_doing }));
            let statuses = talk(server.port, &MAIL).await;
            assert_eq!(statuses, ["220", "250", "235", "250", "250", "354"]);
            assert_eq!(sandbox.mails().len(), kept);
        }
        assert!(sandbox.pending_faults().is_empty());
        server.stop().await;
    }

    #[tokio::test]
    async fn steps_out_of_order_are_refused() {
        let (sandbox, server) = started().await;
        let lines = [
            "EHLO me",
            "RCPT TO:<a@b.c>",
            "DATA",
            "MAIL FROM:x",
            "VRFY ada",
            "RSET",
            "QUIT",
        ];
        let statuses = talk(server.port, &lines).await;
        assert_eq!(statuses, ["220", "250", "503", "503", "501", "502", "250", "221"]);
        assert!(sandbox.mails().is_empty());
        server.stop().await;
    }
}
