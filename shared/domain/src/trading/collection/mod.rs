//! Thematic collections (TTF): what they consist of, and the orders that change what an account holds of them. The rules
//! are in functions/trading/README.md, Collections.

pub mod execution;
pub mod order;
pub mod rebalancing;
pub mod run;
pub mod symbol;
pub mod version;
pub mod weights;
