-- Withdrawals from funded accounts: a trader's share of the profit, on its way to his bank.

CREATE TABLE withdrawals (
    id                   BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    funded_account_id    BIGINT      NOT NULL REFERENCES funded_accounts,
    user_id              BIGINT      NOT NULL REFERENCES traders,
    amount_cents         BIGINT      NOT NULL CHECK (amount_cents > 0),
    gross_cents          BIGINT      NOT NULL CHECK (gross_cents >= amount_cents),
    profit_split         NUMERIC     NOT NULL,
    status               TEXT        NOT NULL CHECK (status IN ('pending', 'approved', 'completed', 'rejected', 'failed', 'canceled')),
    review_reasons       JSONB       NOT NULL,
    requested_at         TIMESTAMPTZ NOT NULL,
    approved_at          TIMESTAMPTZ,
    reviewed_by          TEXT,
    released_at          TIMESTAMPTZ,
    completed_at         TIMESTAMPTZ,
    paid_at              TIMESTAMPTZ,
    rejected_at          TIMESTAMPTZ,
    failed_at            TIMESTAMPTZ,
    canceled_at          TIMESTAMPTZ,
    rejection_reason     TEXT,
    failure_code         TEXT,
    stripe_account_id    TEXT,
    bank_account_id      TEXT,
    transfer_attempt     BIGINT      NOT NULL DEFAULT 1,
    transfer_intended_at TIMESTAMPTZ,
    stripe_transfer_id   TEXT        UNIQUE,
    stripe_reversal_id   TEXT        UNIQUE,
    attempt              BIGINT      NOT NULL DEFAULT 1,
    payout_intended_at   TIMESTAMPTZ,
    stripe_payout_id     TEXT        UNIQUE,
    arrives_at           TIMESTAMPTZ,
    returned_at          TIMESTAMPTZ,
    parked_at            TIMESTAMPTZ,
    gives_up             BOOLEAN     NOT NULL DEFAULT FALSE,
    next_step_at         TIMESTAMPTZ,
    leased_until         TIMESTAMPTZ,
    CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CHECK ((status = 'rejected') = (rejected_at IS NOT NULL)),
    CHECK ((status = 'failed') = (failed_at IS NOT NULL)),
    CHECK ((status = 'canceled') = (canceled_at IS NOT NULL)),
    CHECK (status <> 'completed' OR stripe_payout_id IS NOT NULL),
    CHECK (status NOT IN ('failed', 'rejected', 'canceled') OR (stripe_transfer_id IS NULL AND stripe_payout_id IS NULL))
);
COMMENT ON COLUMN withdrawals.gross_cents IS 'The profit that it uses up while it is pending, approved or completed.';
COMMENT ON COLUMN withdrawals.reviewed_by IS 'Who approved or rejected it; null where nobody had to.';
COMMENT ON COLUMN withdrawals.released_at IS 'When it was judged for the last time: from then on its money may be on its way.';
COMMENT ON COLUMN withdrawals.attempt IS 'Counts payouts: another one is made after one came back.';
COMMENT ON COLUMN withdrawals.returned_at IS 'When its payout came back: the money is with the trader''s account at Stripe until he names another bank account, or for 14 days.';
COMMENT ON COLUMN withdrawals.parked_at IS 'When Stripe refused it through a fault of ours: a person decides.';
CREATE INDEX withdrawals_account ON withdrawals (funded_account_id, id);
CREATE INDEX withdrawals_user ON withdrawals (user_id, status);
CREATE INDEX withdrawals_due ON withdrawals (next_step_at) WHERE status = 'approved';
CREATE INDEX withdrawals_completed ON withdrawals (completed_at) WHERE status = 'completed';
