//! What of trading waits for a person: the reviews that are opened here. What a decision does is in
//! [`review_decision`](crate::review_decision).

use chrono::{DateTime, Utc};
use domain::currency::Currency;
use domain::ids::{
    AutopilotRunId, DriveWealthPaymentId, DriveWealthRunId, DriveWealthUserId, MoneyFlowId, ProfileId,
};
use domain::money::Money;
use domain::trading::money_flow::Direction;
use platform::review::{self, Action, Evidence, NewReview, Parameter, Subject};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::Error;

/// The area, as its queue of decisions names it.
const AREA: &str = "trading";

/// Nobody knows what became of a flow, or the broker contradicts our record or itself.
pub(crate) const MONEY_FLOW_IN_DOUBT: &str = "money-flow-in-doubt";
/// A profile's deposits are suspended because the bank took one back.
pub(crate) const DEPOSITS_SUSPENDED: &str = "deposits-suspended";
/// A form of the identity check was submitted, and the broker's answer stayed missing.
pub(crate) const KYC_SUBMISSION_IN_DOUBT: &str = "kyc-submission-in-doubt";
/// The broker has two users of one profile.
pub(crate) const SECOND_BROKER_USER: &str = "second-broker-user";
/// An autopilot run has no end.
pub(crate) const AUTOPILOT_RUN_OVERDUE: &str = "autopilot-run-overdue";

/// The broker has a payment that no flow of ours made.
pub(crate) const FOREIGN_PAYMENT: &str = "foreign-payment";

/// The payment belongs to no flow, and is accounted for.
pub(crate) const KEEP_PAYMENT: &str = "keep-payment";
/// The flow is a payment of the broker's.
pub(crate) const LINK_PAYMENT: &str = "link-payment";
/// The broker never made it.
pub(crate) const RECORD_NOT_MADE: &str = "record-not-made";
/// It is settled with the broker.
pub(crate) const KEEP_STATUS: &str = "keep-status";
/// The profile may deposit again.
pub(crate) const RESUME_DEPOSITS: &str = "resume-deposits";
/// The run is over, and has traded.
pub(crate) const END_AS_TRADED: &str = "end-as-traded";
/// The run is over, and has traded nothing.
pub(crate) const END_AS_FAILED: &str = "end-as-failed";
/// The broker has no user of the person: the form is submitted anew.
pub(crate) const SUBMIT_ANEW: &str = "submit-anew";
/// The broker has the person's user.
pub(crate) const LINK_USER: &str = "link-user";
/// The other user is closed.
pub(crate) const KEEP_USER: &str = "keep-user";
/// The broker's id of a user.
pub(crate) const USER_ID: &str = "user_id";
/// The broker's id of a payment.
pub(crate) const PAYMENT_ID: &str = "payment_id";

const LINK_PARAMETERS: &[Parameter] = &[Parameter::new(
    PAYMENT_ID,
    "DriveWealth's id of the payment; when we have no such payment yet, run reconcile_trading with {\"scope\":\"all\"} first",
)];
const OPEN_FLOW_ACTIONS: &[Action] = &[
    Action::with(
        LINK_PAYMENT,
        "It is there: this deposit or redemption of DriveWealth's is the flow. The next look-up finishes it.",
        LINK_PARAMETERS,
    ),
    Action::new(
        RECORD_NOT_MADE,
        "It is not there, and DriveWealth confirms that it won't come: the flow has failed, and its customer is told.",
    ),
];
const ENDED_FLOW_ACTIONS: &[Action] = &[Action::new(
    KEEP_STATUS,
    "It is settled with DriveWealth, and the flow stays as it is: nobody is told.",
)];
const SUSPENSION_ACTIONS: &[Action] = &[Action::new(
    RESUME_DEPOSITS,
    "The profile may deposit again, and is told so.",
)];

const FOREIGN_ACTIONS: &[Action] = &[Action::new(
    KEEP_PAYMENT,
    "It was made by hand at DriveWealth, and is accounted for: it stays without a flow, and isn't reported again. If it is a flow \
     of ours instead, that flow's review links it.",
)];

const USER_PARAMETERS: &[Parameter] = &[Parameter::new(USER_ID, "DriveWealth's id of the user")];
const SUBMISSION_ACTIONS: &[Action] = &[
    Action::with(
        LINK_USER,
        "DriveWealth has this user of the person: the way to an account goes on with it within minutes.",
        USER_PARAMETERS,
    ),
    Action::new(
        SUBMIT_ANEW,
        "DriveWealth has no user of the person, and confirms it: the form is submitted anew within minutes.",
    ),
];
const SECOND_USER_ACTIONS: &[Action] = &[Action::new(
    KEEP_USER,
    "DriveWealth has closed the other user: ours stays, and nothing changes here.",
)];

const RUN_ACTIONS: &[Action] = &[
    Action::new(
        END_AS_TRADED,
        "DriveWealth confirms that the run is over: its orders are complete with what the account has traded since it began.",
    ),
    Action::new(
        END_AS_FAILED,
        "DriveWealth confirms that the run is over or was never made, and traded nothing: its orders have failed.",
    ),
];

/// What a review says of a flow.
#[derive(Debug)]
pub(crate) struct ReviewedFlow<'a> {
    pub(crate) id: MoneyFlowId,
    pub(crate) profile: ProfileId,
    pub(crate) direction: Direction,
    pub(crate) amount: Money,
    pub(crate) is_open: bool,
    pub(crate) status: &'static str,
    pub(crate) payment: Option<&'a DriveWealthPaymentId>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A flow is left to a person.
pub(crate) async fn money_flow(
    connection: &mut PgConnection,
    flow: &ReviewedFlow<'_>,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (direction, amount) = (flow.direction, flow.amount);
    let review = NewReview {
        area: AREA,
        kind: MONEY_FLOW_IN_DOUBT,
        subject: format!("money-flow-{}", flow.id),
        about: Subject::profile(flow.profile),
        summary: format!("The {direction} {} of {amount}: {reason}", flow.id),
        evidence: Evidence {
            ours: json!({
                "money_flow_id": flow.id, "direction": direction, "amount": amount.to_string(), "status": flow.status,
                "created_at": flow.created_at,
            }),
            theirs: flow
                .payment
                .map_or(Value::Null, |payment| json!({ "payment_id": payment })),
        },
        actions: if flow.is_open {
            OPEN_FLOW_ACTIONS
        } else {
            ENDED_FLOW_ACTIONS
        },
    };
    Ok(review::open(connection, review, now).await?)
}

/// Deposits of a profile were suspended because the bank took one back.
pub(crate) async fn deposits_suspended(
    connection: &mut PgConnection,
    profile: ProfileId,
    flow: MoneyFlowId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: DEPOSITS_SUSPENDED,
        subject: format!("profile-{profile}"),
        about: Subject::profile(profile),
        summary: format!("The bank took deposit {flow} of {amount} back; deposits are suspended"),
        evidence: Evidence {
            ours: json!({ "money_flow_id": flow, "amount": amount.to_string() }),
            theirs: json!({ "status": "returned" }),
        },
        actions: SUSPENSION_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// The broker's answer to a form stayed missing for longer than it remembers the request.
pub(crate) async fn kyc_submission(
    connection: &mut PgConnection,
    profile: ProfileId,
    submission: i32,
    submitted_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: KYC_SUBMISSION_IN_DOUBT,
        subject: format!("profile-{profile}"),
        about: Subject::profile(profile),
        summary: "A form of the identity check was submitted, and DriveWealth's answer is missing".to_owned(),
        evidence: Evidence {
            ours: json!({ "submission": submission, "submitted_at": submitted_at }),
            theirs: Value::Null,
        },
        actions: SUBMISSION_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// The broker has made another user of a profile that has one.
pub(crate) async fn second_broker_user(
    connection: &mut PgConnection,
    profile: ProfileId,
    ours: &DriveWealthUserId,
    other: &DriveWealthUserId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: SECOND_BROKER_USER,
        subject: format!("profile-{profile}"),
        about: Subject::profile(profile),
        summary: "DriveWealth has two users of one profile; the one that isn't ours has to be closed"
            .to_owned(),
        evidence: Evidence {
            ours: json!({ "user_id": ours }),
            theirs: json!({ "user_id": other }),
        },
        actions: SECOND_USER_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// What a review says of a payment without a flow.
#[derive(Debug)]
pub(crate) struct ForeignPayment {
    pub(crate) id: DriveWealthPaymentId,
    pub(crate) profile: ProfileId,
    pub(crate) direction: Direction,
    pub(crate) amount_cents: i64,
    pub(crate) currency: Currency,
    pub(crate) first_seen_at: DateTime<Utc>,
}

/// The subject of a payment's review.
fn payment_subject(payment: &DriveWealthPaymentId) -> String {
    format!("payment-{payment}")
}

/// The payment of a review's subject.
pub(crate) fn payment_of(subject: &str) -> Option<DriveWealthPaymentId> {
    DriveWealthPaymentId::parse(subject.strip_prefix("payment-")?).ok()
}

/// The broker has payments that no flow of ours made.
pub(crate) async fn foreign_payments(
    connection: &mut PgConnection,
    payments: &[ForeignPayment],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = |payment: &ForeignPayment| {
        let (direction, amount) = (
            payment.direction,
            Money::new(payment.amount_cents, payment.currency),
        );
        NewReview {
            area: AREA,
            kind: FOREIGN_PAYMENT,
            subject: payment_subject(&payment.id),
            about: Subject::profile(payment.profile),
            summary: format!("DriveWealth has a {direction} of {amount} that no flow of ours made"),
            evidence: Evidence {
                ours: Value::Null,
                theirs: json!({
                    "payment_id": payment.id, "direction": direction, "amount": amount.to_string(),
                    "first_seen_at": payment.first_seen_at,
                }),
            },
            actions: FOREIGN_ACTIONS,
        }
    };
    let reviews: Vec<NewReview> = payments.iter().map(review).collect();
    Ok(review::open_all(connection, &reviews, now).await?)
}

/// The payment has a flow now.
pub(crate) async fn settle_foreign_payment(
    connection: &mut PgConnection,
    payment: &DriveWealthPaymentId,
    flow: MoneyFlowId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (subject, reason) = (
        payment_subject(payment),
        format!("the payment is money flow {flow}"),
    );
    review::settle(connection, AREA, FOREIGN_PAYMENT, &subject, &reason, now).await?;
    Ok(())
}

/// What a review says of a run.
#[derive(Debug)]
pub(crate) struct OverdueRun<'a> {
    pub(crate) id: AutopilotRunId,
    pub(crate) profile: ProfileId,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) ref_id: Option<&'a DriveWealthRunId>,
    pub(crate) status: &'a str,
}

fn run_subject(run: AutopilotRunId) -> String {
    format!("autopilot-run-{run}")
}

/// A run has no end.
pub(crate) async fn overdue_run(
    connection: &mut PgConnection,
    run: &OverdueRun<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = NewReview {
        area: AREA,
        kind: AUTOPILOT_RUN_OVERDUE,
        subject: run_subject(run.id),
        about: Subject::profile(run.profile),
        summary: "An autopilot run has no end; the orders of its account wait for it".to_owned(),
        evidence: Evidence {
            ours: json!({ "created_at": run.created_at }),
            theirs: json!({ "run_id": run.ref_id, "status": run.status }),
        },
        actions: RUN_ACTIONS,
    };
    Ok(review::open(connection, review, now).await?)
}

/// The run has ended by itself.
pub(crate) async fn settle_overdue_run(
    connection: &mut PgConnection,
    run: AutopilotRunId,
    status: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let reason = format!("the run has ended: {status}");
    review::settle(
        connection,
        AREA,
        AUTOPILOT_RUN_OVERDUE,
        &run_subject(run),
        &reason,
        now,
    )
    .await?;
    Ok(())
}
