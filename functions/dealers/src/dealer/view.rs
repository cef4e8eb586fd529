//! What callers see of dealers.

use chrono::{DateTime, Utc};
use domain::dealers::CURRENCY;
use domain::dealers::requisite::{Requisite, RequisiteFields};
use domain::ids::{CmeClientId, DealerId};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{AccountFigures, Dealer};

/// A dealer with his accounts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DealerView {
    /// Our id of the dealer.
    #[schema(value_type = i64, minimum = 1)]
    pub dealer_id: DealerId,
    /// The dealer as the auction's systems know him.
    #[schema(value_type = String)]
    pub cme_client_id: CmeClientId,
    /// When he accepted the offer (RFC 3339, UTC).
    pub offer_accepted_at: DateTime<Utc>,
    /// When he was registered (RFC 3339, UTC).
    pub created_at: DateTime<Utc>,
    /// His requisite, masked.
    pub requisite: MaskedRequisite,
    /// Counts up with each change of the requisite.
    #[schema(minimum = 1)]
    pub requisite_version: i32,
    /// His accounts.
    pub accounts: Vec<AccountView>,
}

/// A requisite of which only enough is shown to recognise it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MaskedRequisite {
    /// `LEGAL_ENTITY` or `SOLE_PROPRIETOR`.
    #[schema(examples("LEGAL_ENTITY"))]
    pub legal_form: String,
    /// The registered name.
    pub name: String,
    /// INN.
    #[schema(examples("77***93"))]
    pub inn: String,
    /// KPP; null for a sole proprietor.
    pub kpp: Option<String>,
    /// OGRN or OGRNIP.
    pub ogrn: String,
    /// The bank's BIK.
    pub bik: String,
    /// The account there.
    pub settlement_account: String,
    /// The bank's own account.
    pub correspondent_account: String,
    /// The registered address.
    pub legal_address: String,
    /// Who signs.
    pub signatory: String,
    /// E-mail.
    pub email: String,
    /// Telephone.
    pub phone: String,
}

/// An account of a dealer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountView {
    /// `COMMISSION`, `DEPOSIT` or `SETTLEMENT`.
    #[schema(examples("COMMISSION"))]
    pub account_type: &'static str,
    /// How far Billing knows it: `pending`, `client_made`, `payer_made`, `ready`, or `parked` while a person has to look.
    #[schema(examples("ready"))]
    pub provisioning_status: &'static str,
    /// Whether Billing has the newest requisite.
    pub has_newest_requisite: bool,
    /// What the dealer has paid and doesn't owe, in kopecks.
    #[schema(minimum = 0)]
    pub balance: i64,
    /// What he has to pay on its bills, in kopecks.
    #[schema(minimum = 0)]
    pub owed: i64,
    /// What of it is overdue, in kopecks.
    #[schema(minimum = 0)]
    pub overdue: i64,
    /// ISO 4217.
    #[schema(examples("RUB"))]
    pub currency: &'static str,
}

impl DealerView {
    pub(super) fn new(dealer: Dealer, requisite: &Requisite, accounts: &[AccountFigures]) -> Self {
        let version = dealer.requisite_version;
        Self {
            dealer_id: dealer.id,
            cme_client_id: dealer.cme_client_id,
            offer_accepted_at: dealer.offer_accepted_at,
            created_at: dealer.created_at,
            requisite: requisite.masked().into(),
            requisite_version: version,
            accounts: accounts
                .iter()
                .map(|account| AccountView::new(account, version))
                .collect(),
        }
    }
}

impl AccountView {
    fn new(account: &AccountFigures, version: i32) -> Self {
        Self {
            account_type: account.account_type.name(),
            provisioning_status: account.provisioning_status.name(),
            has_newest_requisite: account.requisite_version == version,
            balance: account.current_balance,
            owed: account.owed,
            overdue: account.overdue,
            currency: CURRENCY.code(),
        }
    }
}

impl From<RequisiteFields> for MaskedRequisite {
    fn from(masked: RequisiteFields) -> Self {
        Self {
            legal_form: masked.legal_form.name().to_owned(),
            name: masked.name,
            inn: masked.inn,
            kpp: masked.kpp,
            ogrn: masked.ogrn,
            bik: masked.bik,
            settlement_account: masked.settlement_account,
            correspondent_account: masked.correspondent_account,
            legal_address: masked.legal_address,
            signatory: masked.signatory,
            email: masked.email,
            phone: masked.phone,
        }
    }
}
