-- The broker's documents of an account, and one list of all that has moved money.

CREATE TABLE statements (
    id                     BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    drivewealth_account_id TEXT        NOT NULL,
    kind                   TEXT        NOT NULL CHECK (kind IN ('monthly', 'trade_confirmation', 'tax')),
    file_key               TEXT        NOT NULL,
    display_name           TEXT        NOT NULL,
    day                    DATE        NOT NULL,
    created_at             TIMESTAMPTZ NOT NULL,
    UNIQUE (drivewealth_account_id, kind, file_key)
);
COMMENT ON TABLE statements IS
    'What DriveWealth has told of; it keeps the files. The account may not be known here yet, so that it refers to none.';
COMMENT ON COLUMN statements.day IS 'The document''s, by the first eight characters of file_key; else when it was told of.';
CREATE INDEX statements_newest ON statements (drivewealth_account_id, day DESC, id DESC);

CREATE INDEX trading_money_flow_by_time ON trading_money_flow (profile_id, created_at DESC, id DESC);
CREATE INDEX trading_collection_versions_by_time ON trading_collection_versions (profile_id, created_at DESC, id DESC);
CREATE INDEX invoices_by_time ON invoices (profile_id, created_at DESC, id DESC);

CREATE VIEW commission_history AS
    SELECT id AS invoice_id, profile_id, amount_cents, currency, description, status, created_at, paid_at FROM invoices;
COMMENT ON VIEW commission_history IS 'For trading: invoices over commissions, for the list of all that has moved money.';
