//! Autopilot runs: what DriveWealth's words for the state of a run mean.

/// What is known of an autopilot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It goes on.
    Open,
    /// It has ended, and accounts may still have failed one by one.
    Succeeded,
    /// It has ended because there was nothing to trade.
    NothingToTrade,
    /// It has ended badly.
    Failed,
    /// A word that isn't documented: nothing follows from it.
    Unrecognised,
}

/// States in which a run goes on, without the parts of a hundred.
const OPEN: [&str; 22] = [
    "REBALANCE_NOT_STARTED",
    "REBALANCE_COMPLETED",
    "AMOUNTCASH_ORDERS_AGGREGATED",
    "AMOUNTCASH_ORDERS_PREPARED",
    "ORDERQTY_ORDERS_AGGREGATED",
    "ORDERQTY_ORDERS_PREPARED",
    "SUBACCOUNT_ORDERS_ADJUSTED",
    "SELL_ORDERQTY_ORDERS_SUBMITTED",
    "SELL_ORDERQTY_ORDERS_COMPLETED",
    "SELL_AMOUNTCASH_ORDERS_SUBMITTED",
    "SELL_AMOUNTCASH_ORDERS_COMPLETED",
    "BUY_ORDERQTY_ORDERS_SUBMITTED",
    "BUY_ORDERQTY_ORDERS_COMPLETED",
    "BUY_AMOUNTCASH_ORDERS_SUBMITTED",
    "BUY_AMOUNTCASH_ORDERS_COMPLETED",
    "ORDERS_CLEANEDUP",
    "RIA_NEXT_REBALANCE_UPDATED",
    "ALLOCATION_PREPARED",
    "ALLOCATION_SUBMITTED",
    "ALLOCATION_NOT_STARTED",
    "ALLOCATION_COMPLETED",
    "SUBACCOUNT_HOLDINGS_UPDATED",
];

/// States in which a run has ended badly. A run that was only reviewed is one: none is ever asked for.
const FAILED: [&str; 14] = [
    "REBALANCE_ABORTED",
    "REBALANCE_REVIEW_COMPLETED",
    "REBALANCE_FAILED",
    "SELL_ORDERQTY_ORDERS_FAILED",
    "SELL_ORDERQTY_ORDERS_TIMEDOUT",
    "SELL_AMOUNTCASH_ORDERS_FAILED",
    "SELL_AMOUNTCASH_ORDERS_TIMEDOUT",
    "BUY_ORDERQTY_ORDERS_FAILED",
    "BUY_ORDERQTY_ORDERS_TIMEDOUT",
    "BUY_AMOUNTCASH_ORDERS_FAILED",
    "BUY_AMOUNTCASH_ORDERS_TIMEDOUT",
    "ALLOCATION_FAILED",
    "ALLOCATION_TIMEDOUT",
    "SUBACCOUNT_HOLDINGS_UPDATE_FAILED",
];

/// Steps that also come with how far they are, in tens of a hundred.
const IN_TENS: [&str; 2] = ["REBALANCE_", "ALLOCATION_"];

impl RunState {
    /// What a state that DriveWealth tells means.
    pub fn of(status: &str) -> RunState {
        match status {
            "SUCCESS" => RunState::Succeeded,
            "REBALANCE_NO_ORDERS_GENERATED" => RunState::NothingToTrade,
            status if FAILED.contains(&status) => RunState::Failed,
            status if OPEN.contains(&status) || is_in_tens(status) => RunState::Open,
            _ => RunState::Unrecognised,
        }
    }

    /// Whether the run has ended.
    pub const fn has_ended(self) -> bool {
        matches!(
            self,
            RunState::Succeeded | RunState::NothingToTrade | RunState::Failed
        )
    }
}

fn is_in_tens(status: &str) -> bool {
    let tens = IN_TENS.iter().find_map(|step| status.strip_prefix(step));
    tens.is_some_and(|tens| matches!(tens, "10" | "20" | "30" | "40" | "50" | "60" | "70" | "80" | "90"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_states_that_are_documented_are_known() {
        let mut documented: Vec<String> = [OPEN.as_slice(), FAILED.as_slice()]
            .concat()
            .iter()
            .map(|status| (*status).to_owned())
            .collect();
        documented.extend((1..10).flat_map(|ten| IN_TENS.map(|step| format!("{step}{ten}0"))));
        documented.extend(["SUCCESS", "REBALANCE_NO_ORDERS_GENERATED"].map(str::to_owned));
        assert_eq!(documented.len(), 56);
        for status in &documented {
            assert_ne!(RunState::of(status), RunState::Unrecognised, "{status}");
        }
    }

    #[test]
    fn run_ends_well_badly_or_with_nothing_to_do() {
        assert_eq!(
            RunState::of("REBALANCE_NO_ORDERS_GENERATED"),
            RunState::NothingToTrade
        );
        assert_eq!(RunState::of("REBALANCE_REVIEW_COMPLETED"), RunState::Failed);
        assert_eq!(RunState::of("ALLOCATION_TIMEDOUT"), RunState::Failed);
        assert_eq!(RunState::of("SUCCESS"), RunState::Succeeded);
        assert_eq!(RunState::of("ALLOCATION_90"), RunState::Open);
        for status in ["FOO", "", "success", "REBALANCE_100", "REBALANCE_5"] {
            assert_eq!(RunState::of(status), RunState::Unrecognised, "{status}");
            assert!(!RunState::of(status).has_ended());
        }
    }
}
