-- The bank account that a withdrawal was approved for: another one, to which nothing was paid before, is looked at by a person
-- before it is paid. And a count of refused attempts to take back what was sent, since Stripe repeats a refusal under its key.
ALTER TABLE withdrawals ADD COLUMN judged_bank_account_id TEXT;
ALTER TABLE withdrawals ADD COLUMN undo_refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payees ADD COLUMN looked_until TIMESTAMPTZ;
COMMENT ON COLUMN payees.looked_until IS 'Until when Stripe has made no account for the trader: it is looked for from here on where an answer was lost.';
COMMENT ON COLUMN withdrawals.judged_bank_account_id IS 'The trader''s bank account when the withdrawal was approved; null where there was none.';
COMMENT ON COLUMN withdrawals.undo_refusals IS 'How often Stripe has refused to take back its transfer or its payout: each further attempt has another key.';

-- As before, with an index for whoever reads a time's rows of all accounts: the hourly thinning reads its whole partition without.
-- Partitions that are there stay without, since an index on a partition can't be built beside its writers from
-- here; each is out of the thinning's reach after three months.
CREATE OR REPLACE FUNCTION make_funded_equity_partitions(this_time TIMESTAMPTZ) RETURNS INTEGER
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
        EXECUTE format('CREATE INDEX %I ON %I USING BRIN (at) WITH (autosummarize = on)', name || '_at', name);
        EXECUTE format('WITH moved AS (DELETE FROM funded_equity_history_other WHERE at >= $1 AND at < $2 RETURNING *) '
                       'INSERT INTO %I SELECT * FROM moved', name) USING first, first + interval '1 month';
        EXECUTE format('ALTER TABLE funded_equity_history ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       name, first, first + interval '1 month');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- How far the thinning has come: an hour is read once, and what was missed is made up for however long ago it was. The function of
-- before read two days each time, and never again what it had missed for longer.
CREATE TABLE funded_equity_thinning (
    is_only       BOOLEAN     PRIMARY KEY DEFAULT TRUE CHECK (is_only),
    thinned_until TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE funded_equity_thinning IS 'Until when funded_equity_history is thinned; no row before it was for the first time.';

-- Of every hour before a time, only its lowest and its highest equity stay; no more than two days are read, and no more than
-- max_rows deleted.
CREATE OR REPLACE FUNCTION thin_funded_equity_history(before TIMESTAMPTZ, max_rows BIGINT) RETURNS BIGINT
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    since   TIMESTAMPTZ;
    until   TIMESTAMPTZ;
    thinned BIGINT;
BEGIN
    SELECT thinned_until INTO since FROM funded_equity_thinning;
    until := LEAST(date_trunc('hour', before), since + interval '2 days');
    WITH old AS (
        SELECT funded_account_id, at,
               row_number() OVER (PARTITION BY funded_account_id, date_trunc('hour', at) ORDER BY equity_cents, at) AS low,
               row_number() OVER (PARTITION BY funded_account_id, date_trunc('hour', at) ORDER BY equity_cents DESC, at) AS high
        FROM funded_equity_history WHERE at < until AND at >= COALESCE(since, until - interval '2 days')
    ), deleted AS (
        DELETE FROM funded_equity_history USING (SELECT * FROM old WHERE low > 1 AND high > 1 LIMIT max_rows) AS middle
        WHERE funded_equity_history.funded_account_id = middle.funded_account_id AND funded_equity_history.at = middle.at
        RETURNING 1
    )
    SELECT count(*) INTO thinned FROM deleted;
    -- Before anything was thinned there is nothing to go on from.
    IF thinned < max_rows AND (since IS NOT NULL OR thinned > 0) THEN
        INSERT INTO funded_equity_thinning (thinned_until) VALUES (until)
        ON CONFLICT (is_only) DO UPDATE SET thinned_until = GREATEST(funded_equity_thinning.thinned_until, until);
    END IF;
    RETURN thinned;
END
$$;
