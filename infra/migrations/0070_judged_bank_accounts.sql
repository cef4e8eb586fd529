-- The bank account that a withdrawal was approved for: another one, to which nothing was paid before, is looked at by a person
-- before it is paid. And a count of refused attempts to take back what was sent, since Stripe repeats a refusal under its key.
ALTER TABLE withdrawals ADD COLUMN judged_bank_account_id TEXT;
ALTER TABLE withdrawals ADD COLUMN undo_refusals BIGINT NOT NULL DEFAULT 0;
COMMENT ON COLUMN withdrawals.judged_bank_account_id IS 'The trader''s bank account when the withdrawal was approved; null where there was none.';
COMMENT ON COLUMN withdrawals.undo_refusals IS 'How often Stripe has refused to take back its transfer or its payout: each further attempt has another key.';
