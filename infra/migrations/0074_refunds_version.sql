-- How often the refunds of a charge were recorded. What Stripe said of them is asked before they are recorded, outside of any
-- transaction: if the version has changed meanwhile, the answer may be older than what is recorded, and Stripe is asked again.
ALTER TABLE invoice_payments ADD COLUMN refunds_version INTEGER NOT NULL DEFAULT 0;
