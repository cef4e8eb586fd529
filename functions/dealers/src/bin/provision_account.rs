//! Queue `account-provisioning`: makes a dealer's account in Billing, client → payer → contract, and sends a changed requisite
//! on.

use std::process::ExitCode;

use dealers::Error;
use dealers::account::{Provisioner, ProvisioningMessage};
use platform::deadline::Deadline;
use platform::entry::queue::{self, QueueConsumer};

struct ProvisionAccount;

impl QueueConsumer for ProvisionAccount {
    type UseCase = Provisioner;
    type Message = ProvisioningMessage;
    type Error = Error;

    async fn handle(
        provisioner: &Provisioner,
        message: ProvisioningMessage,
        deadline: Deadline,
    ) -> Result<(), Error> {
        provisioner.provision(message.data, deadline).await
    }
}

fn main() -> ExitCode {
    queue::serve::<ProvisionAccount>()
}
