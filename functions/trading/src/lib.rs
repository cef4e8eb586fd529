//! Trading: money between a customer's bank and trading account, thematic collections bought with it, and what the broker
//! says of all that. The rules are in this package's README.md.
//!
//! | operation | concept | use case |
//! |---|---|---|
//! | `deposit_funds` | [`money_flow`] | [`money_flow::Deposits`] |
//! | `withdraw_funds` | [`money_flow`] | [`money_flow::Withdrawals`] |
//! | `list_money_flow_history` | [`money_flow`] | [`money_flow::MoneyFlowHistory`] |
//! | `get_trading_profile` | [`account`] | [`account::TradingProfiles`] |
//! | `put_profile`, `set_language` | [`profile`] | [`profile::Profiles`] |
//! | `get_kyc_form_config` | [`kyc_form`] | [`kyc_form::KycForms`] |
//! | `get_kyc_form` | [`kyc_form`] | [`kyc_form::KycFormReader`] |
//! | `put_kyc_form` | [`kyc_form`] | [`kyc_form::KycFormWriter`] |
//! | `send_kyc_form` | [`kyc_submission`] | [`kyc_submission::KycSubmissions`] |
//! | `get_kyc_status` | [`kyc_status`] | [`kyc_status::KycStatuses`] |
//! | `add_kyc_document` | [`kyc_document`] | [`kyc_document::KycDocuments`] |
//! | `create_plaid_link_token` | [`bank_link`] | [`bank_link::PlaidLinkTokens`] |
//! | `link_bank_account` | [`bank_link`] | [`bank_link::BankLinks`] |
//! | `list_bank_accounts` | [`bank_link`] | [`bank_link::LinkedBankAccounts`] |
//! | `delete_bank_account` | [`bank_link`] | [`bank_link::BankUnlinks`] |
//! | `plaid_webhook` | [`plaid_webhook`] | [`plaid_webhook::PlaidWebhooks`] |
//! | `send_phone_code` | [`phone_verification`] | [`phone_verification::PhoneCodes`] |
//! | `verify_phone_code` | [`phone_verification`] | [`phone_verification::PhoneCodeChecks`] |
//! | `update_account_balances` | [`balance`] | [`balance::DailyBalances`] |
//! | `update_account_balance` | [`balance`] | [`balance::AccountBalances`] |
//! | `on_cash_changed` | [`portfolio`] | [`portfolio::CashChanges`] |
//! | `put_collection`, `list_collections`, `list_recommended_weights` | [`collection`] | [`collection::Collections`] |
//! | `refresh_instruments` | [`instrument`] | [`instrument::InstrumentRefresh`] |
//! | `reconfigure_ttf_holdings` | [`collection_version`] | [`collection_version::Orders`] |
//! | `cancel_collection_version` | [`collection_version`] | [`collection_version::Cancellations`] |
//! | `get_trading_history` | [`history`] | [`history::TradingHistory`] |
//! | `list_statements` | [`statement`] | [`statement::Statements`] |
//! | `get_statement_document` | [`statement`] | [`statement::StatementDocuments`] |
//! | `list_rebalancing_history` | [`collection_version`] | [`collection_version::RebalancingHistory`] |
//! | `get_actual_holdings` | [`holding`] | [`holding::ActualHoldings`] |
//! | `apply_collection_version` | [`rebalancing`] | [`rebalancing::AccountWork`] |
//! | `apply_pending_versions` | [`rebalancing`] | [`rebalancing::due::DueVersions`] |
//! | `poll_autopilot_runs` | [`rebalancing`] | [`rebalancing::due::RunPolls`] |
//! | `apply_drivewealth_event` | [`drivewealth_events`] | [`drivewealth_events::DriveWealthEvents`] |
//! | `reconcile_trading` | [`reconciliation`] | [`reconciliation::Reconciler`] |
//! | `apply_trading_review` | [`review_decision`] | [`review_decision::TradingReviewer`] |
//!
//! Providers: [`broker`] is DriveWealth, [`bank_account`] reaches a bank through Plaid.
//!
//! Times come from the instance's clock. The clocks of instances are kept together by NTP, to some milliseconds; README,
//! Time, says what that much of a difference can do.

pub mod account;
mod account_lease;
pub mod balance;
pub mod bank_account;
pub mod bank_link;
pub mod broker;
pub mod collection;
pub mod collection_version;
pub mod drivewealth_events;
pub mod error;
pub mod events;
mod foreign_payment;
pub mod history;
pub mod holding;
pub mod instrument;
pub mod kyc_document;
pub mod kyc_form;
pub mod kyc_status;
pub mod kyc_submission;
pub mod money_flow;
pub mod onboarding;
mod paid_call;
pub mod phone_verification;
pub mod plaid_webhook;
pub mod portfolio;
pub mod profile;
pub mod rebalancing;
pub mod reconciliation;
pub mod review;
pub mod review_decision;
pub mod statement;

pub use error::Error;
