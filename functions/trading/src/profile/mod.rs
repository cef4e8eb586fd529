//! The profiles of the app's users, which everything else starts from: the company's user service brings them in.

pub(crate) mod store;
mod view;

use domain::ids::ProfileId;
use domain::trading::kyc::form::{Answer, Form};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::Replayable;
use serde::Deserialize;
use utoipa::ToSchema;

pub use self::view::ProfileView;

use crate::Error;

/// The longest name, in characters.
const MAX_NAME_LENGTH: usize = 100;
/// The language of a profile that names none.
const DEFAULT_LANGUAGE: &str = "en";

/// A person, as the user service knows them.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutProfileRequest {
    /// Where they get mail.
    #[schema(max_length = 100, examples("ada@example.com"))]
    pub email: String,
    /// First name.
    #[schema(min_length = 1, max_length = 100, examples("Ada"))]
    pub first_name: String,
    /// Last name.
    #[schema(min_length = 1, max_length = 100, examples("Example"))]
    pub last_name: String,
    /// ISO 639-1. Null leaves what the person has chosen; a new profile has English then.
    #[schema(value_type = Option<String>, pattern = "^[a-z]{2}$", examples("en"))]
    pub language: Option<Language>,
}

/// The language that somebody wants to be written to in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLanguageRequest {
    /// ISO 639-1. What isn't translated comes in English.
    #[schema(value_type = String, pattern = "^[a-z]{2}$", examples("en"))]
    pub language: Language,
}

/// A language's two letters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Language(String);

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_code {
            return Ok(Self(text));
        }
        Err("has to be a language's two letters, such as \"en\"".to_owned())
    }
}

/// The profiles.
#[derive(Debug)]
pub struct Profiles {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(Profiles { database, clock });

impl Profiles {
    /// Brings a profile in, or brings what is known of it up to date; `replayed` when it was there.
    ///
    /// # Errors
    /// Rejected for a name or a mail address that can't be one.
    pub async fn put(
        &self,
        id: ProfileId,
        request: &PutProfileRequest,
    ) -> Result<Replayable<ProfileView>, Error> {
        let first_name = checked_name("first_name", &request.first_name)?;
        let last_name = checked_name("last_name", &request.last_name)?;
        let email = self.checked_email(&request.email)?;
        let row = store::ProfileRow {
            id,
            email,
            first_name,
            last_name,
            language: request.language.as_ref().map(|language| language.0.clone()),
        };
        let now = self.clock.now();
        let put = self
            .database
            .with(async |connection| store::upsert(connection, &row, DEFAULT_LANGUAGE, now).await)
            .await?;
        let view = ProfileView {
            profile_id: id,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            language: put.language,
        };
        Ok(match put.is_new {
            true => Replayable::new(view),
            false => Replayable::replayed(view),
        })
    }

    /// Sets the language that the person is written to in.
    ///
    /// # Errors
    /// Not found for a profile that nobody has brought in.
    pub async fn set_language(
        &self,
        profile: ProfileId,
        request: &SetLanguageRequest,
    ) -> Result<ProfileView, Error> {
        let row = self
            .database
            .with(async |connection| store::set_language(connection, profile, &request.language.0).await)
            .await?;
        row.ok_or(Error::ProfileNotFound)
    }

    /// A mail address is checked as the form of the identity check does it.
    fn checked_email(&self, text: &str) -> Result<String, Error> {
        let form = Form::default().merged(Form::new(
            [("email_address".to_owned(), Answer::Text(text.to_owned()))].into(),
        ));
        let today = self.clock.now().date_naive();
        let problem = form.problems(today).into_iter().next();
        match (form.text("email_address"), problem) {
            (Some(email), None) => Ok(email.to_owned()),
            (_, problem) => Err(Error::InvalidValue {
                field: "email",
                message: problem.map_or_else(|| "is empty".to_owned(), |problem| problem.message),
            }),
        }
    }
}

fn checked_name(field: &'static str, text: &str) -> Result<String, Error> {
    let name = text.trim();
    let length = name.chars().count();
    let message = match length {
        0 => "is empty".to_owned(),
        _ if length > MAX_NAME_LENGTH => {
            format!("has {length} characters; at most {MAX_NAME_LENGTH} are possible")
        }
        _ if name.chars().any(char::is_control) => "has characters that can't be seen".to_owned(),
        _ => return Ok(name.to_owned()),
    };
    Err(Error::InvalidValue { field, message })
}
