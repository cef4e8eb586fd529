-- Wallets over several nodes: each is a PostgreSQL of its own with this same schema, and has a slot. What is made there gets ids
-- of that slot, from slot × 2^40 on, so that an id says where it lives. Slot 0 is the deployment's own database, whose ids are
-- as they were before there were slots.

CREATE TABLE wallet_slot (
    is_only BOOLEAN  PRIMARY KEY DEFAULT TRUE CHECK (is_only),
    slot    SMALLINT NOT NULL CHECK (slot BETWEEN 0 AND 8191)
);
COMMENT ON TABLE wallet_slot IS
    'Which slot this database is, once set_wallet_slot has set it. The highest one keeps ids below 2^53, where JSON numbers are exact.';

-- Makes this database that of a slot: what is made from now on gets its ids. Again, it changes nothing; another slot is
-- refused, also by a database that has clients of another one. `migrate` calls it on every node.
CREATE FUNCTION set_wallet_slot(own_slot SMALLINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    first_id CONSTANT BIGINT := own_slot::BIGINT << 40;
    kept SMALLINT;
    sequence TEXT;
    newest BIGINT;
BEGIN
    INSERT INTO wallet_slot (slot) VALUES (own_slot) ON CONFLICT DO NOTHING;
    SELECT wallet_slot.slot INTO kept FROM wallet_slot;
    IF kept <> own_slot THEN
        RAISE EXCEPTION 'this database is the one of slot %, not of slot %', kept, own_slot
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The list of nodes has another order, or another address, than before.';
    END IF;
    IF EXISTS (SELECT FROM clients WHERE client_id < first_id)
       OR EXISTS (SELECT FROM clients WHERE client_id >= first_id + (1::BIGINT << 40)) THEN
        RAISE EXCEPTION 'this database has clients of another slot than %', own_slot
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'A further node begins with an empty database.';
    END IF;
    FOREACH sequence IN ARRAY ARRAY['client_ids', 'wallet_ids', 'payment_ids', 'wallet_difference_ids'] LOOP
        EXECUTE format('SELECT last_value FROM %I', sequence) INTO newest;
        IF newest < first_id THEN
            -- Odd, as those of payments are: the other side of an immediate transfer has the next one.
            PERFORM setval(sequence::REGCLASS, first_id + 1, FALSE);
        END IF;
    END LOOP;
END
$$;
