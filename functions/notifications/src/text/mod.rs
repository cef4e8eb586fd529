//! The words of notifications, from templates: `templates/LANGUAGE/KIND.toml`.
//!
//! A template has a title and a body for feed and push, and a subject and a text for the mail. The mail's HTML is made of
//! the same text, in one layout, and escaped there, so that both parts say the same and nobody's name is markup. Words
//! that depend on a code (a reason, a status) stand in its table `words`; a code that has none gets `other`.
//! A kind without a template in a language is told in English, amounts and dates included.

mod format;
mod template;

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::Error;
use crate::events::News;
use crate::kind::Kind;

pub use format::Language;
pub(crate) use template::{Layout, Template};

const HTML_LAYOUT: &str = include_str!("../../templates/layout.html");
const TEXT_LAYOUT: &str = include_str!("../../templates/layout.txt");

/// A notification in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The language they are in.
    pub language: Language,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// What the mail's templates name, in words of the language.
    pub fields: BTreeMap<String, String>,
}

/// A mail in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Subject, one line.
    pub subject: String,
    /// The text alone.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// News in words of the language, or in English where it has none for the kind.
///
/// # Errors
/// When the template doesn't fit the news.
pub fn words(news: &News, language: Language) -> Result<Words, Error> {
    let (template, language) = Template::of(news.kind, language)?;
    let fields: BTreeMap<String, String> = news
        .fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), language.tell(value)))
        .collect();
    let values = values(&template, &fields);
    Ok(Words {
        language,
        title: one_line(&render("title.txt", &template.title, &values)?),
        body: one_line(&render("body.txt", &template.body, &values)?),
        fields,
    })
}

/// The mail that tells of a notification, to somebody of this first name (nothing where it isn't known).
///
/// # Errors
/// When the template doesn't fit the fields.
pub fn letter(
    kind: Kind,
    language: Language,
    fields: &BTreeMap<String, String>,
    first_name: &str,
) -> Result<Letter, Error> {
    let (template, language) = Template::of(kind, language)?;
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
        // What can be done, and where.
        action => action.map(|(label, link)| context! { label, link }),
        closing => layout.closing,
    };
    Ok(Letter {
        text: render("layout.txt", TEXT_LAYOUT, &page)?,
        html: render("layout.html", HTML_LAYOUT, &page)?,
        subject,
    })
}

/// The fields, and for each that has a table of words `FIELD_text`.
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
    use crate::events::news;
    use crate::events::tests::sample;

    fn told(kind: Kind, language: Language) -> Words {
        words(&news(&sample(kind)).unwrap().unwrap(), language).unwrap()
    }

    fn written(kind: Kind, language: Language, first_name: &str) -> Letter {
        letter(kind, language, &told(kind, language).fields, first_name).unwrap()
    }

    #[test]
    fn every_kind_has_words_in_english() {
        for kind in Kind::ALL {
            let words = told(kind, Language::English);
            assert!(
                !words.title.is_empty() && words.title.chars().count() <= 60,
                "{}: {words:?}",
                kind.name()
            );
            assert!(
                !words.body.is_empty() && words.body.chars().count() <= 240,
                "{}: {words:?}",
                kind.name()
            );
            let letter = written(kind, Language::English, "Ada");
            assert!(
                letter.text.starts_with("Hello Ada,\n\n"),
                "{}: {letter:?}",
                kind.name()
            );
            assert!(
                !letter.subject.is_empty() && letter.html.contains("Hello Ada,"),
                "{}",
                kind.name()
            );
            // Codes of other areas choose words and aren't shown.
            for code in [
                "doc_required",
                "insufficient_funds",
                "market-closed",
                "risk_per_trade",
                "commissions-unpaid",
            ] {
                let shown = [&words.title, &words.body, &letter.subject, &letter.text]
                    .map(|text| text.contains(code));
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
    fn a_language_without_the_kind_falls_back_to_english_as_a_whole() {
        let german = told(Kind::CommissionCharged, Language::German);
        assert_eq!(german.language, Language::German);
        assert!(german.body.contains("1.234,56 $"), "{}", german.body);
        let english = told(Kind::WithdrawalCompleted, Language::German);
        assert_eq!(english.language, Language::English);
        assert!(english.body.contains("$1,234.56"), "{}", english.body);
        assert_eq!(Language::of("fr"), Language::English);
    }

    #[test]
    fn nobodys_name_is_markup() {
        let letter = written(
            Kind::CommissionChargeFailed,
            Language::English,
            "<b>\"Ada\" & co</b>",
        );
        assert!(!letter.html.contains("<b>"), "{}", letter.html);
        assert!(
            letter.html.contains("&lt;b&gt;&quot;Ada&quot; &amp; co"),
            "{}",
            letter.html
        );
        assert!(letter.text.starts_with("Hello <b>\"Ada\" & co</b>,"));
        let link = "href=\"https:&#x2f;&#x2f;app.example.com&#x2f;pay?i=12&amp;t=a\"";
        assert!(letter.html.contains(link), "{}", letter.html);
        assert!(letter.text.contains("https://app.example.com/pay?i=12&t=a"));
    }

    #[test]
    fn a_code_that_nobody_knows_has_general_words() {
        let mut event = sample(Kind::CommissionChargeFailed);
        for (reason, expected) in [
            ("insufficient_funds", "not enough money"),
            ("expired_card", "expired"),
            ("xyz_17", "could not be made"),
            ("", "could not be made"),
        ] {
            event.data["reason"] = serde_json::json!(reason);
            let words = words(&news(&event).unwrap().unwrap(), Language::English).unwrap();
            assert!(words.body.contains(expected), "{reason}: {}", words.body);
        }
    }

    #[test]
    fn without_a_name_nobody_is_named() {
        let letter = written(Kind::TradingResumed, Language::German, "");
        assert!(letter.text.starts_with("Guten Tag,\n"), "{}", letter.text);
    }
}
