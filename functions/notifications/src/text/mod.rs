//! The texts of notifications, from templates: `templates/LANGUAGE/KIND.toml`.
//!
//! A template has a title and a body for feed and push, and a subject and a text for the mail. The mail's HTML is made of
//! the same text, in one layout, and escaped there, so that both parts say the same and nobody's name is markup. Texts
//! that depend on a code (a reason, a status) stand in its table `words`; a code that has none gets `other`.
//! Every kind has a template in every language.

mod format;
mod template;

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::Error;
use crate::event::Content;
use crate::kind::Kind;

pub use format::Language;
pub(crate) use template::{Layout, Template};

const HTML_LAYOUT: &str = include_str!("../../templates/layout.html");
const TEXT_LAYOUT: &str = include_str!("../../templates/layout.txt");

/// The text of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationText {
    /// The language it is in.
    pub language: Language,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// The fields of the mail's template, as they read in the language.
    pub fields: BTreeMap<String, String>,
}

/// The text of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailText {
    /// Subject, one line.
    pub subject: String,
    /// The text alone.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The text of a notification in the language.
///
/// # Errors
/// When the template can't be rendered with the content.
pub fn notification_text(content: &Content, language: Language) -> Result<NotificationText, Error> {
    let template = Template::of(content.kind, language)?;
    let fields: BTreeMap<String, String> = content
        .fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), language.format(value)))
        .collect();
    let values = values(&template, &fields);
    Ok(NotificationText {
        language,
        title: one_line(&render("title.txt", &template.title, &values)?),
        body: one_line(&render("body.txt", &template.body, &values)?),
        fields,
    })
}

/// The mail of a notification, to somebody of this first name (empty where it isn't known).
///
/// # Errors
/// When the template can't be rendered with the fields.
pub fn mail_text(
    kind: Kind,
    language: Language,
    fields: &BTreeMap<String, String>,
    first_name: &str,
) -> Result<MailText, Error> {
    let template = Template::of(kind, language)?;
    let layout = Layout::of(language)?;
    let values = values(&template, fields);
    let subject = one_line(&render("subject.txt", &template.subject, &values)?);
    let text = render("text.txt", &template.text, &values)?;
    let greeting = render("greeting.txt", &layout.greeting, &context! { first_name })?;
    let link = fields.get("action_url").filter(|link| !link.is_empty());
    let action = template.action.as_deref().zip(link.map(String::as_str));
    let page = context! {
        language => language.code(),
        subject => subject.as_str(),
        greeting => one_line(&greeting),
        paragraphs => paragraphs(&text),
        // The link with which the customer can act.
        action => action.map(|(label, link)| context! { label, link }),
        closing => layout.closing,
    };
    Ok(MailText {
        text: render("layout.txt", TEXT_LAYOUT, &page)?,
        html: render("layout.html", HTML_LAYOUT, &page)?,
        subject,
    })
}

/// The fields, and `FIELD_text` for each field with a table of texts.
fn values(template: &Template, fields: &BTreeMap<String, String>) -> Value {
    let mut values = fields.clone();
    for (field, words) in &template.words {
        let code = fields.get(field).map(String::as_str).unwrap_or_default();
        let text = words.get(code).or_else(|| words.get("other"));
        values.insert(format!("{field}_text"), text.cloned().unwrap_or_default());
    }
    Value::from(values)
}

/// A name that ends in `.html` has its values escaped.
fn render(name: &str, source: &str, context: &Value) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_named_str(name, source, context)
        .map_err(|error| Error::Template(error.to_string()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn paragraphs(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(one_line);
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::event::content;
    use crate::event::tests::sample;

    fn notification(kind: Kind, language: Language) -> NotificationText {
        let content = content(&sample(kind)).unwrap().unwrap();
        notification_text(&content, language).unwrap()
    }

    fn mail(kind: Kind, language: Language, first_name: &str) -> MailText {
        let fields = notification(kind, language).fields;
        mail_text(kind, language, &fields, first_name).unwrap()
    }

    #[test]
    fn every_kind_has_a_text_in_english() {
        for kind in Kind::ALL {
            let text = notification(kind, Language::English);
            assert!(
                !text.title.is_empty() && text.title.chars().count() <= 60,
                "{}: {text:?}",
                kind.name()
            );
            assert!(
                !text.body.is_empty() && text.body.chars().count() <= 240,
                "{}: {text:?}",
                kind.name()
            );
            let mail = mail(kind, Language::English, "Ada");
            assert!(
                mail.text.starts_with("Hello Ada,\n\n"),
                "{}: {mail:?}",
                kind.name()
            );
            assert!(
                !mail.subject.is_empty() && mail.html.contains("Hello Ada,"),
                "{}",
                kind.name()
            );
            // Codes of other areas choose texts and aren't shown.
            for code in [
                "doc_required",
                "insufficient_funds",
                "market-closed",
                "risk_per_trade",
                "commissions-unpaid",
            ] {
                let shown =
                    [&text.title, &text.body, &mail.subject, &mail.text].map(|shown| shown.contains(code));
                assert_eq!(shown, [false; 4], "{}: {code}", kind.name());
            }
        }
    }

    #[test]
    fn a_template_names_only_what_its_kind_gives() {
        for (language, kind, template) in Template::all() {
            let tables = template.words.keys().map(|field| format!("{field}_text"));
            let given = kind.fields().iter().map(|field| (*field).to_owned());
            let known: BTreeSet<String> = given.chain(tables).collect();
            for source in [&template.title, &template.body, &template.subject, &template.text] {
                let environment = Environment::new();
                let parsed = environment.template_from_str(source).unwrap();
                let unknown: Vec<_> = parsed
                    .undeclared_variables(true)
                    .into_iter()
                    .filter(|name| !known.contains(name))
                    .collect();
                assert!(unknown.is_empty(), "{language:?} {}: {unknown:?}", kind.name());
            }
            for (field, words) in &template.words {
                assert!(
                    kind.fields().contains(&field.as_str()),
                    "{language:?} {}: {field}",
                    kind.name()
                );
                assert!(
                    words.contains_key("other"),
                    "{language:?} {}: other {field}",
                    kind.name()
                );
            }
            let has_link = kind.fields().contains(&"action_url");
            assert_eq!(
                template.action.is_some(),
                has_link,
                "{language:?} {}",
                kind.name()
            );
        }
    }

    #[test]
    fn a_language_has_amounts_of_its_own() {
        let german = notification(Kind::CommissionCharged, Language::German);
        assert_eq!(german.language, Language::German);
        assert!(german.body.contains("1.234,56 $"), "{}", german.body);
        assert_eq!(
            Language::of("fr"),
            Language::English,
            "nothing is written in French"
        );
    }

    #[test]
    fn a_name_with_markup_is_escaped() {
        let mail = mail(
            Kind::CommissionChargeFailed,
            Language::English,
            "<b>\"Ada\" & co</b>",
        );
        assert!(!mail.html.contains("<b>"), "{}", mail.html);
        assert!(
            mail.html.contains("&lt;b&gt;&quot;Ada&quot; &amp; co"),
            "{}",
            mail.html
        );
        assert!(mail.text.starts_with("Hello <b>\"Ada\" & co</b>,"));
        let link = "href=\"https:&#x2f;&#x2f;app.example.com&#x2f;pay?i=12&amp;t=a\"";
        assert!(mail.html.contains(link), "{}", mail.html);
        assert!(mail.text.contains("https://app.example.com/pay?i=12&t=a"));
    }

    #[test]
    fn an_unknown_code_has_a_general_text() {
        let mut event = sample(Kind::CommissionChargeFailed);
        for (reason, expected) in [
            ("insufficient_funds", "not enough money"),
            ("expired_card", "expired"),
            ("xyz_17", "could not be made"),
            ("", "could not be made"),
        ] {
            event.data["reason"] = serde_json::json!(reason);
            let content = content(&event).unwrap().unwrap();
            let text = notification_text(&content, Language::English).unwrap();
            assert!(text.body.contains(expected), "{reason}: {}", text.body);
        }
    }

    #[test]
    fn a_mail_without_a_first_name_has_a_general_greeting() {
        let mail = mail(Kind::TradingResumed, Language::German, "");
        assert!(mail.text.starts_with("Guten Tag,\n"), "{}", mail.text);
    }
}
