//! Whom we pay: a trader's account at Stripe, made once, and filled in by the trader on Stripe's own page.

pub(crate) mod store;
pub mod view;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{StripeAccountId, UserId};
use platform::clock::ClockHandle;
use platform::config::Environment;
use platform::database::Database;
use platform::deadline::Deadline;
use providers::outcome::{Outcome, ProviderError};
use providers::stripe::RESOURCE_MISSING;
use providers::stripe::connect::{
    ACCOUNT_INVALID, COUNTRY_UNSUPPORTED, NewPayee, OnboardingLink, OnboardingPages, Payee,
};
use uuid::Uuid;

use crate::Error;
use crate::processor::{Processor, STRIPE};
use store::{Intended, KnownPayee};
use view::{PayoutAccountLinkView, PayoutAccountView};

/// What Stripe said is taken for true so long while the account isn't ready; its event may have been lost.
const TRUE_FOR: TimeDelta = TimeDelta::seconds(10);
/// Of how long the accounts are looked through at once.
const LOOKS_THROUGH: TimeDelta = TimeDelta::days(1);

/// Traders' accounts at Stripe.
#[derive(Debug)]
pub struct Payees {
    database: Database,
    processor: Processor,
    clock: ClockHandle,
}

platform::from_environment!(Payees {
    database,
    processor,
    clock,
});

impl Payees {
    /// How far the trader is. While the account isn't ready Stripe is asked anew; what was known is shown where Stripe can't
    /// be reached.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self, user: UserId, deadline: Deadline) -> Result<PayoutAccountView, Error> {
        let known = self.known(user).await?;
        let Some(payee) = known else {
            return Ok(PayoutAccountView::not_started());
        };
        let is_true = payee.as_of.is_some_and(|at| self.clock.now() - at < TRUE_FOR);
        if let Some(account) = payee.account.as_ref().filter(|_| !is_true && !payee.is_ready()) {
            if let Err(error) = self.refresh(account, deadline).await {
                tracing::warn!(%error, "showing what Stripe said before");
            }
            let fresh = self.known(user).await?;
            return Ok(PayoutAccountView::from(&fresh.unwrap_or(payee)));
        }
        Ok(PayoutAccountView::from(&payee))
    }

    async fn known(&self, user: UserId) -> Result<Option<KnownPayee>, Error> {
        self.database
            .with(async |connection| store::find(connection, user).await)
            .await
    }

    /// Asks Stripe how an account stands, and records it; one that is ours no more leaves its trader without.
    pub(crate) async fn refresh(&self, account: &StripeAccountId, deadline: Deadline) -> Result<(), Error> {
        // Before it is asked: an answer that was overtaken must not count as the newer one.
        let asked_at = self.clock.now();
        let connected = self.processor.connect().await?;
        let payee = match connected.client.payee(account, deadline.instant()).await {
            Outcome::Declined(decline) if is_gone(&decline.code) => return self.let_go(account).await,
            other => other.done(STRIPE)?,
        };
        self.record(&payee, asked_at).await
    }

    async fn record(&self, payee: &Payee, asked_at: DateTime<Utc>) -> Result<(), Error> {
        self.database
            .with(async |connection| store::record(connection, payee, asked_at).await)
            .await
    }

    async fn let_go(&self, account: &StripeAccountId) -> Result<(), Error> {
        tracing::warn!(%account, "a trader's account isn't connected to ours any more");
        self.database
            .with(async |connection| store::let_go(connection, account, self.clock.now()).await)
            .await
    }
}

/// Makes the way to Stripe's page.
#[derive(Debug)]
pub struct Onboarding {
    payees: Payees,
    /// The app's page about payouts, where Stripe leads back.
    page: String,
}

platform::from_environment!(Onboarding {
    payees,
    page: |environment: &mut Environment| environment.required("PAYOUT_PAGE_URL"),
});

impl Onboarding {
    /// A new link to Stripe's page for the trader, whose account is made first where there is none.
    ///
    /// # Errors
    /// Not found for a user who never took an assessment; a conflict where Stripe pays nobody in the trader's country.
    pub async fn link(&self, user: UserId, deadline: Deadline) -> Result<PayoutAccountLinkView, Error> {
        let account = self.account(user, deadline).await?;
        if let Some(link) = self.link_of(&account, deadline).await? {
            return Ok(PayoutAccountLinkView::from(&link));
        }
        self.payees.let_go(&account).await?;
        let account = self.account(user, deadline).await?;
        let link = self.link_of(&account, deadline).await?;
        let link = link.ok_or_else(|| ProviderError::unavailable(STRIPE, &"a new account isn't there"))?;
        Ok(PayoutAccountLinkView::from(&link))
    }

    /// `None` when the account isn't connected to ours any more. Each link is a new one: it is a secret, which we don't keep.
    async fn link_of(
        &self,
        account: &StripeAccountId,
        deadline: Deadline,
    ) -> Result<Option<OnboardingLink>, Error> {
        let (back, again) = (
            format!("{}?from=stripe", self.page),
            format!("{}?from=expired-link", self.page),
        );
        let pages = OnboardingPages {
            return_url: &back,
            refresh_url: &again,
        };
        let key = format!("onboarding-{}", Uuid::new_v4());
        let connected = self.payees.processor.connect().await?;
        let link = connected
            .client
            .onboarding_link(account, pages, &key, deadline.instant());
        match link.await {
            Outcome::Declined(decline) if is_gone(&decline.code) => Ok(None),
            other => Ok(Some(other.done(STRIPE)?)),
        }
    }

    /// The trader's account. Concurrent requests call Stripe under the same key, so that it makes one and gives it to all.
    async fn account(&self, user: UserId, deadline: Deadline) -> Result<StripeAccountId, Error> {
        let payees = &self.payees;
        let now = payees.clock.now();
        let intended = payees
            .database
            .transaction(async |connection| store::intend(connection, user, now).await)
            .await?;
        let intended = intended.ok_or(Error::TraderNotFound)?;
        if let Some(account) = intended.account {
            return Ok(account);
        }
        let payee = self.make(user, &intended, now, deadline).await?;
        payees
            .database
            .transaction(async |connection| {
                store::set_account(connection, user, intended.number, &payee.id).await?;
                store::record(connection, &payee, now).await
            })
            .await?;
        Ok(payee.id)
    }

    /// Makes the account. Where it was asked for before, and the answer may have been lost, it is looked for first: Stripe
    /// repeats its first answer to a key, a failure too, so that each hour has a key of its own.
    async fn make(
        &self,
        user: UserId,
        intended: &Intended,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Payee, Error> {
        if !intended.is_new
            && let Some(payee) = self.find(user, intended, now, deadline).await?
        {
            return Ok(payee);
        }
        let connected = self.payees.processor.connect().await?;
        let new = NewPayee {
            user_id: user,
            country: intended.country.clone(),
        };
        let hours = now.signed_duration_since(intended.requested_at).num_hours();
        let key = format!("payee-{user}-{}-{hours}", intended.number);
        let made = connected.client.create_payee(&new, &key, deadline.instant());
        match made.await {
            Outcome::Declined(decline) if decline.code == COUNTRY_UNSUPPORTED => {
                Err(Error::CountryNotSupported(intended.country.clone()))
            }
            other => Ok(other.done(STRIPE)?),
        }
    }

    /// Looks for an account whose answer was lost, among the accounts that were made in a day at a time: all since it was asked
    /// for first become more than can be listed. A day that is over has no more accounts to come, and isn't looked through again.
    async fn find(
        &self,
        user: UserId,
        intended: &Intended,
        now: DateTime<Utc>,
        deadline: Deadline,
    ) -> Result<Option<Payee>, Error> {
        let connected = self.payees.processor.connect().await?;
        let mut from = intended.looked_until;
        loop {
            let until = from + LOOKS_THROUGH;
            let found = connected.client.find_payee(user, from, until, deadline.instant());
            let found = found.await.done(STRIPE)?;
            if found.is_some() || until > now {
                return Ok(found);
            }
            self.payees
                .database
                .with(async |connection| {
                    store::set_looked_until(connection, user, intended.number, until).await
                })
                .await?;
            from = until;
        }
    }
}

/// Whether a refusal says that the account isn't connected to ours.
fn is_gone(code: &str) -> bool {
    code == ACCOUNT_INVALID || code == RESOURCE_MISSING
}
