//! The caught mails as pages.

use std::fmt::Write;

use super::CaughtMail;
use crate::sandboxes::{
    call::{Call, Reply},
    html::{escape, page},
};

/// The most mails on the page that lists them.
const MAX_LISTED: usize = 200;

/// Whether a browser asks, and not a program.
pub(super) fn is_wanted(call: &Call) -> bool {
    call.header("accept")
        .is_some_and(|kinds| kinds.contains("text/html"))
}

pub(super) fn list(newest_first: &[CaughtMail]) -> Reply {
    let mut items = String::new();
    for mail in newest_first.iter().take(MAX_LISTED) {
        // Writing to a text can't fail.
        let _ = write!(
            items,
            "<li><a href=\"/mail/{}\">{}</a><br><small>{} · to {}</small></li>",
            mail.id,
            escape(subject(mail)),
            mail.at.format("%Y-%m-%d %H:%M:%S UTC"),
            escape(&mail.recipients.join(", "))
        );
    }
    let body = match newest_first.len() {
        0 => "<p>No mail was sent yet.</p>".to_owned(),
        count if count > MAX_LISTED => format!(
            "<ul class=\"list\">{items}</ul><p>The newest {MAX_LISTED} of {count}; as JSON, there are all of them.</p>"
        ),
        _ => format!("<ul class=\"list\">{items}</ul>"),
    };
    page(200, "Caught mails", &body)
}

pub(super) fn mail(mail: &CaughtMail) -> Reply {
    let mut body = format!(
        "<p><a href=\"/mail\">All mails</a></p><dl><dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd>\
         <dt>Sent</dt><dd>{}</dd></dl><pre>{}</pre>",
        escape(&mail.from),
        escape(&mail.recipients.join(", ")),
        mail.at.format("%Y-%m-%d %H:%M:%S UTC"),
        escape(mail.text.trim_end())
    );
    if !mail.html.is_empty() {
        // The frame runs no script, sends no form and opens no window, whatever the mail says.
        let _ = write!(
            body,
            "<h2>As HTML</h2><iframe sandbox title=\"The mail as HTML\" srcdoc=\"{}\"></iframe>",
            escape(&mail.html)
        );
    }
    page(200, subject(mail), &body)
}

pub(super) fn none() -> Reply {
    page(404, "No such mail", "<p><a href=\"/mail\">All mails</a></p>")
}

fn subject(mail: &CaughtMail) -> &str {
    match mail.subject.trim() {
        "" => "(no subject)",
        subject => subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> CaughtMail {
        CaughtMail {
            id: 7,
            from: "a@b.c".to_owned(),
            recipients: vec!["<b>@b.c".to_owned()],
            to: Vec::new(),
            subject: "<script>alert(1)</script>".to_owned(),
            text: "\"<script>alert(2)</script>".to_owned(),
            html: "<p title=\"'\"></p><script>alert(3)</script>".to_owned(),
            message_id: String::new(),
            headers: Vec::new(),
            at: "2026-11-28T13:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_mail_can_put_nothing_into_its_page() {
        for reply in [list(&[hostile()]), mail(&hostile())] {
            assert!(!reply.body.contains("<script"), "{}", reply.body);
            assert!(!reply.body.contains("<b>@"), "{}", reply.body);
            assert!(reply.body.contains("name=\"viewport\""));
            let policy = |(name, value): &(&str, String)| {
                *name == "content-security-policy" && value.contains("default-src 'none'")
            };
            assert!(reply.headers.iter().any(policy));
        }
        assert!(mail(&hostile()).body.contains("<iframe sandbox "));
    }
}
