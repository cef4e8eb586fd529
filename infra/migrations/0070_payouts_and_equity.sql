-- The bank account that a withdrawal was approved for: another one, to which nothing was paid before, is looked at by a person
-- before it is paid. And a count of refused attempts to take back what was sent, since Stripe repeats a refusal under its key.
ALTER TABLE withdrawals ADD COLUMN judged_bank_account_id TEXT;
ALTER TABLE withdrawals ADD COLUMN undo_refusals BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payees ADD COLUMN looked_until TIMESTAMPTZ;
COMMENT ON COLUMN payees.looked_until IS 'Until when Stripe has made no account for the trader: it is looked for from here on where an answer was lost.';
COMMENT ON COLUMN withdrawals.judged_bank_account_id IS 'The trader''s bank account when the withdrawal was approved; null where there was none.';
COMMENT ON COLUMN withdrawals.undo_refusals IS 'How often Stripe has refused to take back its transfer or its payout: each further attempt has another key.';

-- As before, with an index for whoever reads a time's rows of all accounts: the hourly thinning read its whole partition for the
-- rows of two days. Partitions that are there stay without, since an index on a partition can't be built beside its writers from
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
