//! The template files, built into the functions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Language;
use crate::Error;
use crate::kind::Kind;

/// The texts of a kind in a language. Each is a template over the kind's fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    /// Headline in feed and push.
    pub(crate) title: String,
    /// Text in feed and push.
    pub(crate) body: String,
    /// Subject of the mail.
    pub(crate) subject: String,
    /// Text of the mail, between greeting and closing; an empty line parts paragraphs.
    pub(crate) text: String,
    /// The label of the link `action_url`.
    pub(crate) action: Option<String>,
    /// Texts for codes, by field.
    #[serde(default)]
    pub(crate) words: BTreeMap<String, BTreeMap<String, String>>,
}

/// The parts that all mails in a language share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// Greeting, a template over `first_name`.
    pub(crate) greeting: String,
    /// The end, in small print.
    pub(crate) closing: String,
}

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/", $folder, "/", $name, ".toml")))),+]
    };
}

type Files = &'static [(&'static str, &'static str)];

const ENGLISH: Files = files!["en":
    "layout",
    "money-flow.succeeded",
    "money-flow.failed",
    "deposits.suspended",
    "deposits.resumed",
    "kyc.status-changed",
    "commission.charged",
    "commission.refunded",
    "commission.charge-failed",
    "commission.confirmation-required",
    "checkout.paid",
    "trading.suspended",
    "trading.resumed",
    "collection-version.completed",
    "collection-version.failed",
    "bank-account.needs-reauth",
    "withdrawal.approved",
    "withdrawal.completed",
    "withdrawal.rejected",
    "withdrawal.returned",
    "withdrawal.failed",
    "funded-account.warned",
    "funded-account.closed",
];

const GERMAN: Files = files!["de":
    "layout",
    "money-flow.succeeded",
    "money-flow.failed",
    "deposits.suspended",
    "deposits.resumed",
    "kyc.status-changed",
    "commission.charged",
    "commission.refunded",
    "commission.charge-failed",
    "commission.confirmation-required",
    "checkout.paid",
    "trading.suspended",
    "trading.resumed",
    "collection-version.completed",
    "collection-version.failed",
    "bank-account.needs-reauth",
    "withdrawal.approved",
    "withdrawal.completed",
    "withdrawal.rejected",
    "withdrawal.returned",
    "withdrawal.failed",
    "funded-account.warned",
    "funded-account.closed",
];

impl Template {
    /// The template of a kind in a language.
    pub(crate) fn of(kind: Kind, language: Language) -> Result<Self, Error> {
        read(kind.name(), source(language, kind.name()))
    }
}

impl Layout {
    pub(crate) fn of(language: Language) -> Result<Self, Error> {
        read("layout", source(language, "layout"))
    }
}

fn source(language: Language, name: &str) -> Option<&'static str> {
    let files = match language {
        Language::English => ENGLISH,
        Language::German => GERMAN,
    };
    let found = files.iter().find(|(file, _)| *file == name);
    found.map(|(_, source)| *source)
}

fn read<T: DeserializeOwned>(name: &str, source: Option<&str>) -> Result<T, Error> {
    let source = source.ok_or_else(|| Error::Template(format!("there is no template {name}")))?;
    toml::from_str(source).map_err(|error| Error::Template(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    impl Template {
        /// Every template that there is.
        pub(crate) fn all() -> Vec<(Language, Kind, Self)> {
            let languages = [(Language::English, ENGLISH), (Language::German, GERMAN)];
            let of = |(language, files): (Language, Files)| {
                let kinds = files.iter().filter(|(name, _)| *name != "layout");
                kinds.map(move |(name, source)| {
                    let kind = Kind::parse(name).unwrap_or_else(|| panic!("{name} is no kind"));
                    (language, kind, read(name, Some(source)).unwrap())
                })
            };
            languages.into_iter().flat_map(of).collect()
        }
    }

    #[test]
    fn every_kind_has_a_template_in_every_language() {
        let there: BTreeSet<_> = Template::all()
            .into_iter()
            .map(|(language, kind, _)| (language, kind))
            .collect();
        let languages = [Language::English, Language::German];
        let missing: Vec<_> = languages
            .into_iter()
            .flat_map(|language| Kind::ALL.map(|kind| (language, kind)))
            .filter(|one| !there.contains(one))
            .collect();
        assert!(
            missing.is_empty(),
            "add templates/LANGUAGE/KIND.toml of {missing:?}"
        );
    }

    #[test]
    fn every_file_is_built_in() {
        for (folder, files) in [("en", ENGLISH), ("de", GERMAN)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("templates")
                .join(folder);
            let there: BTreeSet<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| {
                    file.unwrap()
                        .path()
                        .file_stem()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(there, files.iter().map(|(name, _)| (*name).to_owned()).collect());
        }
    }
}
