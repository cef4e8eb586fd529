//! Submitting the form to the broker: once, however often and by how many it is asked for at the same time.
//!
//! Intend, call, record: the submission is written down under the profile's lock, with a lease for whoever asks the broker;
//! the broker is asked under a key made from the submission's number; what it says is recorded. A submission whose answer
//! was lost keeps its number, and the form stays as it is, so that the same request is made again until the broker's answer is
//! known; the key leads to the first one. Corrected answers are another submission, with another key.

mod ruling;
mod store;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{DriveWealthUserId, ProfileId};
use domain::trading::kyc::form::{FieldProblem, Form};
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::deadline::Deadline;
use platform::error::chain;
use platform::observability::metrics;
use platform::security::sealed::LazyDataKey;
use providers::drivewealth::{BrokerUser, KEY_MEMORY, Person};
use providers::outcome::{Outcome, ProviderError};
use secrecy::SecretString;
use sqlx::PgConnection;

pub(crate) use self::ruling::{Ruled, Ruling, rule};
use self::store::{LastSubmission, NewSubmission};
use crate::broker::{Broker, OurAdviser, PARTY};
use crate::kyc_status::KycStatusView;
use crate::onboarding::{self, Onboarding};
use crate::{Error, kyc_form, kyc_status, profile, review};

/// A lease ends this long after the call's own deadline.
const LEASE_RESERVE: TimeDelta = TimeDelta::seconds(3);
/// A submission whose answer was lost is looked up after this.
const LOOKUP_PAUSE: TimeDelta = TimeDelta::minutes(5);
/// The broker's memory of a key isn't used to its last minute.
const KEY_RESERVE: TimeDelta = TimeDelta::hours(1);
/// The most submissions that one run looks up.
const MAX_LOOKUPS: u32 = 1_000;
/// A run ends by itself when less than this is left.
const RESERVE: Duration = Duration::from_secs(15);

/// Submits forms.
#[derive(Debug)]
pub struct KycSubmissions {
    database: Database,
    broker: Broker,
    adviser: OurAdviser,
    data_key: LazyDataKey,
    onboarding: Onboarding,
    clock: ClockHandle,
}

platform::from_environment!(KycSubmissions {
    database,
    broker,
    adviser,
    data_key,
    onboarding,
    clock
});

/// What there is to do.
enum Claim {
    /// To make a submission, which nobody else makes at the same time.
    Ours(Claimed),
    /// Nothing: the last one has come to its end.
    Settled,
    /// The last one's answer was lost for too long: a person has to look.
    Parked,
}

/// A submission that this instance has the right to make.
struct Claimed {
    submission: i32,
    /// Whether it was tried before, and the answer lost.
    is_repeated: bool,
    form: Form,
    tax_id_sealed: Vec<u8>,
    /// The user to correct; none when the broker has to make one.
    user: Option<DriveWealthUserId>,
}

impl KycSubmissions {
    /// Submits the form, and takes the person as far as they come now.
    ///
    /// # Errors
    /// Rejected for a form that isn't whole, is being checked or approved, or that the broker doesn't take; transient when
    /// the broker surely hasn't got it.
    pub async fn submit(&self, profile: ProfileId, deadline: Deadline) -> Result<KycStatusView, Error> {
        let now = self.clock.now();
        let lease = now + until(deadline) + LEASE_RESERVE;
        let claimed = self
            .database
            .transaction(async |connection| claim(connection, profile, now, lease).await)
            .await?;
        match claimed {
            Claim::Ours(claimed) => self.send(profile, claimed, deadline).await?,
            Claim::Settled => {}
            Claim::Parked => {
                tracing::error!(profile_id = %profile, "a form's submission stayed without an answer for too long");
                return Err(Error::KycUnderReview);
            }
        }
        self.database
            .with(async |connection| kyc_status::load_view(connection, profile).await)
            .await
    }

    /// Finishes submissions whose answer was lost; gives how many there were, and how many failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_open(&self, deadline: Deadline) -> Result<(u32, u32), Error> {
        let (mut taken, mut failed) = (0, 0);
        while taken < MAX_LOOKUPS && deadline.left() >= RESERVE {
            let now = self.clock.now();
            let open = self
                .database
                .with(async |connection| store::next_open(connection, now - LOOKUP_PAUSE).await)
                .await?;
            let Some(profile) = open else { break };
            taken += 1;
            if let Err(error) = self.submit(profile, deadline).await {
                tracing::warn!(profile_id = %profile, error = chain(&error), "finishing a submission failed");
                failed += 1;
            }
        }
        Ok((taken, failed))
    }

    async fn send(&self, profile: ProfileId, claimed: Claimed, deadline: Deadline) -> Result<(), Error> {
        let key = self.data_key.get().await?;
        let tax_id = SecretString::from(key.open(&kyc_form::tax_id_place(profile), &claimed.tax_id_sealed)?);
        let person = Person {
            form: &claimed.form,
            tax_id: &tax_id,
        };
        let client = self.broker.client().await?;
        let outcome = match &claimed.user {
            Some(user) => client.update_user(user, &person, deadline.instant()).await,
            None => {
                let key = onboarding::key("user", &format!("{profile}-{}", claimed.submission));
                let adviser = &self.adviser.0;
                client
                    .create_user(&person, adviser, key, deadline.instant())
                    .await
            }
        };
        let Some(user) = self.record(profile, &claimed, outcome).await? else {
            return Ok(());
        };
        // What is left is taken on by an event, or in some minutes.
        if let Err(error) = self.onboarding.advance(&user, deadline).await {
            tracing::warn!(profile_id = %profile, error = chain(&error), "taking a new user on failed");
        }
        Ok(())
    }

    /// Records what the broker says; gives the user, where it is known.
    async fn record(
        &self,
        profile: ProfileId,
        claimed: &Claimed,
        outcome: Outcome<BrokerUser>,
    ) -> Result<Option<DriveWealthUserId>, Error> {
        let now = self.clock.now();
        let (state, asked_until) = match &outcome {
            Outcome::Done(_) => ("sent", None),
            // The key leads to the broker's first answer, so that a refusal is one of the first attempt too.
            Outcome::Declined(_) => ("refused", None),
            // Surely not taken: the form is free again, unless an earlier attempt may have been.
            Outcome::Retryable(_) if !claimed.is_repeated => ("refused", None),
            Outcome::Retryable(_) | Outcome::Unknown(_) => ("intended", Some(now)),
        };
        let user = self
            .database
            .transaction(async |connection| {
                profile::store::lock(connection, profile).await?;
                store::set_state(connection, profile, claimed.submission, state, asked_until).await?;
                match &outcome {
                    Outcome::Done(made) => {
                        let known = store::save_user(connection, profile, made, now).await?;
                        if known != made.id {
                            review::second_broker_user(connection, profile, &known, &made.id, now).await?;
                        }
                        Ok(Some(known))
                    }
                    _ => Ok::<_, Error>(None),
                }
            })
            .await?;
        match outcome {
            Outcome::Done(made) => {
                if user.as_ref() != Some(&made.id) {
                    tracing::error!(profile_id = %profile, drivewealth_user_id = %made.id, "the broker has a second user");
                }
                Ok(user)
            }
            Outcome::Unknown(reason) => {
                tracing::warn!(profile_id = %profile, %reason, "submitting a form had no known outcome");
                metrics::count("UnknownOutcomes", 1);
                Ok(None)
            }
            Outcome::Declined(decline) => {
                tracing::warn!(profile_id = %profile, code = decline.code, status = decline.status, "the broker refused a form");
                Err(Error::KycFormRefused { code: decline.code })
            }
            Outcome::Retryable(reason) => Err(ProviderError::unavailable(PARTY, &reason).into()),
        }
    }
}

/// Takes the right to make a submission.
async fn claim(
    connection: &mut PgConnection,
    profile: ProfileId,
    now: DateTime<Utc>,
    lease: DateTime<Utc>,
) -> Result<Claim, Error> {
    if !profile::store::lock(connection, profile).await? {
        return Err(Error::ProfileNotFound);
    }
    let current = kyc_status::store::current(connection, profile)
        .await?
        .ok_or(Error::ProfileNotFound)?;
    let stored = kyc_form::store::load(connection, profile).await?;
    let last = store::last(connection, profile).await?;
    let open = last.as_ref().filter(|last| last.state == "intended");
    let submission = match open {
        Some(open) if open.asked_until.is_some_and(|until| until > now) => {
            return Err(Error::KycSubmissionInFlight);
        }
        // The verdict has come before the answer.
        Some(open) if stored.tax_id_sealed.is_none() => {
            store::set_state(connection, profile, open.submission, "sent", None).await?;
            return Ok(Claim::Settled);
        }
        Some(open) if is_too_old(open, now) => {
            store::set_state(connection, profile, open.submission, "parked", None).await?;
            review::kyc_submission(connection, profile, open.submission, open.submitted_at, now).await?;
            return Ok(Claim::Parked);
        }
        Some(open) => {
            store::take_lease(connection, profile, lease).await?;
            open.submission
        }
        None => {
            let before = last.as_ref().map_or(0, |last| last.submission);
            if last.as_ref().is_some_and(|last| last.state == "parked") {
                return Err(Error::KycUnderReview);
            }
            if !current.status().may_be_submitted() {
                return Err(Error::KycFormLocked {
                    status: current.status(),
                });
            }
            check_whole(&stored)?;
            let new = NewSubmission {
                submission: before.saturating_add(1),
                submitted_at: now,
                status_before: current.newest.as_ref().map(|(id, _)| *id),
                asked_until: lease,
            };
            store::intend(connection, profile, &new).await?;
            new.submission
        }
    };
    let is_repeated = open.is_some();
    Ok(Claim::Ours(Claimed {
        submission,
        is_repeated,
        form: stored.form,
        tax_id_sealed: stored.tax_id_sealed.unwrap_or_default(),
        user: last.and_then(|last| last.user),
    }))
}

/// Whether the broker may have forgotten the key under which the user was to be made.
fn is_too_old(open: &LastSubmission, now: DateTime<Utc>) -> bool {
    open.user.is_none()
        && open
            .submitted_at
            .is_some_and(|at| now - at > KEY_MEMORY - KEY_RESERVE)
}

fn check_whole(stored: &kyc_form::store::StoredForm) -> Result<(), Error> {
    let mut missing = stored.form.missing(stored.tax_id_sealed.is_some());
    if !stored.phone_is_verified && stored.form.text("phone_number").is_some() {
        missing.push(FieldProblem {
            field: "phone_number",
            message: "has to be proved by a code".to_owned(),
        });
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::IncompleteKycForm(missing)),
    }
}

fn until(deadline: Deadline) -> TimeDelta {
    TimeDelta::from_std(deadline.left()).unwrap_or(LOOKUP_PAUSE)
}
