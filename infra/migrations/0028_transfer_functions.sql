-- A transfer is one call of one function, one round trip: transfer_between_wallets, or transfer_batch for many at once.
-- Spec "Wallets", Signs and Operations. These take the place of those of 0007 and 0008.
--
-- They answer with an outcome instead of failing: 'done'; 'replayed', with the payment that the same request made before;
-- or the code of a refusal, and then nothing has been written. Whoever may not know about others' wallets is told
-- `presumed` instead: what the outcome would be if the receiver, whether it exists or not, had a wallet in the currency
-- that is named (else in the payer's).
--
-- Order of locks, the same in everything that moves money between wallets, so that nobody waits in a circle: the key
-- (a lock that isn't waited for), then the wallets, by client and id. A wallet never changes its client or currency, so
-- that which wallets a transfer is about, what is paid and what is received is found out before the first lock; locks are
-- held for the writing alone.

-- A key of a transfer from before callers were kept counts for thirty days, for whoever sends the same request; new ones
-- stand with their payments. In a new database nobody looks for one: a constant, because every transfer asks.
DO $$
BEGIN
    EXECUTE format('CREATE FUNCTION earlier_keys_count_until() RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE AS %L',
                   format('SELECT %L::TIMESTAMPTZ', CASE WHEN EXISTS (SELECT FROM clients)
                                                         THEN now() + INTERVAL '31 days' ELSE '-infinity' END));
END
$$;

-- Nothing writes the column any more, and a table's constraints are read anew by every statement that inserts.
ALTER TABLE outbox_messages DROP CONSTRAINT outbox_messages_attempts_check;

CREATE FUNCTION transfer_between_wallets(
    payer_client BIGINT, payer_wallet BIGINT, receiver_client BIGINT, named_currency SMALLINT,
    payer_amount BIGINT, receiver_amount BIGINT, asked UUID, digest UUID, asked_lock BIGINT, earlier_key TEXT,
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
    receiver_wallets BIGINT;
    only_currency SMALLINT;
    payer_entry BIGINT;
    receiver_entry BIGINT;
    receiver_balance BIGINT;
    received_at TIMESTAMPTZ;
BEGIN
    IF NOT pg_try_advisory_xact_lock(asked_lock) THEN
        outcome := 'request-in-flight';
        RETURN;
    END IF;
    SELECT kept.id, kept.request_digest INTO payment_id, kept_digest
      FROM payments AS kept WHERE kept.client_id = payer_client AND kept.request = asked;
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
    SELECT receiver.id INTO partner_wallet_id
      FROM wallets AS receiver WHERE receiver.client_id = receiver_client AND receiver.currency = partner_currency;
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
    IF partner_wallet_id IS NULL THEN
        -- No wallet where it was looked for: the receiver's only one, if it has one and none was named.
        presumed := coalesce(outcome, 'receiver-not-found');
        SELECT count(*), min(receiver.id), min(receiver.currency) INTO receiver_wallets, partner_wallet_id, only_currency
          FROM wallets AS receiver WHERE receiver.client_id = receiver_client;
        IF receiver_wallets = 0 THEN
            outcome := 'receiver-not-found';
        ELSIF named_currency IS NOT NULL THEN
            outcome := 'receiver-wallet-not-found';
        ELSIF receiver_wallets > 1 THEN
            outcome := 'receiver-currency-needed';
        ELSE
            partner_currency := only_currency;
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

    -- Each update locks its wallet, the first of the two first. The balance was looked at without a lock: if it has gone
    -- down since, everything is undone, and the caller asks again.
    FOR step IN 1 .. 2 LOOP
        IF ((payer_client, payer_wallet) < (receiver_client, partner_wallet_id)) = (step = 1) THEN
            UPDATE wallets AS wallet
               SET balance = wallet.balance - paid, entries = wallet.entries + 1, moved_at = GREATEST(wallet.moved_at, moment)
             WHERE wallet.client_id = payer_client AND wallet.id = payer_wallet AND wallet.balance >= paid
            RETURNING wallet.balance, wallet.entries, wallet.moved_at INTO balance, payer_entry, created_at;
            IF payer_entry IS NULL THEN
                RAISE EXCEPTION 'the balance of wallet % has gone down', payer_wallet
                    USING ERRCODE = 'check_violation', TABLE = 'wallets';
            END IF;
        ELSE
            UPDATE wallets AS wallet
               SET balance = wallet.balance + received, entries = wallet.entries + 1,
                   moved_at = GREATEST(wallet.moved_at, moment)
             WHERE wallet.client_id = receiver_client AND wallet.id = partner_wallet_id
            RETURNING wallet.balance, wallet.entries, wallet.moved_at INTO receiver_balance, receiver_entry, received_at;
        END IF;
    END LOOP;
    outcome := 'done';
    payment_id := nextval('payment_ids');
    transaction_id := transfer;
    amount := -paid;
    partner_amount := received;
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, request, request_digest, correlation_id)
    VALUES (payer_client, payment_id, transfer, 3, 2, payer_wallet, currency, amount,
            receiver_client, partner_wallet_id, partner_currency, received, exchange_rate,
            payer_entry, balance, created_at, created_at, asked, digest, correlation),
           (receiver_client, payment_id + 1, transfer, 3, 2, partner_wallet_id, partner_currency, received,
            payer_client, payer_wallet, currency, amount, exchange_rate,
            receiver_entry, receiver_balance, received_at, received_at, NULL, NULL, correlation);
    INSERT INTO outbox_messages (event_id, kind, ordering_key, source, source_key, source_id, destination_kind, destination,
                                 next_attempt_at, created_at)
    VALUES (transfer, 'transfer.done', 'client-' || payer_client, 'transfer_events', payer_client, payment_id,
            'topic', 'wallets.events', moment, moment),
           (received_event_id(transfer), 'transfer.received', 'client-' || receiver_client, 'transfer_events', receiver_client,
            payment_id + 1, 'topic', 'wallets.events', moment, moment);
END
$$;

-- Many transfers, in their order: an item sees what the items before it have done. A refused item leaves nothing behind;
-- where all have to succeed (all_or_none), one refusal leaves nothing of any. The batch's key covers the whole; an item may
-- have a key of its own, under which it is made once, in whatever batch or by itself. `whole` is 'done', 'replayed',
-- 'request-in-flight' or 'idempotency-key-reused', the same in every row. There is one row for each transfer; of the latter
-- two, and of a batch without any that could be asked for, there is one.
CREATE FUNCTION transfer_batch(
    payer_clients BIGINT[], payer_wallets BIGINT[], receiver_clients BIGINT[], named_currencies SMALLINT[],
    payer_amounts BIGINT[], receiver_amounts BIGINT[], own_requests UUID[], digests UUID[], earlier_keys TEXT[],
    transfers UUID[], asked UUID, asked_digest UUID, asked_lock BIGINT, correlation TEXT, all_or_none BOOLEAN,
    moment TIMESTAMPTZ, oldest_rate TIMESTAMPTZ
) RETURNS TABLE (
    whole TEXT, outcome TEXT, payment_id BIGINT, transaction_id UUID, currency SMALLINT, amount BIGINT,
    partner_wallet_id BIGINT, partner_currency SMALLINT, partner_amount BIGINT, exchange_rate NUMERIC,
    balance BIGINT, created_at TIMESTAMPTZ, rate_as_of TIMESTAMPTZ
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT INT := cardinality(transfers);
    before RECORD;
    -- Of the wallets that the items are about, sorted by client and id.
    clients BIGINT[];
    ids BIGINT[];
    currencies SMALLINT[];
    balances BIGINT[];
    entry_counts BIGINT[];
    moments TIMESTAMPTZ[];
    -- Of the items, in their order. Payer and receiver are places among the wallets; a payment that was made before stands
    -- in made, and first_of is the item of the same own key and payer: itself, or an earlier one.
    outcomes TEXT[] := array_fill(NULL::TEXT, ARRAY[size]);
    first_of INT[] := array_fill(NULL::INT, ARRAY[size]);
    made BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    kept_digests UUID[] := array_fill(NULL::UUID, ARRAY[size]);
    payers INT[] := array_fill(NULL::INT, ARRAY[size]);
    receivers INT[] := array_fill(NULL::INT, ARRAY[size]);
    paid BIGINT[] := payer_amounts;
    received BIGINT[] := receiver_amounts;
    rates NUMERIC[] := array_fill(NULL::NUMERIC, ARRAY[size]);
    rates_as_of TIMESTAMPTZ[] := array_fill(NULL::TIMESTAMPTZ, ARRAY[size]);
    payer_currencies SMALLINT[] := array_fill(NULL::SMALLINT, ARRAY[size]);
    receiver_currencies SMALLINT[] := array_fill(NULL::SMALLINT, ARRAY[size]);
    payer_balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    receiver_balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    payer_entries BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    receiver_entries BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    paid_at TIMESTAMPTZ[] := array_fill(NULL::TIMESTAMPTZ, ARRAY[size]);
    received_at TIMESTAMPTZ[] := array_fill(NULL::TIMESTAMPTZ, ARRAY[size]);
    -- By first_of: the item under the same own key that is made.
    made_of INT[] := array_fill(NULL::INT, ARRAY[size]);
    refused BOOLEAN := FALSE;
    refusal TEXT;
    converted RECORD;
    payer INT;
    receiver INT;
    same_key INT;
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
    ELSIF size = 0 THEN
        IF before.request IS NULL THEN
            INSERT INTO batch_requests (request, request_digest, outcomes, client_ids, payment_ids, currencies,
                                        receiver_currencies, balances, rates_as_of, created_at)
            VALUES (asked, asked_digest, '{}', '{}', '{}', '{}', '{}', '{}', '{}', moment);
        END IF;
        whole := CASE WHEN before.request IS NULL THEN 'done' ELSE 'replayed' END;
        RETURN NEXT;
        RETURN;
    ELSIF before.request IS NOT NULL THEN
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

    -- What the items are about, without a lock: wallets stay what they are. Each has the place of its wallets among those
    -- that are locked then.
    SELECT array_agg(wallet.client_id), array_agg(wallet.id), array_agg(wallet.currency)
      INTO clients, ids, currencies
      FROM (SELECT DISTINCT one.client_id FROM unnest(payer_clients || receiver_clients) AS one (client_id)) AS client
     CROSS JOIN LATERAL (SELECT found.client_id, found.id, found.currency FROM wallets AS found
                          WHERE found.client_id = client.client_id) AS wallet;
    SELECT array_agg(sorted.client_id), array_agg(sorted.id), array_agg(sorted.currency) INTO clients, ids, currencies
      FROM (SELECT wallet.* FROM unnest(clients, ids, currencies) AS wallet (client_id, id, currency)
             ORDER BY wallet.client_id, wallet.id) AS sorted;
    FOR n IN 1 .. size LOOP
        payer := array_position(ids, payer_wallets[n]);
        receiver := NULL;
        IF payer IS NULL OR clients[payer] <> payer_clients[n] THEN
            outcomes[n] := 'wallet-not-found';
            CONTINUE;
        END IF;
        payers[n] := payer;
        payer_currencies[n] := currencies[payer];
        SELECT choice.refusal, choice.chosen INTO refusal, receiver
          FROM choose_receiver_wallet(clients, currencies, receiver_clients[n], named_currencies[n], currencies[payer]) AS choice;
        receivers[n] := receiver;
        receiver_currencies[n] := currencies[receiver];
        IF refusal IS NOT NULL THEN
            NULL;
        ELSIF receiver = payer THEN
            refusal := 'same-wallet';
        ELSIF currencies[receiver] = currencies[payer] THEN
            rates[n] := 1;
            paid[n] := coalesce(payer_amounts[n], receiver_amounts[n]);
            received[n] := paid[n];
        ELSE
            SELECT * INTO converted
              FROM convert_at_counting_rate(currencies[payer], currencies[receiver], payer_amounts[n], receiver_amounts[n],
                                            oldest_rate);
            refusal := converted.refusal;
            paid[n] := converted.paid;
            received[n] := converted.received;
            rates[n] := converted.rate;
            rates_as_of[n] := converted.as_of;
        END IF;
        outcomes[n] := refusal;
    END LOOP;

    -- Locks, in their order, of those wallets alone that somebody pays from or into.
    SELECT array_agg(locked.balance), array_agg(locked.entries), array_agg(locked.moved_at)
      INTO balances, entry_counts, moments
      FROM unnest(clients, ids) WITH ORDINALITY AS wallet (client_id, id, place)
      LEFT JOIN LATERAL (SELECT found.balance, found.entries, found.moved_at FROM wallets AS found
                          WHERE found.client_id = wallet.client_id AND found.id = wallet.id
                            AND (wallet.place = ANY (payers) OR wallet.place = ANY (receivers))
                            FOR UPDATE) AS locked ON TRUE;
    -- What was made before under the items' own keys: whoever makes it changes the payer's wallet, or, from another wallet
    -- of the same client, meets the unique index.
    IF num_nonnulls(VARIADIC own_requests) > 0 THEN
        SELECT array_agg(item.first_n ORDER BY item.n), array_agg(kept.id ORDER BY item.n),
               array_agg(kept.request_digest ORDER BY item.n)
          INTO first_of, made, kept_digests
          FROM (SELECT one.*, CASE WHEN one.request IS NULL THEN one.n
                                   ELSE min(one.n) OVER (PARTITION BY one.client_id, one.request) END AS first_n
                  FROM unnest(payer_clients, own_requests) WITH ORDINALITY AS one (client_id, request, n)) AS item
          LEFT JOIN LATERAL (SELECT payment.id, payment.request_digest FROM payments AS payment
                              WHERE payment.client_id = item.client_id AND payment.request = item.request) AS kept ON TRUE;
    END IF;
    IF moment < earlier_keys_count_until() THEN
        SELECT array_agg(coalesce(made[item.n], earlier.payment_id) ORDER BY item.n),
               array_agg(CASE WHEN made[item.n] IS NULL THEN item.digest ELSE kept_digests[item.n] END ORDER BY item.n)
          INTO made, kept_digests
          FROM unnest(payer_clients, earlier_keys, digests) WITH ORDINALITY AS item (client_id, key, digest, n)
          LEFT JOIN LATERAL (SELECT request.payment_id FROM payment_requests AS request
                              WHERE request.client_id = item.client_id AND request.operation = 3 AND request.key = item.key
                                AND request.caller = '00000000-0000-0000-0000-000000000000'
                                AND substring(request.request_hash FROM 1 FOR 16) = uuid_send(item.digest)
                                AND request.created_at > moment - INTERVAL '30 days') AS earlier ON TRUE;
    END IF;

    FOR n IN 1 .. size LOOP
        payer := payers[n];
        receiver := receivers[n];
        payer_balances[n] := balances[payer];
        same_key := made_of[coalesce(first_of[n], n)];
        IF made[n] IS NOT NULL THEN
            outcomes[n] := CASE kept_digests[n] WHEN digests[n] THEN 'replayed' ELSE 'idempotency-key-reused' END;
        ELSIF same_key IS NOT NULL THEN
            outcomes[n] := CASE digests[same_key] WHEN digests[n] THEN 'replayed' ELSE 'idempotency-key-reused' END;
            made[n] := made[same_key];
        ELSIF outcomes[n] IS NOT NULL THEN
            NULL;
        ELSIF balances[payer] < paid[n] THEN
            outcomes[n] := 'insufficient-funds';
        ELSIF balances[receiver] > 9223372036854775807 - received[n] THEN
            outcomes[n] := 'amount-too-large';
        ELSE
            balances[payer] := balances[payer] - paid[n];
            balances[receiver] := balances[receiver] + received[n];
            entry_counts[payer] := entry_counts[payer] + 1;
            entry_counts[receiver] := entry_counts[receiver] + 1;
            moments[payer] := GREATEST(moments[payer], moment);
            moments[receiver] := GREATEST(moments[receiver], moment);
            payer_balances[n] := balances[payer];
            receiver_balances[n] := balances[receiver];
            payer_entries[n] := entry_counts[payer];
            receiver_entries[n] := entry_counts[receiver];
            paid_at[n] := moments[payer];
            received_at[n] := moments[receiver];
            made[n] := nextval('payment_ids');
            made_of[coalesce(first_of[n], n)] := n;
            outcomes[n] := 'done';
        END IF;
        IF outcomes[n] = 'idempotency-key-reused' THEN
            made[n] := NULL;
        END IF;
        refused := refused OR outcomes[n] NOT IN ('done', 'replayed');
    END LOOP;

    IF refused AND all_or_none THEN
        RETURN QUERY SELECT 'done', CASE WHEN item.outcome IN ('done', 'replayed') THEN 'not-done' ELSE item.outcome END,
                            NULL::BIGINT, NULL::UUID, item.currency, NULL::BIGINT, NULL::BIGINT, item.receiver_currency,
                            NULL::BIGINT, NULL::NUMERIC, item.balance, NULL::TIMESTAMPTZ, item.rate_as_of
                       FROM unnest(outcomes, payer_currencies, receiver_currencies, payer_balances, rates_as_of)
                            AS item (outcome, currency, receiver_currency, balance, rate_as_of);
        RETURN;
    END IF;

    UPDATE wallets AS wallet SET balance = changed.balance, entries = changed.entries, moved_at = changed.moved_at
      FROM unnest(clients, ids, balances, entry_counts, moments) AS changed (client_id, id, balance, entries, moved_at)
     WHERE wallet.client_id = changed.client_id AND wallet.id = changed.id AND wallet.entries <> changed.entries;
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at, request, request_digest, correlation_id)
    SELECT payer_clients[n], made[n], transfers[n], 3, 2, payer_wallets[n], payer_currencies[n], -paid[n],
           receiver_clients[n], ids[receivers[n]], currencies[receivers[n]], received[n], rates[n],
           payer_entries[n], payer_balances[n], paid_at[n], paid_at[n],
           own_requests[n], CASE WHEN own_requests[n] IS NOT NULL THEN digests[n] END, correlation
      FROM generate_series(1, size) AS item (n) WHERE outcomes[n] = 'done'
     UNION ALL
    SELECT receiver_clients[n], made[n] + 1, transfers[n], 3, 2, ids[receivers[n]], currencies[receivers[n]], received[n],
           payer_clients[n], payer_wallets[n], payer_currencies[n], -paid[n], rates[n],
           receiver_entries[n], receiver_balances[n], received_at[n], received_at[n], NULL, NULL, correlation
      FROM generate_series(1, size) AS item (n) WHERE outcomes[n] = 'done';
    INSERT INTO outbox_messages (event_id, kind, ordering_key, source, source_key, source_id, destination_kind, destination,
                                 next_attempt_at, created_at)
    SELECT CASE side WHEN 0 THEN transfers[n] ELSE received_event_id(transfers[n]) END,
           CASE side WHEN 0 THEN 'transfer.done' ELSE 'transfer.received' END,
           'client-' || CASE side WHEN 0 THEN payer_clients[n] ELSE receiver_clients[n] END,
           'transfer_events', CASE side WHEN 0 THEN payer_clients[n] ELSE receiver_clients[n] END, made[n] + side,
           'topic', 'wallets.events', moment, moment
      FROM generate_series(1, size) AS item (n), generate_series(0, 1) AS of_item (side) WHERE outcomes[n] = 'done'
     ORDER BY n, side;
    INSERT INTO batch_requests (request, request_digest, outcomes, client_ids, payment_ids, currencies,
                                receiver_currencies, balances, rates_as_of, created_at)
    VALUES (asked, asked_digest, outcomes, payer_clients, made, payer_currencies, receiver_currencies, payer_balances,
            rates_as_of, moment);

    RETURN QUERY
    SELECT 'done', item.outcome, item.made, payment.transaction_id, coalesce(payment.currency, item.currency),
           payment.amount, payment.partner_wallet_id, coalesce(payment.partner_currency, item.receiver_currency),
           payment.partner_amount, payment.exchange_rate,
           coalesce(payment.balance_after, item.balance), payment.created_at, item.rate_as_of
      FROM unnest(outcomes, payer_clients, made, payer_currencies, receiver_currencies, payer_balances, rates_as_of)
           WITH ORDINALITY AS item (outcome, client_id, made, currency, receiver_currency, balance, rate_as_of, n)
      LEFT JOIN LATERAL (
            SELECT transfers[n] AS transaction_id, item.currency, -paid[n] AS amount, ids[receivers[n]] AS partner_wallet_id,
                   currencies[receivers[n]] AS partner_currency, received[n] AS partner_amount,
                   rates[n]::NUMERIC(28, 12) AS exchange_rate, item.balance AS balance_after, paid_at[n] AS created_at
             WHERE item.outcome = 'done'
             UNION ALL
            SELECT kept.transaction_id, kept.currency, kept.amount, kept.partner_wallet_id,
                   kept.partner_currency, kept.partner_amount, kept.exchange_rate, kept.balance_after, kept.created_at
              FROM payments AS kept
             WHERE kept.client_id = item.client_id AND kept.id = item.made AND item.outcome = 'replayed') AS payment ON TRUE
     ORDER BY item.n;
END
$$;
