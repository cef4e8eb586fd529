-- Orders that change what an account holds of a collection, and the broker's funds and autopilot runs that carry them out.

CREATE TABLE drivewealth_autopilot_runs (
    id                            BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ref_id                        TEXT        UNIQUE,
    drivewealth_account_id        TEXT        NOT NULL REFERENCES drivewealth_accounts,
    trading_collection_version_id BIGINT      NOT NULL,
    state                         TEXT        NOT NULL DEFAULT 'planned'
                                  CHECK (state IN ('planned', 'open', 'succeeded', 'nothing_to_trade', 'failed')),
    status                        TEXT        NOT NULL DEFAULT '',
    targets                       JSONB       NOT NULL,
    attempts                      INTEGER     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    polled_at                     TIMESTAMPTZ,
    overdue_at                    TIMESTAMPTZ,
    ruling                        TEXT        CHECK (ruling IN ('traded', 'not_traded')),
    ended_at                      TIMESTAMPTZ,
    raw_data                      JSONB       NOT NULL DEFAULT '{}',
    created_at                    TIMESTAMPTZ NOT NULL,
    updated_at                    TIMESTAMPTZ NOT NULL,
    CHECK (state <> 'open' OR ref_id IS NOT NULL),
    CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'nothing_to_trade', 'failed')))
);
COMMENT ON TABLE drivewealth_autopilot_runs IS
    'Written with its targets before DriveWealth is asked for anything (planned); open once DriveWealth has made it.';
COMMENT ON COLUMN drivewealth_autopilot_runs.targets IS
    'All that is pushed: shares of cash and funds, and what the funds consist of. A retry pushes this again.';
COMMENT ON COLUMN drivewealth_autopilot_runs.trading_collection_version_id IS 'The first of its versions.';
COMMENT ON COLUMN drivewealth_autopilot_runs.status IS 'As DriveWealth wrote it.';
COMMENT ON COLUMN drivewealth_autopilot_runs.attempts IS 'How often it was begun to be pushed.';
COMMENT ON COLUMN drivewealth_autopilot_runs.overdue_at IS 'When it was left to a person, because it has no end.';
COMMENT ON COLUMN drivewealth_autopilot_runs.ruling IS 'What a person has found that it came to; the next message ends it so.';
CREATE UNIQUE INDEX drivewealth_autopilot_runs_under_way ON drivewealth_autopilot_runs (drivewealth_account_id)
    WHERE ended_at IS NULL;
CREATE INDEX drivewealth_autopilot_runs_ended ON drivewealth_autopilot_runs (drivewealth_account_id, ended_at DESC);

CREATE TABLE trading_collection_versions (
    id                    BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id            BIGINT      NOT NULL REFERENCES profiles,
    trading_account_id    BIGINT      NOT NULL REFERENCES trading_accounts,
    collection_id         BIGINT      NOT NULL REFERENCES collections,
    collection_uniq_id    TEXT        NOT NULL,
    status                TEXT        NOT NULL DEFAULT 'pending'
                          CHECK (status IN ('pending', 'executing', 'complete', 'failed', 'cancelled')),
    target_amount_cents   BIGINT      CHECK (target_amount_cents <> 0),
    target_percent        BIGINT      CHECK (target_percent BETWEEN -100 AND 100 AND target_percent <> 0),
    has_weights           BOOLEAN     NOT NULL,
    planned_amount_cents  BIGINT,
    actual_amount_cents   BIGINT,
    failure_code          TEXT,
    failure_reason        TEXT,
    run_id                BIGINT      REFERENCES drivewealth_autopilot_runs,
    applies_at            TIMESTAMPTZ NOT NULL,
    settled_at            TIMESTAMPTZ,
    created_at            TIMESTAMPTZ NOT NULL,
    updated_at            TIMESTAMPTZ NOT NULL,
    CHECK (target_amount_cents IS NULL OR target_percent IS NULL),
    CHECK (target_amount_cents IS NOT NULL OR target_percent IS NOT NULL OR has_weights),
    CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CHECK ((status IN ('complete', 'failed', 'cancelled')) = (settled_at IS NOT NULL)),
    CHECK (status <> 'executing' OR (run_id IS NOT NULL AND planned_amount_cents IS NOT NULL))
);
COMMENT ON COLUMN trading_collection_versions.target_amount_cents IS 'What was asked for: above zero buys.';
COMMENT ON COLUMN trading_collection_versions.has_weights IS 'Whether the contents were given with the order.';
COMMENT ON COLUMN trading_collection_versions.planned_amount_cents IS 'What it came to when it was carried out; frozen then.';
COMMENT ON COLUMN trading_collection_versions.actual_amount_cents IS 'What was traded for it.';
COMMENT ON COLUMN trading_collection_versions.applies_at IS 'From when it is carried out; it may be cancelled while it is pending.';
CREATE INDEX trading_collection_versions_history ON trading_collection_versions (profile_id, id DESC);
CREATE INDEX trading_collection_versions_open ON trading_collection_versions (trading_account_id, id)
    WHERE status IN ('pending', 'executing');
CREATE INDEX trading_collection_versions_due ON trading_collection_versions (applies_at) WHERE status = 'pending';
CREATE INDEX trading_collection_versions_of_run ON trading_collection_versions (run_id);
CREATE INDEX trading_collection_versions_weights ON trading_collection_versions (profile_id, collection_id, id DESC)
    WHERE has_weights;
ALTER TABLE drivewealth_autopilot_runs
    ADD FOREIGN KEY (trading_collection_version_id) REFERENCES trading_collection_versions;

CREATE TABLE trading_collection_contents (
    version_id    BIGINT        NOT NULL REFERENCES trading_collection_versions,
    position      INTEGER       NOT NULL CHECK (position > 0),
    symbol        TEXT          NOT NULL,
    target_weight NUMERIC(5, 4) NOT NULL CHECK (target_weight > 0 AND target_weight <= 1),
    PRIMARY KEY (version_id, symbol)
);
COMMENT ON TABLE trading_collection_contents IS
    'The weights of a version: those given with it, or those that it was carried out with.';

CREATE TABLE drivewealth_funds (
    ref_id                        TEXT        PRIMARY KEY,
    profile_id                    BIGINT      NOT NULL REFERENCES profiles,
    collection_id                 BIGINT      NOT NULL REFERENCES collections,
    trading_collection_version_id BIGINT      NOT NULL REFERENCES trading_collection_versions,
    raw_data                      JSONB       NOT NULL DEFAULT '{}',
    created_at                    TIMESTAMPTZ NOT NULL,
    UNIQUE (profile_id, collection_id)
);
COMMENT ON COLUMN drivewealth_funds.trading_collection_version_id IS 'The version that made it.';

-- Whoever changes an account at DriveWealth has the lease on it: a change of cash and an order don't cross each other.
CREATE TABLE drivewealth_account_leases (
    drivewealth_account_id TEXT        PRIMARY KEY REFERENCES drivewealth_accounts,
    lease_id               UUID,
    leased_until           TIMESTAMPTZ,
    cash_changed_at        TIMESTAMPTZ
);
COMMENT ON COLUMN drivewealth_account_leases.cash_changed_at IS
    'The targets have to follow the cash once the run that is under way has ended.';

CREATE VIEW open_invoices AS
    SELECT id AS invoice_id, profile_id, amount_cents, currency FROM invoices WHERE status IN ('open', 'uncollectible');
COMMENT ON VIEW open_invoices IS
    'For trading: what profiles owe in commissions, in minor units. It isn''t there to be invested.';
CREATE INDEX invoices_owed_by_profile ON invoices (profile_id) WHERE status IN ('open', 'uncollectible');
