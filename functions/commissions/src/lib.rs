//! Commissions: the yearly commission on the managed value is invoiced per month and charged to a card that the profile
//! has saved at Stripe.
//!
//! | operation | use case |
//! |---|---|
//! | `create_checkout_session`, `add_payment_method` | [`checkout`] |
//! | `list_payment_methods`, `set_active_payment_method`, `delete_payment_method` | [`payment_methods`] |
//! | `stripe_webhook` | [`webhook`] |
//! | `create_invoices` | [`invoicing`] |
//! | `pay_invoices`, `pay_invoice` | [`charging`] |
//! | `list_invoices`, `get_invoice` | [`invoices`] |
//! | `list_commission_history` | [`history`] |
//! | `reconcile_billing` | [`reconcile`] |
//!
//! A card is never charged twice for one invoice: an attempt is written down before Stripe is asked, the database holds
//! one attempt in flight and one success per invoice, Stripe is asked under the attempt's own key, and an attempt whose
//! outcome isn't known is found out before there is another. Locks are taken in one order: invoice, attempt, suspension.

pub mod charging;
pub mod checkout;
mod customers;
mod discrepancy;
pub mod document;
pub mod error;
pub mod events;
pub mod history;
pub mod invoices;
pub mod invoicing;
mod pages;
pub mod payment_methods;
pub mod processor;
pub mod reconcile;
pub mod settlement;
mod store;
mod suspension;
pub mod webhook;

pub use error::Error;
