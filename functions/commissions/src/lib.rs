//! Commissions: the yearly commission on the managed value is invoiced per month and charged to a card that the profile
//! has saved at Stripe. README.md has the rules.
//!
//! | operation | concept |
//! |---|---|
//! | `create_checkout_session` | [`checkout`] |
//! | `add_payment_method`, `list_payment_methods`, `set_active_payment_method`, `delete_payment_method` | [`payment_method`] |
//! | `create_invoices`, `list_invoices`, `get_invoice` | [`invoice`] |
//! | `pay_invoices` | [`dunning`] |
//! | `pay_invoice` | [`charge`] |
//! | `stripe_webhook` | [`stripe_events`] |
//! | `list_commission_history` | [`commission_history`] |
//! | `reconcile_billing` | [`reconciliation`] |
//! | `apply_commissions_review` | [`review_decision`] |
//!
//! Beside them: [`customer`] (a profile at Stripe), [`suspension`] (whether a profile may buy), [`discrepancy`] (where
//! Stripe conflicts with our record) and [`review`] (what waits for a person).
//!
//! A card is never charged twice for one invoice: a charge is written down before Stripe is called, the database holds one
//! charge in flight and one success per invoice, Stripe is called under the charge's own key, and a charge whose outcome is
//! unknown is looked up before there is another. Locks are taken in one order: invoice, charge, suspension.

mod app_pages;
pub mod charge;
pub mod checkout;
pub mod commission_history;
pub mod customer;
pub mod discrepancy;
pub mod dunning;
pub mod error;
pub mod events;
pub mod invoice;
pub mod payment_method;
pub mod processor;
pub mod reconciliation;
pub mod review;
pub mod review_decision;
pub mod stripe_events;
pub mod suspension;

pub use error::Error;
