//! Proving a phone number by a code: sent by SMS, good once, for five minutes and five tries.

mod store;
mod view;

use domain::ids::{PhoneVerificationId, ProfileId};
use domain::trading::kyc::format::phone_problem;
use domain::trading::kyc::phone::{
    CODE_DIGITS, CODE_LIFETIME, CODES_WINDOW, MAX_CODES, PAUSE_BETWEEN_CODES, Try, wait_for_next,
};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::security::sealed::{DataKey, LazyDataKey};
use providers::outcome::{Outcome, ProviderError};
use providers::sms;
use rand::Rng;
use serde::Deserialize;
use utoipa::ToSchema;

pub use self::view::{PhoneCodeView, VerifiedPhoneView};

use crate::{Error, profile};

/// The name of the one who sends texts, in errors and logs.
const PARTY: &str = "SNS";

/// A phone to send a code to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendPhoneCodeRequest {
    /// The number, as `+1` and ten digits.
    #[schema(examples("+12025550123"))]
    pub phone_number: String,
}

/// A code as somebody has read it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyPhoneCodeRequest {
    /// The number that it was sent to.
    #[schema(examples("+12025550123"))]
    pub phone_number: String,
    /// Its six digits.
    #[schema(examples("042137"))]
    pub code: String,
}

/// Sends codes.
#[derive(Debug)]
pub struct PhoneCodes {
    database: Database,
    data_key: LazyDataKey,
    clock: ClockHandle,
    app_name: String,
}

platform::from_environment!(PhoneCodes {
    database,
    data_key,
    clock,
    app_name: |environment: &mut platform::config::Environment| environment.required("APP_NAME"),
});

/// Takes codes back.
#[derive(Debug)]
pub struct PhoneCodeChecks {
    database: Database,
    data_key: LazyDataKey,
    clock: ClockHandle,
}

platform::from_environment!(PhoneCodeChecks {
    database,
    data_key,
    clock
});

impl PhoneCodes {
    /// Sends a code to a phone. It is written down before it leaves, so that a message whose response is lost can be used
    /// all the same.
    ///
    /// # Errors
    /// Rejected for a number that can't be one or can't be reached, and when the last code is too young; transient when
    /// nothing can be sent now.
    pub async fn send(
        &self,
        profile: ProfileId,
        request: &SendPhoneCodeRequest,
        deadline: Deadline,
    ) -> Result<PhoneCodeView, Error> {
        let number = checked_number(&request.phone_number)?;
        let code = new_code();
        let sealed = self.data_key.get().await?.seal(&code_place(profile), &code)?;
        let now = self.clock.now();
        let id = self
            .database
            .transaction(async |connection| {
                if !profile::store::lock(connection, profile).await? {
                    return Err(Error::ProfileNotFound);
                }
                let recent = store::recent(connection, profile, now - CODES_WINDOW, MAX_CODES).await?;
                let wait = wait_for_next(recent.last, recent.oldest, now);
                if !wait.is_zero() {
                    return Err(Error::PhoneCodeTooSoon {
                        seconds: wait.num_seconds().max(1),
                    });
                }
                store::insert(connection, profile, &number, &sealed, now).await
            })
            .await?;
        self.hand_over(id, &number, &code, deadline).await?;
        Ok(PhoneCodeView {
            phone_number: number,
            expires_at: now + CODE_LIFETIME,
            next_code_at: now + PAUSE_BETWEEN_CODES,
        })
    }

    async fn hand_over(
        &self,
        id: PhoneVerificationId,
        number: &str,
        code: &str,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let text = format!(
            "{code} is your code for {}. It is good for 5 minutes. Nobody of us will ask you for it.",
            self.app_name
        );
        let client = platform::aws::sns().await;
        match sms::send(client, number, &text, deadline.instant()).await {
            Outcome::Done(()) => Ok(()),
            Outcome::Unknown(reason) => {
                tracing::warn!(phone_verification_id = %id, %reason, "sending a code had no known outcome");
                Ok(())
            }
            Outcome::Declined(decline) if sms::is_number_refused(&decline) => Err(Error::PhoneNotReachable),
            Outcome::Declined(decline) => Err(ProviderError::refused(PARTY, decline).into()),
            Outcome::Retryable(reason) => {
                // It never left, so that the next one need not wait for it.
                self.database
                    .with(async |connection| store::delete(connection, id).await)
                    .await?;
                Err(ProviderError::unavailable(PARTY, &reason).into())
            }
        }
    }
}

impl PhoneCodeChecks {
    /// Takes a code back: the number is proved when it is the newest one that was sent to it.
    ///
    /// # Errors
    /// Rejected for any other code, and one that is too old, used, or was tried too often.
    pub async fn verify(
        &self,
        profile: ProfileId,
        request: &VerifyPhoneCodeRequest,
    ) -> Result<VerifiedPhoneView, Error> {
        let number = checked_number(&request.phone_number)?;
        let key = self.data_key.get().await?;
        let now = self.clock.now();
        let tried = self
            .database
            .transaction(async |connection| {
                let Some(sent) = store::lock_newest(connection, profile, &number).await? else {
                    return Err(Error::PhoneCodeNotSent);
                };
                let is_right = is_code(key, profile, &sent.code_sealed, &request.code)?;
                let tried = sent.sent.tried(is_right, now);
                match tried {
                    Try::Right => store::set_verified(connection, sent.id, now).await?,
                    Try::Wrong { .. } => store::count_try(connection, sent.id).await?,
                    Try::Expired | Try::Used | Try::Exhausted => {}
                }
                // A wrong try is no error yet, so that it is counted.
                Ok(tried)
            })
            .await?;
        match tried {
            Try::Right => Ok(VerifiedPhoneView {
                phone_number: number,
                verified_at: now,
            }),
            refused => Err(Error::PhoneCodeRefused(refused)),
        }
    }
}

fn is_code(key: &DataKey, profile: ProfileId, sealed: &[u8], given: &str) -> Result<bool, Error> {
    Ok(key.open(&code_place(profile), sealed)? == given.trim())
}

fn code_place(profile: ProfileId) -> String {
    format!("phone_verifications.code:{profile}")
}

fn checked_number(text: &str) -> Result<String, Error> {
    let number = text.trim();
    match phone_problem(number) {
        None => Ok(number.to_owned()),
        Some(message) => Err(Error::InvalidValue {
            field: "phone_number",
            message,
        }),
    }
}

fn new_code() -> String {
    let mut random = rand::rng();
    (0..CODE_DIGITS)
        .map(|_| char::from(b'0' + random.random_range(0..10_u8)))
        .collect()
}
