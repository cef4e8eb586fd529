-- Whom we pay, and whether Stripe can: the account that each trader has there.

CREATE TABLE payees (
    user_id           BIGINT      PRIMARY KEY REFERENCES traders,
    number            BIGINT      NOT NULL DEFAULT 1,
    country           TEXT        NOT NULL,
    requested_at      TIMESTAMPTZ NOT NULL,
    stripe_account_id TEXT        UNIQUE,
    transfers_active  BOOLEAN     NOT NULL DEFAULT FALSE,
    payouts_enabled   BOOLEAN     NOT NULL DEFAULT FALSE,
    is_paid_by_hand   BOOLEAN     NOT NULL DEFAULT FALSE,
    currently_due     JSONB       NOT NULL DEFAULT '[]',
    disabled_reason   TEXT,
    bank_account_id   TEXT,
    bank_last4        TEXT,
    bank_since        TIMESTAMPTZ,
    as_of             TIMESTAMPTZ,
    CHECK ((bank_account_id IS NULL) = (bank_last4 IS NULL)),
    CHECK ((bank_account_id IS NULL) = (bank_since IS NULL))
);
COMMENT ON TABLE payees IS 'Traders'' accounts at Stripe, as Stripe last said. It asks them for identity, taxes and bank; nothing of that is here.';
COMMENT ON COLUMN payees.number IS 'Counts the trader''s accounts: another one is made after he has disconnected the one before.';
COMMENT ON COLUMN payees.country IS 'As it was when the account was first asked for: Stripe makes one account of one request.';
COMMENT ON COLUMN payees.requested_at IS 'When this account was first asked for; from here on it is looked for when Stripe''s answer was lost.';
COMMENT ON COLUMN payees.bank_since IS 'Since when money has gone to this bank account.';
COMMENT ON COLUMN payees.as_of IS 'When Stripe was asked. What was asked before changes nothing.';
