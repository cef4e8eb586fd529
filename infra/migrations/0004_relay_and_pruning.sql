-- What the relay and the pruning look for, by index: both tables are mostly rows that neither wants.

-- The first unpublished message of each key and destination, and whether it is due.
CREATE INDEX outbox_messages_first_of_key
    ON outbox_messages (destination_kind, destination, ordering_key, id) INCLUDE (next_attempt_at)
    WHERE published_at IS NULL;
-- Nothing reads by it any more.
DROP INDEX outbox_messages_unpublished;

CREATE INDEX outbox_messages_published ON outbox_messages (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX inbox_events_received ON inbox_events (received_at);

COMMENT ON TABLE inbox_events IS
    'Events from outside, each once, written in the transaction of their effect; kept for 90 days.';
COMMENT ON TABLE outbox_messages IS
    'Events to publish: one row per event and destination, kept for 30 days after they are published.';
