//! Connected accounts: made, looked at, and the way to their onboarding.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::funded::payee::Payability;
use domain::ids::{StripeAccountId, UserId};
use secrecy::SecretString;
use stripe_connect::account::{
    CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers, CreateAccountController,
    CreateAccountControllerFees, CreateAccountControllerFeesPayer, CreateAccountControllerLosses,
    CreateAccountControllerLossesPayments, CreateAccountControllerRequirementCollection,
    CreateAccountControllerStripeDashboard, CreateAccountControllerStripeDashboardType,
    CreateAccountSettings, CreateAccountSettingsPayouts, CreateAccountSettingsPayoutsSchedule,
    CreateAccountSettingsPayoutsScheduleInterval, ListAccount, RetrieveAccount,
};
use stripe_connect::account_link::{CreateAccountLink, CreateAccountLinkType};
use stripe_shared::AccountBusinessType;
use tokio::time::Instant;

use super::objects::{NewPayee, OnboardingLink, OnboardingPages, Payee, PayeeBank};
use crate::outcome::Outcome;
use crate::stripe::answer::{self, Account, List};
use crate::stripe::requests::{CLOCK_MARGIN, MAX_PAGES, PAGE, between, path_id, read, too_many, unreadable};
use crate::stripe::{Stripe, wire};

/// The key of metadata with the person's user.
const USER_ID: &str = "user_id";
/// Whoever pays out by hand.
const MANUAL: &str = "manual";

impl Stripe {
    /// Makes a person's account (`POST /v1/accounts`): Stripe asks for what it needs and shows a small dashboard, we decide
    /// when it is paid. The same key is the same account for [`crate::stripe::KEY_MEMORY`]; later there would be a second one,
    /// so that [`Stripe::find_payee`] comes first.
    pub async fn create_payee(&self, payee: &NewPayee, key: &str, deadline: Instant) -> Outcome<Payee> {
        let request = CreateAccount::new()
            .country(payee.country.as_str())
            .business_type(AccountBusinessType::Individual)
            .controller(controller())
            .capabilities(capabilities())
            .settings(paid_by_hand())
            .metadata(HashMap::from([(USER_ID.to_owned(), payee.user_id.to_string())]));
        read(self.write(&request, key, deadline).await, |response| {
            to_payee(&response.object)
        })
    }

    /// A person's account as it stands. One that isn't connected to ours any more is declined with
    /// [`super::ACCOUNT_INVALID`].
    pub async fn payee(&self, id: &StripeAccountId, deadline: Instant) -> Outcome<Payee> {
        let id = match path_id(id.as_str()) {
            Ok(id) => id,
            Err(failure) => return failure.into(),
        };
        let request = RetrieveAccount::new(id);
        read(self.read(&request, deadline).await, |response| {
            to_payee(&response.object)
        })
    }

    /// Looks for a person's account among those made within a time, by our clock. `Unknown` when there are more than 1000.
    pub async fn find_payee(
        &self,
        user: UserId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        deadline: Instant,
    ) -> Outcome<Option<Payee>> {
        let from = from.checked_sub_signed(CLOCK_MARGIN).unwrap_or(from);
        let until = until.checked_add_signed(CLOCK_MARGIN).unwrap_or(until);
        let mut request = ListAccount::new().created(between(from, until)).limit(PAGE);
        for _ in 0..MAX_PAGES {
            let page: List<Account> = match self.read(&request, deadline).await {
                Ok(response) => response.object,
                Err(failure) => return failure.into(),
            };
            if let Some(account) = page.data.iter().find(|account| user_of(account) == Some(user)) {
                return match to_payee(account) {
                    Ok(payee) => Outcome::Done(Some(payee)),
                    Err(reason) => unreadable(&reason),
                };
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => request = request.starting_after(last.id.as_str()),
                None => return Outcome::Done(None),
            }
        }
        too_many("accounts")
    }

    /// Makes a link to Stripe's page of onboarding (`POST /v1/account_links`); the same key gives the same link.
    pub async fn onboarding_link(
        &self,
        account: &StripeAccountId,
        pages: OnboardingPages<'_>,
        key: &str,
        deadline: Instant,
    ) -> Outcome<OnboardingLink> {
        let request = CreateAccountLink::new(account.as_str(), CreateAccountLinkType::AccountOnboarding)
            .return_url(pages.return_url)
            .refresh_url(pages.refresh_url);
        read(self.write(&request, key, deadline).await, |response| {
            let link: answer::AccountLink = response.object;
            Ok(OnboardingLink {
                expires_at: wire::time(link.expires_at)?,
                url: SecretString::from(link.url),
            })
        })
    }
}

fn controller() -> CreateAccountController {
    let mut fees = CreateAccountControllerFees::new();
    fees.payer = Some(CreateAccountControllerFeesPayer::Application);
    let mut losses = CreateAccountControllerLosses::new();
    losses.payments = Some(CreateAccountControllerLossesPayments::Application);
    let mut dashboard = CreateAccountControllerStripeDashboard::new();
    dashboard.type_ = Some(CreateAccountControllerStripeDashboardType::Express);
    let mut controller = CreateAccountController::new();
    controller.fees = Some(fees);
    controller.losses = Some(losses);
    controller.requirement_collection = Some(CreateAccountControllerRequirementCollection::Stripe);
    controller.stripe_dashboard = Some(dashboard);
    controller
}

fn capabilities() -> CreateAccountCapabilities {
    let mut transfers = CreateAccountCapabilitiesTransfers::new();
    transfers.requested = Some(true);
    let mut capabilities = CreateAccountCapabilities::new();
    capabilities.transfers = Some(transfers);
    capabilities
}

/// Without it Stripe pays out what is there every day, several withdrawals at once and none by its name.
fn paid_by_hand() -> CreateAccountSettings {
    let mut schedule = CreateAccountSettingsPayoutsSchedule::new();
    schedule.interval = Some(CreateAccountSettingsPayoutsScheduleInterval::Manual);
    let mut payouts = CreateAccountSettingsPayouts::new();
    payouts.schedule = Some(schedule);
    let mut settings = CreateAccountSettings::new();
    settings.payouts = Some(payouts);
    settings
}

fn user_of(account: &Account) -> Option<UserId> {
    account.metadata.as_ref()?.get(USER_ID)?.parse().ok()
}

fn to_payee(account: &Account) -> Result<Payee, String> {
    let transfers = account
        .capabilities
        .as_ref()
        .and_then(|all| all.transfers.as_deref());
    let requirements = account.requirements.as_ref();
    let payouts = account
        .settings
        .as_ref()
        .and_then(|settings| settings.payouts.as_ref());
    let disabled_reason = requirements.and_then(|all| all.disabled_reason.clone());
    Ok(Payee {
        id: wire::id(&account.id)?,
        user_id: user_of(account),
        payability: Payability {
            transfers_active: transfers == Some("active"),
            payouts_enabled: account.payouts_enabled == Some(true),
            is_paid_by_hand: payouts.is_some_and(|payouts| payouts.schedule.interval == MANUAL),
            has_bank_account: bank(account)?.is_some(),
            disabled_reason,
        },
        currently_due: requirements
            .and_then(|all| all.currently_due.clone())
            .unwrap_or_default(),
        bank: bank(account)?,
    })
}

/// The bank account that is paid unless another is named.
fn bank(account: &Account) -> Result<Option<PayeeBank>, String> {
    let all = account.external_accounts.iter().flat_map(|all| &all.data);
    let banks = all.filter(|external| external.object == "bank_account");
    let chosen = banks.max_by_key(|bank| bank.default_for_currency == Some(true));
    let read = |bank: &answer::ExternalAccount| {
        Ok(PayeeBank {
            id: wire::id(&bank.id)?,
            last4: bank.last4.clone(),
        })
    };
    chosen.map(read).transpose()
}
