//! The rules of commissions: what a period costs, when an invoice is charged, and what a refused charge means.

pub mod charge;
pub mod decline;
pub mod dunning;
pub mod invoice;
pub mod period;
pub mod terms;
