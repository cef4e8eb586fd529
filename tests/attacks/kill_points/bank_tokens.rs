//! The renewal of a bank token that has died at the broker, killed at its points: one bank account takes the place of the
//! old one, and the deposit that met it is made once.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::ensure;
use end_to_end::{Answer, Fixture, Result, Tester, ensure_eq, send_until_answered, wire::Wire};
use local_cloud::sandboxes::drivewealth::Decline;
use uuid::Uuid;

use crate::sweep::{Run, Start, sweep};
use crate::{CENTS, Kind};

/// A customer whose bank token has died, and the key of a deposit.
type Sample = (Tester, String);

/// Sends the deposit again for as long as its function dies on the way.
async fn deposited((tester, key): &Sample) -> Result<Answer> {
    loop {
        let send = async || Kind::Deposit.request(tester, key).await;
        let answer = send_until_answered("a deposit", send).await?;
        if answer.status != 500 {
            return Ok(answer);
        }
    }
}

pub(crate) async fn killed_renewal_of_a_bank_token_makes_one_bank_account(fixture: Arc<Fixture>) -> Result {
    let drivewealth = fixture.cloud.drivewealth();
    let wire = Wire::attach(&fixture, Kind::Deposit.function(), Kind::Deposit.backends()).await?;
    let prepare = async || {
        let tester = fixture.customer().await?;
        let dead = &tester.customer.drivewealth_bank_account_id;
        drivewealth.decline_bank_account(dead, Decline::TokenInvalid);
        Ok((tester, Uuid::new_v4().to_string()))
    };
    let [made, in_doubt] = [Cell::new(0), Cell::new(0)];
    let check = async |run: &Run<Sample, Answer>| {
        let (tester, point, status) = (&run.sample.0, run.point(), run.outcome.status);
        let new = drivewealth.bank_accounts_of(&tester.customer.drivewealth_user_id);
        let deposits = fixture.deposits_of(tester);
        let tokens = fixture
            .cloud
            .plaid()
            .processor_tokens(&tester.customer.plaid_account_id);
        // Plaid doesn't list tokens: one whose answer was lost is made again, and never used.
        let most = if run.killed.is_some() { 2 } else { 1 };
        ensure!(tokens <= most, "{tokens} tokens, killed {point}");
        if status == 201 {
            made.set(made.get() + 1);
            let used: Vec<_> = deposits.iter().map(|one| one.bank_account_id.clone()).collect();
            let new: Vec<_> = new.into_iter().map(|one| Some(one.id)).collect();
            ensure!(
                used.len() == 1 && used == new && deposits[0].amount_cents == CENTS,
                "{deposits:?} from {new:?}, killed {point}"
            );
            return Ok(());
        }
        // Where an attempt may have gone through, a refusal says nothing: nobody moves money on it.
        ensure!(
            status == 202 && run.killed.is_some(),
            "killed {point}: {}",
            run.outcome.text
        );
        in_doubt.set(in_doubt.get() + 1);
        ensure!(
            new.is_empty() && deposits.is_empty(),
            "{deposits:?} from {new:?}, killed {point}"
        );
        Ok(())
    };
    let runs = sweep(&fixture, &wire, Start::Cold, prepare, deposited, check).await?;
    wire.detach(&fixture).await?;
    ensure!(
        made.get() > 1 && in_doubt.get() > 0,
        "{} were made and {} are in doubt: all points lie on one side",
        made.get(),
        in_doubt.get()
    );
    for Run {
        sample: (tester, _), ..
    } in runs
    {
        // The next deposit meets no dead token, or renews it.
        tester.deposit(CENTS).await?.expect(201)?;
        let new = drivewealth.bank_accounts_of(&tester.customer.drivewealth_user_id);
        ensure_eq!(new.len(), 1, "bank accounts that were linked anew");
    }
    Ok(())
}
