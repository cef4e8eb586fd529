-- What the reconciliation of billing has no time for is compared by the next run: before, a run that didn't come to the end of
-- the last days had compared nothing.

CREATE TABLE billing_reconciliation_cursor (
    only_one       BOOLEAN     PRIMARY KEY DEFAULT TRUE CHECK (only_one),
    compared_until TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE billing_reconciliation_cursor IS
    'Up to when the payments of the last days were compared; no row where the last run came to the end.';
