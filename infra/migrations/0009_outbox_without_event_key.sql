-- Every event writes one row per destination in one statement, under an id that was made for it; nothing inserts an id
-- again or looks one up. The index that refused it took part in every change of money.
ALTER TABLE outbox_messages DROP CONSTRAINT outbox_messages_event_id_destination_kind_destination_key;
