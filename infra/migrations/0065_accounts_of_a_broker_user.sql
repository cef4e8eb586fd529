-- no-transaction
-- The way to an open account and the daily reconciliation look for the account of each user.
CREATE INDEX CONCURRENTLY drivewealth_accounts_of_user ON drivewealth_accounts (drivewealth_user_id);
