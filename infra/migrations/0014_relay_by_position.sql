-- The relay reads the outbox by position, in chunks: what a chunk costs doesn't grow with what waits.

ALTER TABLE outbox_messages
    ALTER COLUMN payload DROP NOT NULL,
    ADD COLUMN source    TEXT,
    ADD COLUMN source_id BIGINT,
    ADD COLUMN held      BOOLEAN NOT NULL DEFAULT false,
    ADD CONSTRAINT outbox_messages_event_is_known
        CHECK (num_nonnulls(payload, source) = 1 AND (source IS NULL) = (source_id IS NULL));
COMMENT ON COLUMN outbox_messages.source IS
    'A view with the columns id and payload that the event is read from when it is published, instead of being carried.';
COMMENT ON COLUMN outbox_messages.held IS
    'Waits behind a message of its key that failed; see outbox_held_keys.';
COMMENT ON COLUMN outbox_messages.attempts IS 'Not used any more: attempts count per key, in outbox_held_keys.';
COMMENT ON COLUMN outbox_messages.next_attempt_at IS 'Not used any more.';
COMMENT ON COLUMN outbox_messages.last_error IS 'Not used any more.';

-- Of the rows with a source: what is read from the view. A view that isn't there gives nothing, which fails the message
-- and not the chunk that it is in.
CREATE FUNCTION outbox_events_of_source(source TEXT, ids BIGINT[]) RETURNS TABLE (source_id BIGINT, payload JSONB)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass(quote_ident(source)) IS NOT NULL THEN
        RETURN QUERY EXECUTE format('SELECT id::BIGINT, payload::JSONB FROM %I WHERE id = ANY ($1)', source) USING ids;
    END IF;
END
$$;

CREATE TABLE outbox_held_keys (
    destination_kind TEXT        NOT NULL,
    destination      TEXT        NOT NULL,
    ordering_key     TEXT        NOT NULL,
    attempts         INTEGER     NOT NULL CHECK (attempts >= 0),
    retry_at         TIMESTAMPTZ NOT NULL,
    last_error       TEXT,
    waiting_since    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (destination_kind, destination, ordering_key)
);
COMMENT ON TABLE outbox_held_keys IS
    'Keys whose oldest message failed: it is tried again at retry_at, and what is behind it waits (outbox_messages.held).';
COMMENT ON COLUMN outbox_held_keys.attempts IS
    'How often the oldest message failed; 0 when the last attempt got through and the rest can follow.';
COMMENT ON COLUMN outbox_held_keys.waiting_since IS 'When the message was written that failed first.';
CREATE INDEX outbox_held_keys_due ON outbox_held_keys (retry_at);

CREATE TABLE outbox_held_destinations (
    destination_kind TEXT        NOT NULL,
    destination      TEXT        NOT NULL,
    attempts         INTEGER     NOT NULL CHECK (attempts > 0),
    retry_at         TIMESTAMPTZ NOT NULL,
    last_error       TEXT        NOT NULL,
    PRIMARY KEY (destination_kind, destination)
);
COMMENT ON TABLE outbox_held_destinations IS
    'Destinations that were out of reach: nothing is sent to them before retry_at.';

CREATE INDEX outbox_messages_waiting ON outbox_messages (destination_kind, destination, id)
    WHERE published_at IS NULL AND NOT held;
CREATE INDEX outbox_messages_held ON outbox_messages (destination_kind, destination, ordering_key, id)
    WHERE published_at IS NULL AND held;
DROP INDEX outbox_messages_first_of_key;

-- Rows are published about in the order in which they then lie in the table, and only the oldest are looked for.
DROP INDEX outbox_messages_published;
CREATE INDEX outbox_messages_published ON outbox_messages USING brin (published_at);
