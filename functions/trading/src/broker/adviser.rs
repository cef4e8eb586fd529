//! What the company is at DriveWealth.

use platform::config::{Environment, FromEnvironment};
use providers::drivewealth::Adviser;

/// The company's own names at DriveWealth.
#[derive(Debug, Clone)]
pub(crate) struct OurAdviser(pub(crate) Adviser);

impl FromEnvironment for OurAdviser {
    /// Reads `DRIVEWEALTH_RIA_USER_ID`, `DRIVEWEALTH_RIA_PRODUCT_ID`, `DRIVEWEALTH_WLP_ID` and `DRIVEWEALTH_PARENT_IBID`.
    fn read(environment: &mut Environment) -> Option<Self> {
        let ria_user_id = environment.required("DRIVEWEALTH_RIA_USER_ID");
        let ria_product_id = environment.required("DRIVEWEALTH_RIA_PRODUCT_ID");
        let wlp_id = environment.required("DRIVEWEALTH_WLP_ID");
        let parent_ibid = environment.required("DRIVEWEALTH_PARENT_IBID");
        Some(Self(Adviser {
            ria_user_id: ria_user_id?,
            ria_product_id: ria_product_id?,
            wlp_id: wlp_id?,
            parent_ibid: parent_ibid?,
        }))
    }
}
