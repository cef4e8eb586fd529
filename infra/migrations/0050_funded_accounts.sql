-- Funded accounts: what is offered, who has passed, the accounts and what has become of them. The live state is in
-- DynamoDB; funded_virtual_accounts is its record.

CREATE TABLE tiers (
    id                           TEXT        PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,64}$'),
    name                         TEXT        NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    starting_balance_cents       BIGINT      NOT NULL CHECK (starting_balance_cents > 0),
    profit_split                 NUMERIC     NOT NULL CHECK (profit_split > 0 AND profit_split <= 1),
    max_drawdown                 NUMERIC     NOT NULL CHECK (max_drawdown >= 0 AND max_drawdown <= 1),
    max_risk_per_trade           NUMERIC     NOT NULL CHECK (max_risk_per_trade >= 0 AND max_risk_per_trade <= 1),
    min_trades                   BIGINT      NOT NULL CHECK (min_trades >= 0),
    drawdown_kind                TEXT        NOT NULL CHECK (drawdown_kind IN ('trailing', 'trailing-locks-at-start', 'trailing-end-of-day', 'static')),
    daily_loss_limit_cents       BIGINT      CHECK (daily_loss_limit_cents > 0),
    daily_reset_zone             TEXT,
    payout_cycle_days            BIGINT      CHECK (payout_cycle_days > 0),
    payout_cap_cents             BIGINT      CHECK (payout_cap_cents > 0),
    min_winning_days             BIGINT      CHECK (min_winning_days > 0),
    winning_day_min_profit_cents BIGINT      CHECK (winning_day_min_profit_cents > 0),
    max_best_day_share           NUMERIC     CHECK (max_best_day_share > 0 AND max_best_day_share <= 1),
    updated_at                   TIMESTAMPTZ NOT NULL,
    CHECK (daily_reset_zone IS NOT NULL OR (daily_loss_limit_cents IS NULL AND drawdown_kind <> 'trailing-end-of-day'))
);
COMMENT ON TABLE tiers IS 'What is offered. An account keeps the numbers that its tier had when it was activated.';
COMMENT ON COLUMN tiers.max_drawdown IS 'The assessment''s; a funded account''s is 5 points more, within 10 and 15 %.';

CREATE TABLE traders (
    user_id    BIGINT      PRIMARY KEY CHECK (user_id > 0),
    profile_id BIGINT,
    email      TEXT        NOT NULL,
    first_name TEXT        NOT NULL,
    last_name  TEXT        NOT NULL,
    country    TEXT        NOT NULL,
    as_of      TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE traders IS 'What the assessment system has told us of people who took one.';

CREATE TABLE assessments (
    id           TEXT        PRIMARY KEY,
    user_id      BIGINT      NOT NULL REFERENCES traders,
    tier_id      TEXT        NOT NULL,
    status       TEXT        NOT NULL CHECK (status IN ('passed', 'failed')),
    completed_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX assessments_user ON assessments (user_id);

CREATE TABLE funded_accounts (
    id             BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        BIGINT      NOT NULL REFERENCES traders,
    assessment_id  TEXT        NOT NULL UNIQUE REFERENCES assessments,
    tier_id        TEXT        NOT NULL REFERENCES tiers,
    profit_split   NUMERIC     NOT NULL,
    rules          JSONB       NOT NULL,
    status         TEXT        NOT NULL CHECK (status IN ('active', 'closed')),
    activated_at   TIMESTAMPTZ,
    closed_at      TIMESTAMPTZ,
    closure_reason TEXT,
    breach         JSONB,
    CHECK ((status = 'closed') = (closed_at IS NOT NULL))
);
COMMENT ON COLUMN funded_accounts.rules IS 'The thresholds as they were at the activation.';
COMMENT ON COLUMN funded_accounts.activated_at IS 'Null while the activation isn''t finished: nobody sees the account yet.';
COMMENT ON COLUMN funded_accounts.breach IS 'The rule that closed it, its value and threshold, and the snapshot.';
CREATE INDEX funded_accounts_user ON funded_accounts (user_id, status);
CREATE INDEX funded_accounts_active ON funded_accounts (id) WHERE status = 'active';

CREATE TABLE funded_virtual_accounts (
    id                      BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    funded_account_id       BIGINT      NOT NULL UNIQUE REFERENCES funded_accounts ON DELETE CASCADE,
    starting_balance_cents  BIGINT      NOT NULL,
    current_balance_cents   BIGINT      NOT NULL,
    peak_balance_cents      BIGINT      NOT NULL,
    realized_pnl_cents      BIGINT      NOT NULL,
    unrealized_pnl_cents    BIGINT      NOT NULL,
    total_withdrawals_cents BIGINT      NOT NULL DEFAULT 0 CHECK (total_withdrawals_cents >= 0),
    epoch                   BIGINT,
    sequence                BIGINT,
    live_version            BIGINT      NOT NULL,
    evaluations                JSONB       NOT NULL,
    updated_at              TIMESTAMPTZ NOT NULL,
    CHECK ((epoch IS NULL) = (sequence IS NULL))
);
COMMENT ON TABLE funded_virtual_accounts IS 'The live state as it was recorded last.';
COMMENT ON COLUMN funded_virtual_accounts.live_version IS 'Counts the changes of the live state: an older one changes nothing here.';
COMMENT ON COLUMN funded_virtual_accounts.evaluations IS 'What each rule said then.';
COMMENT ON COLUMN funded_virtual_accounts.updated_at IS 'When the snapshot was of that the state is from.';

CREATE TABLE funded_account_warnings (
    funded_account_id BIGINT NOT NULL REFERENCES funded_accounts ON DELETE CASCADE,
    rule              TEXT   NOT NULL,
    day               DATE   NOT NULL,
    level             TEXT   NOT NULL CHECK (level IN ('warning', 'danger')),
    PRIMARY KEY (funded_account_id, rule, day, level)
);
COMMENT ON TABLE funded_account_warnings IS 'What was told, or had no need to be told any more after what is worse: once per rule, level and day in New York.';

CREATE TABLE funded_account_restorations (
    funded_account_id BIGINT      NOT NULL REFERENCES funded_accounts ON DELETE CASCADE,
    epoch             BIGINT      NOT NULL,
    sequence          BIGINT      NOT NULL,
    breach            JSONB       NOT NULL,
    reason            TEXT        NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    restored_at       TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (funded_account_id, epoch, sequence)
);
COMMENT ON TABLE funded_account_restorations IS 'Accounts that a person opened again after a wrong tick. The breach at this snapshot closes the account no more.';

CREATE TABLE funded_sagas (
    saga       TEXT        NOT NULL,
    subject    TEXT        NOT NULL,
    steps_done BIGINT      NOT NULL CHECK (steps_done >= 0),
    is_undoing BOOLEAN     NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (saga, subject)
);
COMMENT ON TABLE funded_sagas IS 'How far each saga has come: whoever looks next goes on from here.';

CREATE TABLE funded_equity_history (
    funded_account_id BIGINT      NOT NULL,
    at                TIMESTAMPTZ NOT NULL,
    balance_cents     BIGINT      NOT NULL,
    equity_cents      BIGINT      NOT NULL,
    peak_cents        BIGINT      NOT NULL,
    drawdown          NUMERIC     NOT NULL,
    PRIMARY KEY (funded_account_id, at)
) PARTITION BY RANGE (at);
COMMENT ON TABLE funded_equity_history IS 'A row per account and minute at the most: the newest figures of the minute and its largest drawdown.';
CREATE TABLE funded_equity_history_other PARTITION OF funded_equity_history DEFAULT;

-- The partitions of a month and the one behind it. What came before its partition was there lies in the default one, and
-- moves. Owned by whoever owns the table, so that the caller needs no right to change it.
CREATE FUNCTION make_funded_equity_partitions(this_time TIMESTAMPTZ) RETURNS INTEGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first TIMESTAMPTZ;
    name  TEXT;
    made  INTEGER := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('make_funded_equity_partitions', 0));
    FOR month IN 0..1 LOOP
        first := date_trunc('month', this_time, 'UTC') + make_interval(months => month);
        name := 'funded_equity_history_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE funded_equity_history INCLUDING ALL)', name);
        EXECUTE format('WITH moved AS (DELETE FROM funded_equity_history_other WHERE at >= $1 AND at < $2 RETURNING *) '
                       'INSERT INTO %I SELECT * FROM moved', name) USING first, first + interval '1 month';
        EXECUTE format('ALTER TABLE funded_equity_history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, first, first + interval '1 month');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- Of every hour before a time, only its lowest and its highest equity stay; no more than max_rows are deleted.
CREATE FUNCTION thin_funded_equity_history(before TIMESTAMPTZ, max_rows BIGINT) RETURNS BIGINT
    LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH old AS (
        SELECT funded_account_id, at,
               row_number() OVER (PARTITION BY funded_account_id, date_trunc('hour', at) ORDER BY equity_cents, at) AS low,
               row_number() OVER (PARTITION BY funded_account_id, date_trunc('hour', at) ORDER BY equity_cents DESC, at) AS high
        FROM funded_equity_history
        WHERE at < date_trunc('hour', before) AND at >= date_trunc('hour', before) - interval '2 days'
    ), deleted AS (
        DELETE FROM funded_equity_history USING (SELECT * FROM old WHERE low > 1 AND high > 1 LIMIT max_rows) AS middle
        WHERE funded_equity_history.funded_account_id = middle.funded_account_id AND funded_equity_history.at = middle.at
        RETURNING 1
    )
    SELECT count(*) FROM deleted;
$$;
