//! Dealers as services register them.

use chrono::{DateTime, Utc};
use domain::dealers::requisite::{LegalForm, Requisite, RequisiteFields};
use domain::ids::CmeClientId;
use platform::http::Object;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Error;

/// A dealer to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterDealerRequest {
    /// The dealer as the auction's systems know him: 1 to 64 visible ASCII characters.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^[\x21-\x7E]+$", examples("CME-1001"))]
    pub cme_client_id: CmeClientId,
    /// When he accepted the offer (RFC 3339); not in the future.
    #[serde(deserialize_with = "platform::http::time")]
    pub offer_accepted_at: DateTime<Utc>,
    /// Who he legally is, and his bank account.
    #[schema(value_type = RequisiteRequest)]
    pub requisite: Object<RequisiteRequest>,
}

/// A dealer's requisite. All check digits are checked, and every wrong field is named at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequisiteRequest {
    /// `LEGAL_ENTITY` or `SOLE_PROPRIETOR`.
    #[schema(value_type = String, pattern = "^(LEGAL_ENTITY|SOLE_PROPRIETOR)$", examples("LEGAL_ENTITY"))]
    pub legal_form: LegalForm,
    /// The registered name.
    #[schema(min_length = 1, max_length = 300, examples("ООО «Пример»"))]
    pub name: String,
    /// INN: 10 digits of a company, 12 of a sole proprietor.
    #[schema(pattern = r"^([0-9]{10}|[0-9]{12})$", examples("7707083893"))]
    pub inn: String,
    /// KPP; of companies alone.
    #[schema(pattern = r"^[0-9]{4}[0-9A-Z]{2}[0-9]{3}$", examples("773601001"))]
    pub kpp: Option<String>,
    /// OGRN, 13 digits, of a company; OGRNIP, 15 digits, of a sole proprietor.
    #[schema(pattern = r"^([0-9]{13}|[0-9]{15})$", examples("1027700132195"))]
    pub ogrn: String,
    /// The bank's BIK.
    #[schema(pattern = r"^[0-9]{9}$", examples("044525225"))]
    pub bik: String,
    /// The account there; its key has to fit the BIK.
    #[schema(pattern = r"^[0-9]{20}$", examples("40702810938000000001"))]
    pub settlement_account: String,
    /// The bank's own account; its key has to fit the BIK.
    #[schema(pattern = r"^[0-9]{20}$", examples("30101810400000000225"))]
    pub correspondent_account: String,
    /// The registered address.
    #[schema(
        min_length = 1,
        max_length = 500,
        examples("117312, Москва, улица Примерная, дом 1")
    )]
    pub legal_address: String,
    /// Who signs for the dealer.
    #[schema(min_length = 1, max_length = 200, examples("Генеральный директор"))]
    pub signatory: String,
    /// Where bills are sent.
    #[schema(max_length = 254, examples("bills@example.com"))]
    pub email: String,
    /// In international form.
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$", examples("+74955005550"))]
    pub phone: String,
}

impl std::fmt::Debug for RequisiteRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RequisiteRequest({}, redacted)", self.legal_form)
    }
}

impl RequisiteRequest {
    /// The requisite, whose fields stand below `prefix` in the request.
    pub(super) fn check(self, prefix: &'static str) -> Result<Requisite, Error> {
        let fields = RequisiteFields {
            legal_form: self.legal_form,
            name: self.name,
            inn: self.inn,
            kpp: self.kpp,
            ogrn: self.ogrn,
            bik: self.bik,
            settlement_account: self.settlement_account,
            correspondent_account: self.correspondent_account,
            legal_address: self.legal_address,
            signatory: self.signatory,
            email: self.email,
            phone: self.phone,
        };
        Requisite::new(fields).map_err(|wrong| Error::InvalidRequisite { prefix, wrong })
    }
}
