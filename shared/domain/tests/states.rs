//! The whole table of each status: what every event makes of it, and what is asked of it.

use std::fmt::Display;

use domain::commissions::charge::{ChargeStatus, StripeChargeState};
use domain::commissions::invoice::InvoiceStatus;
use domain::dealers::account::{AccountType, ProvisioningEvent, ProvisioningStatus};
use domain::dealers::bill::{BillChange, BillOperation, BillStatus, IssuingEvent, IssuingStatus};
use domain::dealers::books::{BookedBill, ChangedBill};
use domain::dealers::kopecks;
use domain::funded::withdrawal::{WithdrawalEvent, WithdrawalStatus};
use domain::ids::BillId;
use domain::review::{DecisionOutcome, ReviewState};
use domain::trading::account::AccountStatus;
use domain::trading::collection::run::RunState;
use domain::trading::collection::version::{CollectionVersionEvent, CollectionVersionStatus};
use domain::trading::money_flow::{Direction, MoneyFlowStatus, ProviderState};
use domain::trading::payment::PaymentStatus as BrokerPayment;
use domain::transition::{Code, Refusal, Transition};
use domain::wallets::payment::{PaymentStatus, PaymentType, WithdrawalOutcome};

/// A row for each status: the name of the next one, `=` where nothing changes, `!` and the code where it is refused.
fn table<S: Copy + Display, E: Copy>(
    states: &[S],
    events: &[E],
    after: impl Fn(S, E) -> Transition<S>,
) -> Vec<String> {
    let row = |state: &S| {
        let cells = events.iter().map(|event| match after(*state, *event) {
            Transition::Applied(next) => next.to_string(),
            Transition::AlreadyApplied => "=".to_owned(),
            Transition::Rejected(refusal) => format!("!{}", refusal.code),
        });
        format!("{state}: {}", cells.collect::<Vec<_>>().join(" "))
    };
    states.iter().map(row).collect()
}

/// The names of those for which it holds.
fn those<S: Copy + Display>(states: &[S], holds: impl Fn(S) -> bool) -> String {
    let names: Vec<String> = states
        .iter()
        .filter(|state| holds(**state))
        .map(ToString::to_string)
        .collect();
    names.join(" ")
}

#[test]
fn charge_ends_as_stripe_says_and_money_that_was_taken_counts() {
    use StripeChargeState::{Cancelled, Failed, Processing, RequiresAction, Succeeded, Unrecognised};
    let reported = [
        Processing,
        RequiresAction,
        Succeeded,
        Failed,
        Cancelled,
        Unrecognised,
    ];
    assert_eq!(
        table(&ChargeStatus::ALL, &reported, ChargeStatus::after),
        [
            "unknown: processing requires_action succeeded failed failed !charge_state_unrecognised",
            "processing: = requires_action succeeded failed failed !charge_state_unrecognised",
            "requires_action: processing = succeeded failed failed !charge_state_unrecognised",
            "succeeded: = = = = !charge_has_succeeded !charge_state_unrecognised",
            "failed: = = succeeded = = !charge_state_unrecognised",
        ]
    );
    let in_flight = those(&ChargeStatus::ALL, ChargeStatus::is_in_flight);
    assert_eq!(in_flight, "unknown processing requires_action");
}

#[test]
fn invoice_is_owed_until_it_is_paid_or_void() {
    type Change = fn(InvoiceStatus) -> Transition<InvoiceStatus>;
    let changes: [Change; 3] = [
        InvoiceStatus::after_payment,
        InvoiceStatus::after_giving_up,
        InvoiceStatus::after_voiding,
    ];
    assert_eq!(
        table(&InvoiceStatus::ALL, &changes, |status, change| change(status)),
        [
            "open: paid uncollectible void",
            "paid: !invoice_is_paid !invoice_is_paid !invoice_is_paid",
            "uncollectible: paid = void",
            "void: !invoice_is_void !invoice_is_void =",
        ]
    );
    assert_eq!(
        those(&InvoiceStatus::ALL, InvoiceStatus::is_owed),
        "open uncollectible"
    );
}

#[test]
fn bill_follows_what_is_paid_on_it() {
    let paid = |paid, is_issued| BillChange::PaidUpTo {
        paid: kopecks(paid),
        common: kopecks(100),
        is_issued,
    };
    let changes = [
        BillChange::Issued,
        BillChange::Voided,
        paid(0, false),
        paid(0, true),
        paid(1, false),
        paid(99, true),
        paid(100, false),
        paid(101, true),
    ];
    assert_eq!(
        table(&BillStatus::ALL, &changes, BillStatus::after),
        [
            "created: issued voided = issued partially_paid partially_paid paid paid",
            "issued: = voided created = partially_paid partially_paid paid paid",
            "partially_paid: = !bill_is_paid_on created issued = = paid paid",
            "paid: = !bill_is_paid_on created issued partially_paid partially_paid = =",
            "voided: = = !bill_is_voided !bill_is_voided !bill_is_voided !bill_is_voided !bill_is_voided !bill_is_voided",
        ]
    );
    assert_eq!(
        those(&BillStatus::ALL, BillStatus::is_open),
        "created issued partially_paid"
    );
    let of = BillOperation::ALL.map(BillOperation::account_type);
    assert_eq!(of, [AccountType::Commission, AccountType::Settlement]);
}

#[test]
fn bill_is_issued_once_whatever_came_before() {
    use IssuingEvent::{Asked, Found, Refused, Resumed, Withdrawn};
    let events = [
        Asked,
        Found,
        Withdrawn,
        Refused,
        Resumed { is_issued: true },
        Resumed { is_issued: false },
    ];
    assert_eq!(
        table(&IssuingStatus::ALL, &events, IssuingStatus::after),
        [
            "pending: unknown issued withdrawn parked = =",
            "unknown: unknown issued withdrawn parked = =",
            "issued: = = withdrawn parked = =",
            "withdrawn: !bill_is_withdrawn !bill_is_withdrawn = !bill_is_withdrawn !bill_is_withdrawn !bill_is_withdrawn",
            "parked: = issued withdrawn = issued unknown",
        ]
    );
}

#[test]
fn account_of_a_dealer_is_made_step_by_step() {
    use ProvisioningEvent::{ClientFound, ContractFound, PayerFound, Refused, Resumed};
    let resumed = |has_client, has_payer, has_contract| Resumed {
        has_client,
        has_payer,
        has_contract,
    };
    let events = [
        ClientFound,
        PayerFound,
        ContractFound,
        Refused,
        resumed(true, true, false),
    ];
    assert_eq!(
        table(&ProvisioningStatus::ALL, &events, ProvisioningStatus::after),
        [
            "pending: client_made !step_out_of_order !step_out_of_order parked =",
            "client_made: = payer_made !step_out_of_order parked =",
            "payer_made: = = ready parked =",
            "ready: = = = parked =",
            "parked: !step_out_of_order !step_out_of_order !step_out_of_order = payer_made",
        ]
    );
    let mut known = Vec::new();
    for bits in 0..8 {
        let event = resumed(bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
        known.push(
            ProvisioningStatus::Parked
                .after(event)
                .applied()
                .unwrap()
                .to_string(),
        );
    }
    let expected = "pending client_made pending payer_made pending client_made pending ready";
    assert_eq!(known.join(" "), expected);
}

#[test]
fn money_flow_goes_as_its_payment_does() {
    use BrokerPayment::{Approved, AwaitingApproval, Failed, Returned, Successful, Unrecognised, Waiting};
    let payments = [
        Waiting,
        AwaitingApproval,
        Approved,
        Successful,
        Failed,
        Returned,
        Unrecognised(7),
    ];
    assert_eq!(
        table(&MoneyFlowStatus::ALL, &payments, MoneyFlowStatus::after),
        [
            "pending: = = approved success failed failed !payment_status_unrecognised",
            "approved: pending pending = success failed failed !payment_status_unrecognised",
            "success: = = = = !money_flow_has_succeeded failed !payment_status_unrecognised",
            "failed: !money_flow_has_failed !money_flow_has_failed !money_flow_has_failed !money_flow_has_failed = = \
             !payment_status_unrecognised",
        ]
    );
    assert_eq!(
        those(&MoneyFlowStatus::ALL, MoneyFlowStatus::is_open),
        "pending approved"
    );
    assert_eq!(
        those(&ProviderState::ALL, ProviderState::needs_call),
        "intended unknown"
    );
    let of = [i64::MIN, -1, 0, 1, i64::MAX].map(Direction::of);
    use Direction::{Deposit, Withdrawal};
    assert_eq!(of, [Withdrawal, Withdrawal, Deposit, Deposit, Deposit]);
}

#[test]
fn withdrawal_of_a_wallet_is_settled_once() {
    assert_eq!(
        table(
            &PaymentStatus::ALL,
            &WithdrawalOutcome::ALL,
            PaymentStatus::after_settlement
        ),
        [
            "pending: done failed",
            "done: = !withdrawal_settled_otherwise",
            "failed: !withdrawal_settled_otherwise =",
        ]
    );
    assert_eq!(PaymentStatus::ALL.map(PaymentStatus::number), [1, 2, 3]);
    assert_eq!(PaymentType::ALL.map(PaymentType::number), [1, 2, 3]);
    for number in 0..5 {
        let (status, kind) = (PaymentStatus::try_from(number), PaymentType::try_from(number));
        assert_eq!(
            status.map(PaymentStatus::number).ok(),
            (1..=3).contains(&number).then_some(number)
        );
        assert_eq!(
            kind.map(PaymentType::number).ok(),
            (1..=3).contains(&number).then_some(number)
        );
    }
}

#[test]
fn review_is_decided_once_and_applied_once() {
    use DecisionOutcome::{Applied, CantBeApplied, Superseded};
    assert_eq!(
        table(
            &ReviewState::ALL,
            &[Applied, CantBeApplied, Superseded],
            ReviewState::after_outcome
        ),
        [
            "open: !review_is_not_decided !review_is_not_decided !review_is_not_decided",
            "decided: applied open refused",
            "applied: = = =",
            "refused: = = =",
        ]
    );
    assert_eq!(those(&ReviewState::ALL, ReviewState::is_waiting), "open decided");
    assert_eq!(
        those(&ReviewState::ALL, |state| state.after_decision().is_applied()),
        "open"
    );
}

#[test]
fn collection_version_ends_once() {
    use CollectionVersionEvent::{Cancel, Complete, Execute, Fail};
    assert_eq!(
        table(
            &CollectionVersionStatus::ALL,
            &[Cancel, Execute, Complete, Fail],
            CollectionVersionStatus::after
        ),
        [
            "pending: cancelled executing !collection_version_not_pending failed",
            "executing: !collection_version_not_pending = complete failed",
            "complete: !collection_version_not_pending !collection_version_has_ended = !collection_version_has_ended",
            "failed: !collection_version_not_pending !collection_version_has_ended !collection_version_has_ended =",
            "cancelled: = !collection_version_has_ended !collection_version_has_ended !collection_version_has_ended",
        ]
    );
    let ended = those(&CollectionVersionStatus::ALL, CollectionVersionStatus::has_ended);
    assert_eq!(ended, "complete failed cancelled");
    let runs = [
        RunState::Open,
        RunState::Succeeded,
        RunState::NothingToTrade,
        RunState::Failed,
        RunState::Unrecognised,
    ];
    assert_eq!(runs.map(RunState::has_ended), [false, true, true, true, false]);
}

#[test]
fn profit_is_used_up_until_the_withdrawal_is_none() {
    let used_up = those(&WithdrawalStatus::ALL, WithdrawalStatus::is_used_up);
    assert_eq!(used_up, "pending approved completed");
}

#[test]
fn account_takes_and_gives_money_as_its_status_allows() {
    let of = |text: &str| {
        let status = AccountStatus::parse(text);
        (
            status.takes_deposits(),
            status.gives_withdrawals(),
            status.has_balance(),
        )
    };
    assert_eq!(of("pending"), (false, false, false));
    assert_eq!(of("open"), (true, true, true));
    assert_eq!(of("open_no_new_trades"), (false, true, true));
    assert_eq!(of("frozen"), (false, false, true));
    assert_eq!(of("closed"), (false, false, false));
    assert_eq!(of("REVOKED"), (false, false, true));
}

#[test]
fn transition_tells_what_it_is() {
    const NO: Code = Code::new("because");
    let all: [Transition<u8>; 3] = [
        Transition::Applied(2),
        Transition::AlreadyApplied,
        Transition::rejected(NO),
    ];
    assert_eq!(all.map(|one| one.is_applied()), [true, false, false]);
    assert_eq!(all.map(|one| one.applied()), [Some(2), None, None]);
    assert_eq!(
        all.map(|one| one.or_current(1)),
        [Ok(2), Ok(1), Err(Refusal::new(NO))]
    );
    assert_eq!(
        all.map(|one| one.refusal()),
        [None, None, Some(Refusal::from(NO))]
    );
    let doubled = all.map(|one| one.map(|state| u16::from(state) * 2));
    assert_eq!(
        doubled,
        [
            Transition::Applied(4),
            Transition::AlreadyApplied,
            Transition::rejected(NO)
        ]
    );
    assert_eq!(
        (NO.as_str(), format!("{NO:>9}"), format!("{NO:?}")),
        ("because", "  because".to_owned(), "because".to_owned())
    );
    assert_eq!(Refusal::new(NO).to_string(), "refused: because");
}

#[test]
fn withdrawal_is_decided_once_and_its_money_comes_back_only_from_the_bank() {
    use WithdrawalEvent::{Approve, BackToReview, Cancel, GaveUp, PayoutAccepted, PayoutReturned, Reject};
    let events = [
        Approve,
        Reject,
        Cancel,
        BackToReview,
        PayoutAccepted,
        PayoutReturned,
        GaveUp,
    ];
    let (decided, ended, left) = (
        "!withdrawal_not_pending",
        "!withdrawal_ended",
        "!withdrawal_money_left",
    );
    let of = |has_left| {
        table(&WithdrawalStatus::ALL, &events, |status, event| {
            status.after(event, has_left)
        })
    };
    let expected = |to_reject: &str, to_review: &str, to_give_up: &str| {
        [
            format!("pending: approved rejected canceled = {decided} {decided} {decided}"),
            format!("approved: = {to_reject} {decided} {to_review} completed approved {to_give_up}"),
            format!("completed: {decided} {decided} {decided} {decided} = approved {decided}"),
            format!("rejected: {ended} = {ended} {ended} {ended} {ended} {ended}"),
            format!("failed: {ended} {ended} {ended} {ended} {ended} = ="),
            format!("canceled: {ended} {ended} = {ended} {ended} {ended} {ended}"),
        ]
    };
    assert_eq!(of(false), expected("rejected", "pending", "failed"));
    assert_eq!(of(true), expected(left, left, left));
}

#[test]
fn bill_is_paid_or_reopened_by_the_change_that_makes_it_so() {
    let bill = |status| BookedBill {
        id: BillId::new(1).unwrap(),
        common: kopecks(100),
        paid: kopecks(0),
        status,
        is_issued: true,
    };
    let told = |before, after| {
        let (before, after) = (bill(before), bill(after));
        let changed = ChangedBill { before, after };
        (changed.is_paid_now(), changed.is_reopened())
    };
    let (open, paid) = (BillStatus::ALL[0], BillStatus::Paid);
    assert_ne!(open, paid);
    assert_eq!(told(open, paid), (true, false));
    assert_eq!(told(paid, open), (false, true));
    assert_eq!(told(open, open), (false, false));
    assert_eq!(told(paid, paid), (false, false));
}
