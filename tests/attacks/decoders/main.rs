//! Bytes of others: whatever they are, a decoder reads or refuses them, with neither a panic nor a fault of ours, in the memory
//! that its function has.
//!
//! Real examples are edited, byte by byte and token by token, and handed to decoders that are functions, and to the functions
//! that are deployed: of each queue, topic, stream and webhook, and of each list with a cursor. A usual run takes seconds; in
//! `make soak` each target has a minute. `MONETA_SEED` repeats a run.
#![expect(
    clippy::indexing_slicing,
    reason = "a missing part of a JSON value is null, and a fault of the test fails it"
)]
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test says what it did")]

mod deliveries;
mod edits;
mod examples;
mod pure;
mod requests;

use std::process::ExitCode;
use std::time::Duration;

use end_to_end::{Suite, options, run_suites, scenarios};

use self::deliveries::{
    every_consumer_lives_through_any_message, every_webhook_lives_through_any_delivery,
    message_as_large_as_may_be_stays_within_memory,
};
use self::pure::{
    billing_payments_are_read_or_refused, claims_are_whose_they_say_or_nobodys,
    cursor_is_one_of_ours_or_refused, drivewealth_events_are_read_or_refused,
    money_and_rates_keep_their_value_or_are_refused, reference_rates_are_read_whole_or_refused,
    stored_documents_hold_nothing_that_the_database_refuses, stripe_events_are_read_or_refused,
    stripe_signature_holds_for_what_was_signed_alone,
};
use self::requests::{every_kind_of_caller_may_have_any_claims, every_list_lives_through_any_cursor};

/// How long a target is tried in `make soak`.
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let scenarios = scenarios![
        alone(reference_rates_are_read_whole_or_refused),
        alone(stripe_events_are_read_or_refused),
        alone(stripe_signature_holds_for_what_was_signed_alone),
        alone(drivewealth_events_are_read_or_refused),
        alone(billing_payments_are_read_or_refused),
        alone(cursor_is_one_of_ours_or_refused),
        alone(money_and_rates_keep_their_value_or_are_refused),
        alone(claims_are_whose_they_say_or_nobodys),
        alone(stored_documents_hold_nothing_that_the_database_refuses),
        alone(every_consumer_lives_through_any_message),
        alone(every_webhook_lives_through_any_delivery),
        alone(message_as_large_as_may_be_stays_within_memory),
        alone(every_list_lives_through_any_cursor),
        alone(every_kind_of_caller_may_have_any_claims),
    ];
    run_suites([Suite::new("decoders", options(), [scenarios])])
}
