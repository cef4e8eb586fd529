//! What Moneta knows about money, states and rules, and nothing else: no I/O, no async, no clock of its own.
//!
//! A value of a type of this crate is valid: it was checked when it was made, whether by a caller, from JSON
//! or from a database row. Functions take what they need (a time as well) and answer with a decision; whoever
//! calls carries it out. Nothing here is a float.
//!
//! | module | holds |
//! |---|---|
//! | [`currency`], [`money`] | ISO 4217 currencies; amounts in minor units with exact arithmetic |
//! | [`rate`] | exchange rates, and weights that sum to exactly one |
//! | [`ids`] | one type for each kind of id |
//! | [`transition`] | what a state machine answers |
//! | [`lane`] | what an error means for whoever waits: the caller's fault, denied, try again, broken |
//! | [`clock`], [`market`] | the time as an input; the trading days of New York |
//! | [`reference`] | rules of the database's functions, for tests to compare with |
//! | [`review`] | what waits for a person's decision |
//! | [`stored`], [`storable`] | how these types are stored, and what others send |
//! | [`funded`] | the rules of funded accounts, and their live state |
//! | [`lookup`] | when an unknown outcome is looked up again |
//! | [`trading`], [`commissions`], [`wallets`], [`dealers`] | the rules of an area |

pub mod clock;
pub mod commissions;
pub mod currency;
pub mod dealers;
pub mod email;
mod exact;
pub mod funded;
pub mod ids;
pub mod lane;
pub mod lookup;
pub mod market;
pub mod money;
pub mod rate;
pub mod reference;
pub mod review;
pub mod storable;
pub mod stored;
pub mod trading;
pub mod transition;
pub mod wallets;
