-- Thematic collections with their weights, and the instruments that can be traded.

CREATE TABLE instruments (
    ref_id        TEXT        PRIMARY KEY,
    symbol        TEXT        NOT NULL,
    name          TEXT        NOT NULL,
    status        TEXT        NOT NULL,
    is_active     BOOLEAN     NOT NULL,
    is_fractional BOOLEAN     NOT NULL,
    is_tradable   BOOLEAN     GENERATED ALWAYS AS (is_active AND is_fractional) STORED,
    as_of         TIMESTAMPTZ NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE instruments IS 'As DriveWealth lists them; ref_id is its id. A symbol may have had several.';
COMMENT ON COLUMN instruments.status IS 'As DriveWealth wrote it.';
COMMENT ON COLUMN instruments.as_of IS 'When DriveWealth was asked: a newer answer counts.';
CREATE INDEX instruments_tradable ON instruments (symbol, as_of DESC, ref_id) WHERE is_tradable;

CREATE TABLE collections (
    id         BIGINT      PRIMARY KEY,
    uniq_id    TEXT        NOT NULL UNIQUE,
    name       TEXT        NOT NULL,
    model      INTEGER     NOT NULL CHECK (model > 0),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE collections IS 'The id and the uniq_id are those of the company''s catalogue service, which puts them here.';
COMMENT ON COLUMN collections.model IS 'The version of the weights that counts; those before it are kept.';

CREATE TABLE collection_weights (
    collection_id BIGINT        NOT NULL REFERENCES collections,
    model         INTEGER       NOT NULL,
    position      INTEGER       NOT NULL CHECK (position > 0),
    symbol        TEXT          NOT NULL,
    weight        NUMERIC(5, 4) NOT NULL CHECK (weight > 0 AND weight <= 1),
    PRIMARY KEY (collection_id, model, symbol)
);
