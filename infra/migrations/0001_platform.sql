-- What every area stands on: idempotency keys, the inbox and the outbox.

CREATE TABLE idempotency_keys (
    owner           TEXT        NOT NULL,
    operation       TEXT        NOT NULL,
    key             TEXT        NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    request_hash    BYTEA       NOT NULL,
    resource_id     BIGINT,
    response_status SMALLINT    CHECK (response_status BETWEEN 200 AND 599),
    response_body   JSONB,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, operation, key),
    CHECK ((response_status IS NULL) = (response_body IS NULL))
);
COMMENT ON TABLE idempotency_keys IS 'One row per request with an Idempotency-Key, kept as long as what it made.';

CREATE TABLE inbox_events (
    source      TEXT        NOT NULL,
    event_id    TEXT        NOT NULL,
    kind        TEXT        NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    payload     JSONB       NOT NULL,
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id)
);
COMMENT ON TABLE inbox_events IS 'Events from outside, each once, written in the transaction of their effect.';

CREATE TABLE outbox_messages (
    id               BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id         UUID        NOT NULL,
    kind             TEXT        NOT NULL,
    ordering_key     TEXT        NOT NULL,
    payload          JSONB       NOT NULL,
    destination_kind TEXT        NOT NULL CHECK (destination_kind IN ('topic', 'queue')),
    destination      TEXT        NOT NULL,
    attempts         INTEGER     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error       TEXT,
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    published_at     TIMESTAMPTZ,
    UNIQUE (event_id, destination_kind, destination)
);
COMMENT ON TABLE outbox_messages IS 'Events to publish: one row per event and destination.';
COMMENT ON COLUMN outbox_messages.ordering_key IS
    'Rows of one key are inserted under the lock of what they tell of, so their ids are in commit order.';

CREATE INDEX outbox_messages_unpublished ON outbox_messages (id) WHERE published_at IS NULL;
