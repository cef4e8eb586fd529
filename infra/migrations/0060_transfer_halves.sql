-- A transfer as local halves, each one transaction about clients of one node: `debit` takes the payer's money and leaves an
-- order, `credit_transfers` brings it to the receivers or remembers why not, `settle_transfers` ends it at the payer: done, or
-- the money is back. Spec "Wallets", Many nodes.
--
-- Orders are delivered at least once. Exactly once is by (receiver, transaction) in transfer_answers and by (payer, payment) in
-- transfer_orders: whoever answers or settles again finds the answer there, or the order gone.
--
-- Order of locks: the key (which nobody waits for), then by client and wallet; of a credit the answer before its wallet, of a
-- settlement the order before its wallet.

CREATE TABLE transfer_orders (
    client_id     BIGINT      NOT NULL,
    payment_id    BIGINT      NOT NULL,
    receiver_slot SMALLINT    NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    retry_at      TIMESTAMPTZ,
    PRIMARY KEY (client_id, payment_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE transfer_orders IS
    'Transfers on their way: one row for each pending payment of a transfer, at the payer''s, until it is settled.';
COMMENT ON COLUMN transfer_orders.receiver_slot IS
    'The slot of the receiver, which says where it lives: 0 for all where there is one node.';
COMMENT ON COLUMN transfer_orders.retry_at IS 'Of one that could not be applied: when it is tried again.';
CREATE INDEX transfer_orders_waiting ON transfer_orders (receiver_slot, payment_id);

CREATE TABLE transfer_answers (
    client_id        BIGINT      NOT NULL,
    transaction_id   UUID        NOT NULL,
    payer_client_id  BIGINT      NOT NULL,
    payer_payment_id BIGINT      NOT NULL,
    payment_id       BIGINT,
    refusal          TEXT,
    created_at       TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (client_id, transaction_id),
    CHECK ((payment_id IS NULL) = (refusal IS NOT NULL))
);
COMMENT ON TABLE transfer_answers IS
    'What became of orders at the receiver''s: a payment, or a refusal, which stays one whatever happens later. Kept for good.';

ALTER TABLE wallet_checkpoints ADD COLUMN sides_entry BIGINT;
COMMENT ON COLUMN wallet_checkpoints.sides_entry IS
    'Up to which entry the other sides of transfers were compared: behind `entry` while one before it was pending. Null before 0060: `entry`.';

-- A transfer's payer waits for the settlement, and has its money back where the receiver refused; the receiver's side is done.
CREATE OR REPLACE FUNCTION payment_is_sound(
    payment_type SMALLINT, payment_status SMALLINT, amount BIGINT, partner_client_id BIGINT, partner_amount BIGINT,
    exchange_rate NUMERIC, balance_after BIGINT, return_entry BIGINT, return_balance_after BIGINT
) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS $$
    SELECT
        -- A debit has a credit on its other side, and the other way round.
        (amount < 0 AND partner_amount > 0 OR amount > 0 AND partner_amount < 0)
        -- A recharge comes from the house (client 0) and a withdrawal goes to it.
        AND CASE payment_type
            WHEN 1 THEN payment_status = 2 AND amount > 0 AND partner_client_id = 0
            WHEN 2 THEN payment_status BETWEEN 1 AND 3 AND amount < 0 AND partner_client_id = 0
            WHEN 3 THEN (payment_status = 2 OR amount < 0 AND payment_status IN (1, 3)) AND partner_client_id > 0
            ELSE FALSE END
        AND (payment_status = 3) = (return_entry IS NOT NULL)
        AND (payment_status = 3) = (return_balance_after IS NOT NULL)
        AND balance_after >= 0 AND exchange_rate > 0
$$;

-- As of 0027, and of a transfer whose money went back: transfer.failed. An event is of the time at which the payment came to
-- its status.
CREATE OR REPLACE VIEW transfer_events AS
SELECT own.client_id AS key, own.id,
       jsonb_build_object(
           'id', CASE WHEN own.amount < 0 THEN own.transaction_id ELSE received_event_id(own.transaction_id) END,
           'type', CASE WHEN own.amount > 0 THEN 'transfer.received'
                        WHEN own.payment_status = 3 THEN 'transfer.failed' ELSE 'transfer.done' END,
           'occurred_at', to_char(own.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'key', 'client-' || own.client_id,
           'correlation_id', own.correlation_id,
           'data', jsonb_build_object(
               'transaction_id', own.transaction_id,
               'exchange_rate', trim_scale(own.exchange_rate)::TEXT,
               'payer_client_id', CASE WHEN own.amount < 0 THEN own.client_id ELSE own.partner_client_id END,
               'payer_wallet_id', CASE WHEN own.amount < 0 THEN own.wallet_id ELSE own.partner_wallet_id END,
               'payer_currency', CASE WHEN own.amount < 0 THEN iso.code ELSE partner_iso.code END,
               'payer_amount', CASE WHEN own.amount < 0 THEN -own.amount ELSE -own.partner_amount END,
               'receiver_client_id', CASE WHEN own.amount < 0 THEN own.partner_client_id ELSE own.client_id END,
               'receiver_wallet_id', CASE WHEN own.amount < 0 THEN own.partner_wallet_id ELSE own.wallet_id END,
               'receiver_currency', CASE WHEN own.amount < 0 THEN partner_iso.code ELSE iso.code END,
               'receiver_amount', CASE WHEN own.amount < 0 THEN own.partner_amount ELSE own.amount END)) AS payload
  FROM payments AS own
  JOIN currencies AS iso ON iso.numeric_code = own.currency
  JOIN currencies AS partner_iso ON partner_iso.numeric_code = own.partner_currency
 WHERE own.payment_type = 3;

-- The payer's half: key, balance, payment and order, or the code of a refusal, and then nothing has been written. Outcomes are
-- those of transfer_between_wallets, 'pending' in the place of 'done'.
--
-- The receiver's wallets are what the caller knows of them. One that fits is enough to go by, since a wallet never changes its
-- currency and is never closed; that there is none, or only another, counts if they were `looked_at_now`: else the outcome is
-- 'look-again'. An item of a batch has no lock, and no `asked` where it has no key of its own.
CREATE FUNCTION debit(
    payer_client BIGINT, payer_wallet BIGINT, receiver_client BIGINT, named_currency SMALLINT,
    payer_amount BIGINT, receiver_amount BIGINT, receiver_wallets BIGINT[], receiver_currencies SMALLINT[],
    looked_at_now BOOLEAN, receiver_slot SMALLINT, asked UUID, digest UUID, asked_lock BIGINT, earlier_key TEXT,
    transfer UUID, correlation TEXT, moment TIMESTAMPTZ, oldest_rate TIMESTAMPTZ,
    OUT outcome TEXT, OUT presumed TEXT, OUT payment_id BIGINT, OUT transaction_id UUID, OUT currency SMALLINT,
    OUT amount BIGINT, OUT partner_wallet_id BIGINT, OUT partner_currency SMALLINT, OUT partner_amount BIGINT,
    OUT exchange_rate NUMERIC, OUT balance BIGINT, OUT created_at TIMESTAMPTZ, OUT rate_as_of TIMESTAMPTZ
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    kept_digest UUID;
    paid BIGINT;
    received BIGINT;
    place INT;
    payer_entry BIGINT;
BEGIN
    IF asked_lock IS NOT NULL AND NOT pg_try_advisory_xact_lock(asked_lock) THEN
        outcome := 'request-in-flight';
        RETURN;
    END IF;
    IF asked IS NOT NULL THEN
        SELECT kept.id, kept.request_digest INTO payment_id, kept_digest
          FROM payments AS kept WHERE kept.client_id = payer_client AND kept.request = asked;
    END IF;
    IF payment_id IS NULL AND moment < earlier_keys_count_until() THEN
        SELECT earlier.payment_id, digest INTO payment_id, kept_digest
          FROM payment_requests AS earlier
         WHERE earlier.client_id = payer_client AND earlier.operation = 3 AND earlier.key = earlier_key
           AND earlier.caller = '00000000-0000-0000-0000-000000000000'
           AND substring(earlier.request_hash FROM 1 FOR 16) = uuid_send(digest)
           AND earlier.created_at > moment - INTERVAL '30 days';
    END IF;
    IF payment_id IS NOT NULL THEN
        IF kept_digest <> digest THEN
            outcome := 'idempotency-key-reused';
            payment_id := NULL;
            RETURN;
        END IF;
        SELECT 'replayed', kept.transaction_id, kept.currency, kept.amount, kept.partner_wallet_id, kept.partner_currency,
               kept.partner_amount, kept.exchange_rate, kept.balance_after, kept.created_at
          INTO outcome, transaction_id, currency, amount, partner_wallet_id, partner_currency,
               partner_amount, exchange_rate, balance, created_at
          FROM payments AS kept WHERE kept.client_id = payer_client AND kept.id = payment_id;
        RETURN;
    END IF;

    SELECT payer.currency, payer.balance INTO currency, balance
      FROM wallets AS payer WHERE payer.client_id = payer_client AND payer.id = payer_wallet;
    IF currency IS NULL THEN
        outcome := 'wallet-not-found';
        RETURN;
    END IF;
    partner_currency := coalesce(named_currency, currency);
    place := array_position(receiver_currencies, partner_currency);
    IF place IS NULL AND NOT looked_at_now THEN
        outcome := 'look-again';
        RETURN;
    END IF;
    partner_wallet_id := receiver_wallets[place];
    IF partner_currency = currency THEN
        paid := coalesce(payer_amount, receiver_amount);
        received := paid;
        exchange_rate := 1;
    ELSE
        SELECT converted.refusal, converted.paid, converted.received, converted.rate, converted.as_of
          INTO outcome, paid, received, exchange_rate, rate_as_of
          FROM convert_at_counting_rate(currency, partner_currency, payer_amount, receiver_amount, oldest_rate) AS converted;
    END IF;
    IF outcome IS NULL AND balance < paid THEN
        outcome := 'insufficient-funds';
    END IF;
    IF place IS NULL THEN
        -- No wallet where it was looked for: the receiver's only one, if it has one and none was named.
        presumed := coalesce(outcome, 'receiver-not-found');
        IF cardinality(receiver_wallets) = 0 THEN
            outcome := 'receiver-not-found';
        ELSIF named_currency IS NOT NULL THEN
            outcome := 'receiver-wallet-not-found';
        ELSIF cardinality(receiver_wallets) > 1 THEN
            outcome := 'receiver-currency-needed';
        ELSE
            partner_wallet_id := receiver_wallets[1];
            partner_currency := receiver_currencies[1];
            SELECT converted.refusal, converted.paid, converted.received, converted.rate, converted.as_of
              INTO outcome, paid, received, exchange_rate, rate_as_of
              FROM convert_at_counting_rate(currency, partner_currency, payer_amount, receiver_amount, oldest_rate) AS converted;
            IF outcome IS NULL AND balance < paid THEN
                outcome := 'insufficient-funds';
            END IF;
        END IF;
    ELSIF payer_wallet = partner_wallet_id AND payer_client = receiver_client THEN
        outcome := 'same-wallet';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;

    UPDATE wallets AS wallet
       SET balance = wallet.balance - paid, entries = wallet.entries + 1, moved_at = GREATEST(wallet.moved_at, moment)
     WHERE wallet.client_id = payer_client AND wallet.id = payer_wallet AND wallet.balance >= paid
    RETURNING wallet.balance, wallet.entries, wallet.moved_at INTO balance, payer_entry, created_at;
    IF payer_entry IS NULL THEN
        -- It has gone down since it was looked at.
        outcome := 'insufficient-funds';
        SELECT payer.balance INTO balance FROM wallets AS payer WHERE payer.client_id = payer_client AND payer.id = payer_wallet;
        RETURN;
    END IF;
    outcome := 'pending';
    payment_id := nextval('payment_ids');
    transaction_id := transfer;
    amount := -paid;
    partner_amount := received;
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, request, request_digest, correlation_id)
    VALUES (payer_client, payment_id, transfer, 3, 1, payer_wallet, currency, amount,
            receiver_client, partner_wallet_id, partner_currency, received, exchange_rate,
            payer_entry, balance, created_at, created_at, asked, CASE WHEN asked IS NOT NULL THEN digest END, correlation);
    INSERT INTO transfer_orders (client_id, payment_id, receiver_slot, created_at)
    VALUES (payer_client, payment_id, receiver_slot, moment);
END
$$;

-- Many debits in their order, each item as the ones before it have left things; the payers live on one node. As transfer_batch,
-- with 'pending' in the place of 'done'; `whole` is 'look-again' too. The receivers' wallets stand in one list each: an item's
-- are those from `firsts` to `lasts`.
CREATE FUNCTION debit_batch(
    payer_clients BIGINT[], payer_wallets BIGINT[], receiver_clients BIGINT[], named_currencies SMALLINT[],
    payer_amounts BIGINT[], receiver_amounts BIGINT[], receiver_wallets BIGINT[], receiver_currencies SMALLINT[],
    firsts INT[], lasts INT[], looked_at_now BOOLEAN, receiver_slots SMALLINT[],
    own_requests UUID[], digests UUID[], earlier_keys TEXT[], transfers UUID[],
    asked UUID, asked_digest UUID, asked_lock BIGINT, correlation TEXT, all_or_none BOOLEAN,
    moment TIMESTAMPTZ, oldest_rate TIMESTAMPTZ
) RETURNS TABLE (
    whole TEXT, outcome TEXT, payment_id BIGINT, transaction_id UUID, currency SMALLINT, amount BIGINT,
    partner_wallet_id BIGINT, partner_currency SMALLINT, partner_amount BIGINT, exchange_rate NUMERIC,
    balance BIGINT, created_at TIMESTAMPTZ, rate_as_of TIMESTAMPTZ
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT INT := cardinality(transfers);
    before RECORD;
    payer RECORD;
    one RECORD;
    outcomes TEXT[] := array_fill(NULL::TEXT, ARRAY[size]);
    made BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    currencies SMALLINT[] := array_fill(NULL::SMALLINT, ARRAY[size]);
    partner_currencies SMALLINT[] := array_fill(NULL::SMALLINT, ARRAY[size]);
    balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    rates_as_of TIMESTAMPTZ[] := array_fill(NULL::TIMESTAMPTZ, ARRAY[size]);
    refused BOOLEAN := FALSE;
    looks_again BOOLEAN := FALSE;
    undone BOOLEAN := FALSE;
BEGIN
    IF NOT pg_try_advisory_xact_lock(asked_lock) THEN
        whole := 'request-in-flight';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO before FROM batch_requests AS kept WHERE kept.request = asked;
    IF before.request IS NOT NULL AND before.request_digest <> asked_digest THEN
        whole := 'idempotency-key-reused';
        RETURN NEXT;
        RETURN;
    ELSIF before.request IS NOT NULL AND size > 0 THEN
        RETURN QUERY
        SELECT 'replayed', CASE item.outcome WHEN 'done' THEN 'replayed' ELSE item.outcome END,
               kept.id, kept.transaction_id, coalesce(kept.currency, item.currency), kept.amount, kept.partner_wallet_id,
               coalesce(kept.partner_currency, item.receiver_currency), kept.partner_amount, kept.exchange_rate,
               coalesce(kept.balance_after, item.balance), kept.created_at, item.rate_as_of
          FROM unnest(before.outcomes, before.client_ids, before.payment_ids, before.currencies, before.receiver_currencies,
                      before.balances, before.rates_as_of)
               WITH ORDINALITY AS item (outcome, client_id, payment_id, currency, receiver_currency, balance, rate_as_of, n)
          LEFT JOIN payments AS kept ON kept.client_id = item.client_id AND kept.id = item.payment_id
         ORDER BY item.n;
        RETURN;
    END IF;

    -- The payers' wallets in their order, so that two batches don't wait for each other.
    FOR payer IN SELECT DISTINCT item.client_id, item.wallet_id FROM unnest(payer_clients, payer_wallets) AS item (client_id, wallet_id)
                  ORDER BY item.client_id, item.wallet_id LOOP
        PERFORM FROM wallets AS wallet WHERE wallet.client_id = payer.client_id AND wallet.id = payer.wallet_id FOR UPDATE;
    END LOOP;
    BEGIN
        FOR n IN 1 .. size LOOP
            SELECT * INTO one
              FROM debit(payer_clients[n], payer_wallets[n], receiver_clients[n], named_currencies[n], payer_amounts[n],
                         receiver_amounts[n], receiver_wallets[firsts[n]:lasts[n]], receiver_currencies[firsts[n]:lasts[n]],
                         looked_at_now, receiver_slots[n], own_requests[n], digests[n], NULL, earlier_keys[n], transfers[n],
                         correlation, moment, oldest_rate);
            looks_again := looks_again OR one.outcome = 'look-again';
            refused := refused OR one.outcome NOT IN ('pending', 'replayed');
            outcomes[n] := one.outcome;
            made[n] := one.payment_id;
            currencies[n] := one.currency;
            partner_currencies[n] := one.partner_currency;
            balances[n] := one.balance;
            rates_as_of[n] := one.rate_as_of;
            EXIT WHEN looks_again;
        END LOOP;
        IF looks_again OR refused AND all_or_none THEN
            RAISE EXCEPTION 'the batch is undone' USING ERRCODE = 'WB001';
        END IF;
    EXCEPTION WHEN SQLSTATE 'WB001' THEN
        undone := TRUE;
    END;
    IF looks_again THEN
        whole := 'look-again';
        RETURN NEXT;
        RETURN;
    ELSIF undone THEN
        RETURN QUERY SELECT 'done', CASE WHEN item.outcome IN ('pending', 'replayed') THEN 'not-done' ELSE item.outcome END,
                            NULL::BIGINT, NULL::UUID, item.currency, NULL::BIGINT, NULL::BIGINT, item.partner_currency,
                            NULL::BIGINT, NULL::NUMERIC, item.balance, NULL::TIMESTAMPTZ, item.rate_as_of
                       FROM unnest(outcomes, currencies, partner_currencies, balances, rates_as_of)
                            AS item (outcome, currency, partner_currency, balance, rate_as_of);
        RETURN;
    END IF;
    IF before.request IS NULL THEN
        -- Kept as what was made, whatever becomes of it.
        INSERT INTO batch_requests (request, request_digest, outcomes, client_ids, payment_ids, currencies,
                                    receiver_currencies, balances, rates_as_of, created_at)
        VALUES (asked, asked_digest, array_replace(outcomes, 'pending', 'done'), payer_clients, made, currencies,
                partner_currencies, balances, rates_as_of, moment);
    END IF;
    IF size = 0 THEN
        whole := CASE WHEN before.request IS NULL THEN 'done' ELSE 'replayed' END;
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 'done', item.outcome, item.made, kept.transaction_id, item.currency, kept.amount, kept.partner_wallet_id,
           coalesce(kept.partner_currency, item.partner_currency), kept.partner_amount, kept.exchange_rate,
           coalesce(kept.balance_after, item.balance), kept.created_at, item.rate_as_of
      FROM unnest(outcomes, payer_clients, made, currencies, partner_currencies, balances, rates_as_of)
           WITH ORDINALITY AS item (outcome, client_id, made, currency, partner_currency, balance, rate_as_of, n)
      LEFT JOIN payments AS kept ON kept.client_id = item.client_id AND kept.id = item.made
     ORDER BY item.n;
END
$$;

-- The receivers' half of many orders, all of receivers of this node: each is answered once. There is one row for each order in
-- its place, `refusal` null where the receiver has its money. What a wallet gets comes into it by one change of its balance.
CREATE FUNCTION credit_transfers(
    receiver_clients BIGINT[], receiver_wallets BIGINT[], receiver_currencies SMALLINT[], amounts BIGINT[],
    payer_clients BIGINT[], payer_wallets BIGINT[], payer_currencies SMALLINT[], payer_payments BIGINT[], paid BIGINT[],
    rates NUMERIC[], transfers UUID[], correlations TEXT[], moment TIMESTAMPTZ
) RETURNS TABLE (place INT, refusal TEXT) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT INT := cardinality(transfers);
    largest CONSTANT BIGINT := 9223372036854775807;
    -- Of the orders, in their order: the id that the receiver's payment has, an even one; whether that is new; and what comes
    -- of it. A wallet is a place among the wallets.
    made BIGINT[] := ARRAY(SELECT nextval('payment_ids') + 1 FROM generate_series(1, size));
    is_new BOOLEAN[];
    targets INT[];
    refusals TEXT[] := array_fill(NULL::TEXT, ARRAY[size]);
    payment_entries BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    payment_balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    payment_times TIMESTAMPTZ[] := array_fill(NULL::TIMESTAMPTZ, ARRAY[size]);
    has_refused BOOLEAN := FALSE;
    target INT;
    -- Of the wallets, sorted by client and id.
    target_clients BIGINT[];
    target_ids BIGINT[];
    currencies SMALLINT[];
    balances BIGINT[];
    entry_counts BIGINT[];
    moments TIMESTAMPTZ[];
BEGIN
    IF size <> (SELECT count(DISTINCT item) FROM unnest(transfers) AS item) THEN
        RAISE EXCEPTION 'the same order twice' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Whoever is first with an answer gives it; another one waits for it here, and reads it then.
    WITH new AS (
        INSERT INTO transfer_answers AS kept (client_id, transaction_id, payer_client_id, payer_payment_id, payment_id, created_at)
        SELECT item.client_id, item.transfer, item.payer, item.payer_payment, item.made, moment
          FROM unnest(receiver_clients, transfers, payer_clients, payer_payments, made)
               AS item (client_id, transfer, payer, payer_payment, made)
         ORDER BY item.client_id, item.transfer
            ON CONFLICT (client_id, transaction_id) DO NOTHING
        RETURNING kept.payment_id
    )
    SELECT array_agg(item.id IN (SELECT new.payment_id FROM new) ORDER BY item.n) INTO is_new
      FROM unnest(made) WITH ORDINALITY AS item (id, n);
    IF FALSE = ANY (is_new) THEN
        SELECT array_agg(kept.refusal ORDER BY item.n) INTO refusals
          FROM unnest(receiver_clients, transfers) WITH ORDINALITY AS item (client_id, transfer, n)
          JOIN transfer_answers AS kept ON kept.client_id = item.client_id AND kept.transaction_id = item.transfer;
    END IF;

    SELECT array_agg(item.place ORDER BY item.n) INTO targets
      FROM (SELECT one.n, dense_rank() OVER (ORDER BY one.client_id, one.wallet_id)::INT AS place
              FROM unnest(receiver_clients, receiver_wallets) WITH ORDINALITY AS one (client_id, wallet_id, n)) AS item;
    SELECT array_agg(wallet.client_id ORDER BY wallet.client_id, wallet.wallet_id),
           array_agg(wallet.wallet_id ORDER BY wallet.client_id, wallet.wallet_id) INTO target_clients, target_ids
      FROM (SELECT DISTINCT one.client_id, one.wallet_id
              FROM unnest(receiver_clients, receiver_wallets) AS one (client_id, wallet_id)) AS wallet;
    SELECT array_agg(locked.currency), array_agg(locked.balance), array_agg(locked.entries),
           array_agg(GREATEST(locked.moved_at, moment))
      INTO currencies, balances, entry_counts, moments
      FROM unnest(target_clients, target_ids) AS wallet (client_id, id)
      LEFT JOIN LATERAL (SELECT found.currency, found.balance, found.entries, found.moved_at FROM wallets AS found
                          WHERE found.client_id = wallet.client_id AND found.id = wallet.id FOR UPDATE) AS locked ON TRUE;
    FOR n IN 1 .. size LOOP
        CONTINUE WHEN NOT is_new[n];
        target := targets[n];
        IF currencies[target] IS DISTINCT FROM receiver_currencies[n] THEN
            refusals[n] := 'wallet-not-found';
        ELSIF balances[target] > largest - amounts[n] THEN
            refusals[n] := 'balance-too-large';
        ELSE
            balances[target] := balances[target] + amounts[n];
            entry_counts[target] := entry_counts[target] + 1;
            payment_balances[n] := balances[target];
            payment_entries[n] := entry_counts[target];
            payment_times[n] := moments[target];
            CONTINUE;
        END IF;
        has_refused := TRUE;
    END LOOP;

    IF has_refused THEN
        UPDATE transfer_answers AS kept SET refusal = item.refusal, payment_id = NULL
          FROM unnest(receiver_clients, transfers, refusals, is_new) AS item (client_id, transfer, refusal, is_new)
         WHERE kept.client_id = item.client_id AND kept.transaction_id = item.transfer AND item.is_new
           AND item.refusal IS NOT NULL;
    END IF;
    UPDATE wallets AS wallet SET balance = changed.balance, entries = changed.entries, moved_at = changed.moved_at
      FROM unnest(target_clients, target_ids, balances, entry_counts, moments) AS changed (client_id, id, balance, entries, moved_at)
     WHERE wallet.client_id = changed.client_id AND wallet.id = changed.id AND wallet.entries <> changed.entries;
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, correlation_id)
    SELECT item.client_id, item.made, item.transfer, 3, 2, item.wallet_id, item.currency, item.amount,
           item.payer, item.payer_wallet, item.payer_currency, -item.paid, item.rate,
           item.entry, item.balance_after, item.received_at, item.received_at, item.correlation
      FROM unnest(receiver_clients, made, transfers, receiver_wallets, receiver_currencies, amounts, payer_clients, payer_wallets,
                  payer_currencies, paid, rates, payment_entries, payment_balances, payment_times, correlations)
           AS item (client_id, made, transfer, wallet_id, currency, amount, payer, payer_wallet,
                    payer_currency, paid, rate, entry, balance_after, received_at, correlation)
     WHERE item.entry IS NOT NULL;
    INSERT INTO outbox_messages (event_id, kind, ordering_key, source, source_key, source_id, destination_kind, destination,
                                 next_attempt_at, created_at)
    SELECT received_event_id(item.transfer), 'transfer.received', 'client-' || item.client_id, 'transfer_events', item.client_id,
           item.made, 'topic', 'wallets.events', moment, moment
      FROM unnest(receiver_clients, made, transfers, payment_entries) WITH ORDINALITY AS item (client_id, made, transfer, entry, n)
     WHERE item.entry IS NOT NULL ORDER BY item.n;
    RETURN QUERY SELECT item.n::INT, item.refusal FROM unnest(refusals) WITH ORDINALITY AS item (refusal, n) ORDER BY item.n;
END
$$;

-- The end of many transfers at their payers, all of this node, as their receivers have answered: done, or the money goes back.
-- An order that is gone was settled before; `settled` counts those that weren't.
CREATE FUNCTION settle_transfers(
    payer_clients BIGINT[], payer_wallets BIGINT[], payer_payments BIGINT[], transfers UUID[], paid BIGINT[], refusals TEXT[],
    moment TIMESTAMPTZ, OUT settled BIGINT
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    is_settled BOOLEAN[];
    done BIGINT;
    changed BIGINT;
    refused RECORD;
    return_number BIGINT;
    return_balance BIGINT;
    returned_at TIMESTAMPTZ;
BEGIN
    WITH gone AS (
        DELETE FROM transfer_orders AS waiting
         USING unnest(payer_clients, payer_payments) AS item (client_id, payment_id)
         WHERE waiting.client_id = item.client_id AND waiting.payment_id = item.payment_id
        RETURNING waiting.payment_id
    )
    SELECT array_agg(item.payment_id IN (SELECT gone.payment_id FROM gone) ORDER BY item.n) INTO is_settled
      FROM unnest(payer_payments) WITH ORDINALITY AS item (payment_id, n);
    SELECT count(*), count(*) FILTER (WHERE item.refusal IS NULL) INTO settled, done
      FROM unnest(is_settled, refusals) AS item (is_settled, refusal) WHERE item.is_settled;
    -- Wallets in their order, each by itself: it is locked here.
    FOR refused IN
        SELECT item.client_id, item.wallet_id, item.payment_id, item.transfer, item.paid
          FROM unnest(payer_clients, payer_wallets, payer_payments, transfers, paid, refusals, is_settled)
               AS item (client_id, wallet_id, payment_id, transfer, paid, refusal, is_settled)
         WHERE item.is_settled AND item.refusal IS NOT NULL ORDER BY item.client_id, item.wallet_id, item.payment_id
    LOOP
        UPDATE wallets AS wallet
           SET balance = wallet.balance + refused.paid, entries = wallet.entries + 1,
               moved_at = GREATEST(wallet.moved_at, moment)
         WHERE wallet.client_id = refused.client_id AND wallet.id = refused.wallet_id
        RETURNING wallet.balance, wallet.entries, wallet.moved_at INTO return_balance, return_number, returned_at;
        UPDATE payments AS payment
           SET payment_status = 3, return_entry = return_number, return_balance_after = return_balance, updated_at = returned_at
         WHERE payment.client_id = refused.client_id AND payment.id = refused.payment_id AND payment.payment_status = 1
           AND payment.payment_type = 3 AND payment.wallet_id = refused.wallet_id AND payment.amount = -refused.paid;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> 1 THEN
            RAISE EXCEPTION 'payment % of client % is no pending transfer of this amount', refused.payment_id, refused.client_id;
        END IF;
    END LOOP;
    UPDATE payments AS payment SET payment_status = 2, updated_at = GREATEST(moment, payment.created_at)
      FROM unnest(payer_clients, payer_payments, refusals, is_settled) AS item (client_id, payment_id, refusal, is_settled)
     WHERE payment.client_id = item.client_id AND payment.id = item.payment_id AND payment.payment_status = 1
       AND payment.payment_type = 3 AND item.is_settled AND item.refusal IS NULL;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> done THEN
        RAISE EXCEPTION 'orders without a pending transfer: %', done - changed;
    END IF;
    INSERT INTO outbox_messages (event_id, kind, ordering_key, source, source_key, source_id, destination_kind, destination,
                                 next_attempt_at, created_at)
    SELECT item.transfer, CASE WHEN item.refusal IS NULL THEN 'transfer.done' ELSE 'transfer.failed' END,
           'client-' || item.client_id, 'transfer_events', item.client_id, item.payment_id, 'topic', 'wallets.events', moment, moment
      FROM unnest(payer_clients, payer_payments, transfers, refusals, is_settled) WITH ORDINALITY
           AS item (client_id, payment_id, transfer, refusal, is_settled, n)
     WHERE item.is_settled ORDER BY item.n;
END
$$;
