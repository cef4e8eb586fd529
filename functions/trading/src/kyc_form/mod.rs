//! The form of the identity check: what it asks for, filling it in, in parts and as often as somebody likes, until it is
//! submitted. The tax id is sealed, and shown by its end only.

mod answers;
pub(crate) mod store;
mod view;

use domain::ids::ProfileId;
use domain::market::MarketCalendar;
use domain::trading::kyc::form::{FIELDS, FieldProblem, Form, TAX_ID, USA};
use domain::trading::kyc::format::{last_four, masked_tax_id, tax_id_problem, tax_id_type};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::security::sealed::{DataKey, LazyDataKey};

pub use self::answers::KycAnswers;
pub use self::view::{ChoiceView, FieldConfigView, KycFormConfigView, KycFormView};

use self::store::{SealedTaxId, StoredForm};
use crate::kyc_status::Current;
use crate::profile::store::Names;
use crate::{Error, kyc_status, profile};

/// Where the broker shows its disclosures.
const DISCLOSURES_PAGE: &str = "https://apps.drivewealth.com/disclosures";

/// Reads the form and what it asks for.
#[derive(Debug)]
pub struct KycForms {
    database: Database,
    adviser_name: String,
}

platform::from_environment!(KycForms {
    database,
    adviser_name: |environment: &mut Environment| environment.required("ADVISER_NAME"),
});

/// Fills the form in.
#[derive(Debug)]
pub struct KycFormWriter {
    database: Database,
    data_key: LazyDataKey,
    clock: ClockHandle,
}

platform::from_environment!(KycFormWriter {
    database,
    data_key,
    clock
});

impl KycForms {
    /// What the form asks this person for.
    ///
    /// # Errors
    /// Not found for a profile that nobody has brought in.
    pub async fn config(&self, profile: ProfileId) -> Result<KycFormConfigView, Error> {
        let (names, stored) = self
            .database
            .with(async |connection| {
                let names = profile::store::names(connection, profile).await?;
                Ok::<_, Error>((names, store::load(connection, profile).await?))
            })
            .await?;
        let names = names.ok_or(Error::ProfileNotFound)?;
        let fields = FIELDS.iter().map(|field| {
            let proposed = placeholder(field.name, &names);
            FieldConfigView::new(field, &stored.form, proposed)
        });
        Ok(KycFormConfigView {
            fields: fields.collect(),
            disclosures_url: disclosures_url(&stored.form, &self.adviser_name),
        })
    }
}

/// Reads the form.
#[derive(Debug)]
pub struct KycFormReader {
    database: Database,
}

platform::from_environment!(KycFormReader { database });

impl KycFormReader {
    /// The form as it is filled in.
    ///
    /// # Errors
    /// Not found for a profile that nobody has brought in.
    pub async fn get(&self, profile: ProfileId) -> Result<KycFormView, Error> {
        let (current, stored) = self
            .database
            .with(async |connection| {
                let current = kyc_status::store::current(connection, profile).await?;
                Ok::<_, Error>((current, store::load(connection, profile).await?))
            })
            .await?;
        view(&current.ok_or(Error::ProfileNotFound)?, stored)
    }
}

impl KycFormWriter {
    /// Writes the given answers over those that are there. Nothing is written when one of them isn't acceptable, and all
    /// that are wrong are named.
    ///
    /// # Errors
    /// Rejected for answers that aren't acceptable, and while the form is being checked or once it is approved.
    pub async fn put(&self, profile: ProfileId, given: &KycAnswers) -> Result<KycFormView, Error> {
        let now = self.clock.now();
        let key = self.data_key.get().await?;
        let given_form = with_known_type(given.form()?);
        self.database
            .transaction(async |connection| {
                if !profile::store::lock(connection, profile).await? {
                    return Err(Error::ProfileNotFound);
                }
                let current = kyc_status::store::current(connection, profile)
                    .await?
                    .ok_or(Error::ProfileNotFound)?;
                if !current.status().may_be_submitted() {
                    return Err(Error::KycFormLocked {
                        status: current.status(),
                    });
                }
                let stored = store::load(connection, profile).await?;
                let form = stored.form.clone().merged(given_form);
                let new_tax_id = checked_tax_id(given, &stored, &form);
                let mut problems = form.problems(MarketCalendar::business_date(now));
                problems.extend(new_tax_id.as_ref().err().cloned());
                if !problems.is_empty() {
                    return Err(Error::InvalidKycForm(problems));
                }
                let sealed = sealed_tax_id(key, profile, new_tax_id.ok().flatten())?;
                store::save(connection, profile, &form, sealed.as_ref(), now).await?;
                view(&current, store::load(connection, profile).await?)
            })
            .await
    }
}

/// The place for which a profile's tax id is sealed.
pub(crate) fn tax_id_place(profile: ProfileId) -> String {
    format!("kyc_forms.tax_id:{profile}")
}

fn sealed_tax_id(
    key: &DataKey,
    profile: ProfileId,
    tax_id: Option<&str>,
) -> Result<Option<SealedTaxId>, Error> {
    let seal = |value: &str| {
        Ok(SealedTaxId {
            sealed: key.seal(&tax_id_place(profile), value)?,
            last_four: last_four(value),
        })
    };
    tax_id.map(seal).transpose()
}

/// The tax id to keep, if there is another than the one that is kept. What is shown of that changes nothing.
fn checked_tax_id<'a>(
    given: &'a KycAnswers,
    stored: &StoredForm,
    form: &Form,
) -> Result<Option<&'a str>, FieldProblem> {
    let problem = |message: String| FieldProblem {
        field: TAX_ID,
        message,
    };
    let Some(value) = given.tax_id_value.as_deref().map(str::trim) else {
        return Ok(None);
    };
    if value.starts_with('*') {
        let shown = stored.tax_id_last_four.as_deref().map(masked_tax_id);
        return match shown.as_deref() == Some(value) {
            true => Ok(None),
            false => Err(problem(
                "is masked, and not as it is shown; write the whole number".to_owned(),
            )),
        };
    }
    match tax_id_problem(form.text("tax_id_type"), value) {
        Some(message) => Err(problem(message)),
        None => Ok(Some(value)),
    }
}

/// An older name of a type of tax ids means the same.
fn with_known_type(form: Form) -> Form {
    let kind = form.text("tax_id_type").map(tax_id_type).map(str::to_owned);
    match kind {
        Some(kind) => {
            let answer = domain::trading::kyc::form::Answer::Text(kind);
            form.merged(Form::new([("tax_id_type".to_owned(), answer)].into()))
        }
        None => form,
    }
}

fn view(current: &Current, stored: StoredForm) -> Result<KycFormView, Error> {
    let status = current.status();
    let missing = stored.form.missing(stored.tax_id_last_four.is_some());
    Ok(KycFormView {
        form: KycAnswers::of(
            &stored.form,
            stored.tax_id_last_four.as_deref().map(masked_tax_id),
        )?,
        status: status.to_string(),
        is_locked: !status.may_be_submitted(),
        phone_is_verified: stored.phone_is_verified,
        missing: missing
            .into_iter()
            .map(|problem| problem.field.to_owned())
            .collect(),
        updated_at: stored.updated_at,
    })
}

fn placeholder(field: &str, names: &Names) -> Option<String> {
    Some(match field {
        "first_name" => names.first_name.clone(),
        "last_name" => names.last_name.clone(),
        "email_address" => names.email.clone(),
        "country" | "address_country" | "citizenship" => USA.to_owned(),
        "language" => "en_US".to_owned(),
        "politically_exposed_names" => domain::trading::kyc::form::NOBODY.to_owned(),
        "disclosures_signed_by" => format!("{} {}", names.first_name, names.last_name)
            .trim()
            .to_owned(),
        _ => return None,
    })
    .filter(|text: &String| !text.is_empty())
}

/// The page of the broker's disclosures, for this person's citizenship and country.
fn disclosures_url(form: &Form, adviser: &str) -> String {
    let citizenship = form.text("citizenship").unwrap_or(USA);
    let country = form.text("country").unwrap_or(USA);
    let language = form.text("language").unwrap_or("en_US");
    let adviser: String = adviser
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!(
        "{DISCLOSURES_PAGE}?citizenship={citizenship}&country={country}&accountType=Individual&sweepType=bank\
         &lang={language}&tradingType=c&showOnlyTaxDoc=false&ria={adviser}"
    )
}
