-- A rate that changes too much at once is held: it counts when a person accepts it, or when the bank's next file repeats it.

CREATE TABLE held_exchange_rates (
    id       BIGINT          GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    base     SMALLINT        NOT NULL REFERENCES currencies,
    quote    SMALLINT        NOT NULL REFERENCES currencies,
    as_of    TIMESTAMPTZ     NOT NULL,
    rate     NUMERIC(28, 12) NOT NULL CHECK (rate > 0),
    source   TEXT            NOT NULL CHECK (source IN ('admin', 'ecb')),
    set_by   TEXT,
    before   NUMERIC(28, 12) NOT NULL CHECK (before > 0),
    status   TEXT            NOT NULL DEFAULT 'held'
        CHECK (status IN ('held', 'accepted', 'repeated', 'superseded', 'refused')),
    held_at  TIMESTAMPTZ     NOT NULL,
    ended_at TIMESTAMPTZ,
    CHECK (base <> quote),
    CHECK ((source = 'admin') = (set_by IS NOT NULL)),
    CHECK ((status = 'held') = (ended_at IS NULL))
);
COMMENT ON TABLE held_exchange_rates IS
    'Rates that jump. One of the bank''s file, always with base EUR, stands for all rates of its currency in that file.';
COMMENT ON COLUMN held_exchange_rates.set_by IS 'The administrator who set it, and may not be the one who accepts it.';
COMMENT ON COLUMN held_exchange_rates.before IS 'What counted when it was held.';
-- The same again is the same rate, until it has ended for another reason than a refusal.
CREATE UNIQUE INDEX held_exchange_rates_once ON held_exchange_rates (base, quote, as_of, rate)
    WHERE status IN ('held', 'refused');
CREATE INDEX held_exchange_rates_waiting ON held_exchange_rates (id) WHERE status = 'held';
