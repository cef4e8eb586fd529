-- A rate that is corrected is added once more as of the same time: the latest revision counts.

ALTER TABLE exchange_rates
    ADD COLUMN revision SMALLINT NOT NULL DEFAULT 0 CHECK (revision >= 0),
    DROP CONSTRAINT exchange_rates_pkey,
    ADD PRIMARY KEY (base, quote, as_of, revision);
COMMENT ON TABLE exchange_rates IS
    'Major units of quote for one of base. Rows are added and never changed; the newest of a pair counts.';
COMMENT ON COLUMN exchange_rates.revision IS
    'Which correction of the pair''s rate as of this time it is; the latest counts.';

CREATE OR REPLACE FUNCTION newest_exchange_rate(base_currency SMALLINT, quote_currency SMALLINT) RETURNS NUMERIC
LANGUAGE sql STABLE AS $$
    SELECT rate FROM exchange_rates WHERE base = base_currency AND quote = quote_currency
     ORDER BY as_of DESC, revision DESC LIMIT 1
$$;
