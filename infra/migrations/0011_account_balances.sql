-- What each trading account was worth at the end of each New York day. Money is in minor units of the account's own
-- currency; nothing is converted.

CREATE TABLE trading_account_balances (
    trading_account_id BIGINT      NOT NULL REFERENCES trading_accounts,
    business_date      DATE        NOT NULL,
    equity_cents       BIGINT      NOT NULL CHECK (equity_cents >= 0),
    cash_cents         BIGINT      NOT NULL,
    currency           CHAR(3)     NOT NULL,
    as_of              TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (trading_account_id, business_date)
);
COMMENT ON TABLE trading_account_balances IS
    'One reading of the broker per account and New York day; of two readings of a day the newer one is kept.';
COMMENT ON COLUMN trading_account_balances.cash_cents IS 'Below zero while the account owes the broker cash.';
COMMENT ON COLUMN trading_account_balances.as_of IS 'When the broker was asked, by the database''s clock.';

-- A period's equity of all accounts is read day by day, from the index alone.
CREATE INDEX trading_account_balances_of_day ON trading_account_balances (business_date, trading_account_id)
    INCLUDE (equity_cents);

CREATE VIEW daily_account_equity AS
    SELECT trading_account_id, business_date, equity_cents FROM trading_account_balances;
COMMENT ON VIEW daily_account_equity IS
    'For commissions, which count the average equity of a period: minor units of the account''s currency, one row per '
    'account and New York day; a day on which the broker could not be asked has none.';

-- When an account was first told to be closed. Accounts that were closed before this column have the last word on them.
ALTER TABLE trading_accounts ADD COLUMN closed_at TIMESTAMPTZ;
UPDATE trading_accounts SET closed_at = status_updated_at FROM drivewealth_accounts
WHERE drivewealth_accounts.trading_account_id = trading_accounts.id AND status = 'closed';

CREATE VIEW billable_accounts AS
    SELECT id AS trading_account_id, profile_id, currency,
           (opened_at AT TIME ZONE 'America/New_York')::DATE AS opened_on,
           (closed_at AT TIME ZONE 'America/New_York')::DATE AS closed_on
    FROM trading_accounts
    WHERE opened_at IS NOT NULL;
COMMENT ON VIEW billable_accounts IS
    'For commissions, which count days from opened_on to closed_on (New York): every account that was ever opened; '
    'closed_on is null while it is not closed.';
