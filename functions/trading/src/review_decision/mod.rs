//! `apply_trading_review`: what an operator has decided, through the same transitions as everything else.

use domain::ids::{AutopilotRunId, DriveWealthPaymentId, DriveWealthUserId, MoneyFlowId, ProfileId};
use platform::clock::ClockHandle;
use platform::review::{Decision, Reviewer, Verdict};
use sqlx::PgConnection;

use crate::events::{self, DepositsResumed};
use crate::money_flow::{Ruled, Ruling, rule};
use crate::review::{
    AUTOPILOT_RUN_OVERDUE, DEPOSITS_SUSPENDED, END_AS_FAILED, END_AS_TRADED, FOREIGN_PAYMENT, KEEP_PAYMENT,
    KEEP_STATUS, KEEP_USER, KYC_SUBMISSION_IN_DOUBT, LINK_PAYMENT, LINK_USER, MONEY_FLOW_IN_DOUBT,
    PAYMENT_ID, RECORD_NOT_MADE, RESUME_DEPOSITS, SECOND_BROKER_USER, SUBMIT_ANEW, USER_ID, payment_of,
};
use crate::{Error, account, foreign_payment, kyc_submission, rebalancing};

/// Applies decisions about money flows, payments without one, suspensions, submissions of the identity check and autopilot runs.
#[derive(Debug)]
pub struct TradingReviewer {
    clock: ClockHandle,
}

platform::from_environment!(TradingReviewer { clock });

impl Reviewer for TradingReviewer {
    type Error = Error;

    async fn apply(&self, connection: &mut PgConnection, decision: &Decision) -> Result<Verdict, Error> {
        match (decision.kind.as_str(), decision.action.as_str()) {
            (MONEY_FLOW_IN_DOUBT, LINK_PAYMENT) => {
                match decision.parameter::<DriveWealthPaymentId>(PAYMENT_ID) {
                    Some(payment) => self.rule(connection, decision, &Ruling::IsPayment(payment)).await,
                    None => Ok(Verdict::CantBeApplied(format!(
                        "{PAYMENT_ID} is no id of a payment at DriveWealth"
                    ))),
                }
            }
            (MONEY_FLOW_IN_DOUBT, RECORD_NOT_MADE) => self.rule(connection, decision, &Ruling::NotMade).await,
            (MONEY_FLOW_IN_DOUBT, KEEP_STATUS) => self.rule(connection, decision, &Ruling::Settled).await,
            (DEPOSITS_SUSPENDED, RESUME_DEPOSITS) => self.resume_deposits(connection, decision).await,
            (KYC_SUBMISSION_IN_DOUBT, LINK_USER) => match decision.parameter::<DriveWealthUserId>(USER_ID) {
                Some(user) => {
                    let ruling = kyc_submission::Ruling::IsUser(user);
                    self.rule_submission(connection, decision, &ruling).await
                }
                None => Ok(Verdict::CantBeApplied(format!(
                    "{USER_ID} is no id of a user at DriveWealth"
                ))),
            },
            (KYC_SUBMISSION_IN_DOUBT, SUBMIT_ANEW) => {
                self.rule_submission(connection, decision, &kyc_submission::Ruling::NotMade)
                    .await
            }
            (AUTOPILOT_RUN_OVERDUE, END_AS_TRADED) => {
                self.rule_run(connection, decision, rebalancing::Ruling::Traded)
                    .await
            }
            (AUTOPILOT_RUN_OVERDUE, END_AS_FAILED) => {
                self.rule_run(connection, decision, rebalancing::Ruling::NotTraded)
                    .await
            }
            (SECOND_BROKER_USER, KEEP_USER) => Ok(Verdict::Applied),
            (FOREIGN_PAYMENT, KEEP_PAYMENT) => self.account_for(connection, decision).await,
            _ => Ok(Verdict::unknown_action(decision)),
        }
    }
}

impl TradingReviewer {
    async fn rule(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
        ruling: &Ruling,
    ) -> Result<Verdict, Error> {
        let Some(flow) = decision.subject_id::<MoneyFlowId>("money-flow") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        Ok(match rule(connection, flow, ruling, self.clock.now()).await? {
            Ruled::Applied => Verdict::Applied,
            Ruled::NotInReview => Verdict::Superseded("the flow doesn't wait for a person any more".to_owned()),
            Ruled::NoSuchPayment => Verdict::CantBeApplied(
                "there is no such payment that belongs to no flow: run reconcile_trading with scope all, then decide again"
                    .to_owned(),
            ),
            Ruled::DoesNotFit => Verdict::CantBeApplied(
                "this fits a flow that is under way, or one that has ended, and this is the other".to_owned(),
            ),
        })
    }

    async fn rule_submission(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
        ruling: &kyc_submission::Ruling,
    ) -> Result<Verdict, Error> {
        let Some(profile) = decision.subject_id::<ProfileId>("profile") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let ruled = kyc_submission::rule(connection, profile, ruling, self.clock.now()).await?;
        Ok(match ruled {
            kyc_submission::Ruled::Applied => Verdict::Applied,
            kyc_submission::Ruled::NotParked => {
                Verdict::Superseded("the submission doesn't wait for a person any more".to_owned())
            }
            kyc_submission::Ruled::UserOfAnother => {
                Verdict::CantBeApplied("this user at DriveWealth is another profile's".to_owned())
            }
        })
    }

    async fn rule_run(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
        ruling: rebalancing::Ruling,
    ) -> Result<Verdict, Error> {
        let Some(run) = decision.subject_id::<AutopilotRunId>("autopilot-run") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let waits = rebalancing::rule(connection, run, ruling, self.clock.now()).await?;
        Ok(match waits {
            true => Verdict::Applied,
            false => Verdict::Superseded("the run has ended".to_owned()),
        })
    }

    async fn account_for(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(payment) = payment_of(&decision.subject) else {
            return Ok(Verdict::unknown_subject(decision));
        };
        let now = self.clock.now();
        Ok(
            match foreign_payment::account_for(connection, &payment, now).await? {
                true => Verdict::Applied,
                false => Verdict::Superseded("the payment belongs to a flow".to_owned()),
            },
        )
    }

    async fn resume_deposits(
        &self,
        connection: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Verdict, Error> {
        let Some(profile) = decision.subject_id::<ProfileId>("profile") else {
            return Ok(Verdict::unknown_subject(decision));
        };
        if !account::store::resume_deposits(connection, profile).await? {
            return Ok(Verdict::Superseded("deposits are not suspended".to_owned()));
        }
        let resumed = DepositsResumed {
            profile_id: profile,
            reason: events::DEPOSIT_RETURNED.to_owned(),
        };
        events::publish_deposits_resumed(connection, self.clock.now(), resumed).await?;
        Ok(Verdict::Applied)
    }
}
