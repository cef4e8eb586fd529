-- Many transfers in one call: the rules and the order of locks of transfer_between_wallets, the writes set by set. An
-- item sees what the items before it have done. A refused item leaves nothing behind; where all have to succeed
-- (all_or_none), one refusal leaves nothing of any.

CREATE FUNCTION transfer_batch(
    payer_clients BIGINT[], payer_wallets BIGINT[], receiver_clients BIGINT[], named_currencies SMALLINT[],
    payer_amounts BIGINT[], receiver_amounts BIGINT[], request_keys TEXT[], request_digests BYTEA[],
    transfers UUID[], events UUID[], correlation_id TEXT, all_or_none BOOLEAN
) RETURNS TABLE (
    outcome TEXT, payment_id BIGINT, transaction_id UUID, currency SMALLINT, amount BIGINT,
    partner_wallet_id BIGINT, partner_currency SMALLINT, partner_amount BIGINT, exchange_rate NUMERIC,
    balance BIGINT, created_at TIMESTAMPTZ
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    size CONSTANT INT := cardinality(request_keys);
    named CONSTANT BIGINT[] := payer_clients || receiver_clients;
    moment TIMESTAMPTZ;
    -- Of the wallets, sorted by client and id.
    clients BIGINT[];
    ids BIGINT[];
    currencies SMALLINT[];
    balances BIGINT[];
    entry_counts BIGINT[];
    codes TEXT[];
    exponents SMALLINT[];
    -- Of the items, in their order. first_of is the item whose key it is: itself, or an earlier one of the same key.
    outcomes TEXT[] := array_fill(NULL::TEXT, ARRAY[size]);
    first_of INT[];
    -- Ids for new payments, in the order of the items. A key that has one of them in the table was written by this call.
    offered CONSTANT BIGINT[] := ARRAY(SELECT nextval('payment_ids') FROM generate_series(1, size));
    made BIGINT[];
    kept_digests BYTEA[];
    is_new BOOLEAN[];
    payers INT[] := array_fill(NULL::INT, ARRAY[size]);
    receivers INT[] := array_fill(NULL::INT, ARRAY[size]);
    paid BIGINT[] := payer_amounts;
    received BIGINT[] := receiver_amounts;
    rates NUMERIC[] := array_fill(1::NUMERIC, ARRAY[size]);
    payer_currencies SMALLINT[] := array_fill(NULL::SMALLINT, ARRAY[size]);
    payer_balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    receiver_balances BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    payer_entries BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    receiver_entries BIGINT[] := array_fill(NULL::BIGINT, ARRAY[size]);
    -- The rates of every pair of the wallets' currencies, once there are two.
    pairs INT[];
    pair_rates NUMERIC[];
    -- Of the item in hand.
    refusal TEXT;
    payer INT;
    receiver INT;
    item_paid BIGINT;
    item_received BIGINT;
    rate NUMERIC;
    refused BOOLEAN := FALSE;
BEGIN
    INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id)
    SELECT item.client_id, 3, item.key, item.digest, item.offered
      FROM (SELECT DISTINCT ON (asked.client_id, asked.key) asked.*
              FROM unnest(payer_clients, request_keys, request_digests, offered) WITH ORDINALITY
                   AS asked (client_id, key, digest, offered, n)
             ORDER BY asked.client_id, asked.key, asked.n) AS item
        ON CONFLICT DO NOTHING;
    SELECT array_agg(asked.first_n ORDER BY asked.n), array_agg(request.payment_id ORDER BY asked.n),
           array_agg(request.request_hash ORDER BY asked.n),
           array_agg(request.payment_id = asked.offered ORDER BY asked.n)
      INTO first_of, made, kept_digests, is_new
      FROM (SELECT item.client_id, item.key, item.n, min(item.n) OVER same_key AS first_n,
                   min(item.offered) OVER same_key AS offered
              FROM unnest(payer_clients, request_keys, offered) WITH ORDINALITY AS item (client_id, key, offered, n)
            WINDOW same_key AS (PARTITION BY item.client_id, item.key)) AS asked
     CROSS JOIN LATERAL (SELECT kept.payment_id, kept.request_hash
                           FROM payment_requests AS kept
                          WHERE kept.client_id = asked.client_id AND kept.operation = 3 AND kept.key = asked.key OFFSET 0) AS request;

    SELECT array_agg(locked.client_id), array_agg(locked.id), array_agg(locked.currency), array_agg(locked.balance),
           array_agg(locked.entries), array_agg(iso.code), array_agg(iso.exponent)
      INTO clients, ids, currencies, balances, entry_counts, codes, exponents
      FROM (SELECT wallet.* FROM (SELECT DISTINCT one.client_id FROM unnest(named) AS one (client_id) ORDER BY 1) AS client
             CROSS JOIN LATERAL (SELECT client_id, id, currency, balance, entries FROM wallets
                                  WHERE client_id = client.client_id ORDER BY id FOR UPDATE) AS wallet) AS locked
      JOIN currencies AS iso ON iso.numeric_code = locked.currency;
    moment := clock_timestamp();
    IF EXISTS (SELECT FROM unnest(currencies) AS one (currency) WHERE one.currency <> currencies[1]) THEN
        SELECT array_agg(base.currency::INT * 1000 + quote.currency), array_agg(newest_exchange_rate(base.currency, quote.currency))
          INTO pairs, pair_rates
          FROM (SELECT DISTINCT one.currency FROM unnest(currencies) AS one (currency)) AS base,
               (SELECT DISTINCT one.currency FROM unnest(currencies) AS one (currency)) AS quote
         WHERE base.currency <> quote.currency;
    END IF;

    FOR n IN 1 .. size LOOP
        IF kept_digests[n] <> request_digests[n] THEN
            outcomes[n] := 'idempotency-key-reused';
        ELSIF NOT is_new[n] THEN
            outcomes[n] := 'replayed';
        ELSIF first_of[n] < n THEN
            -- The same item again: what it made, or why it didn't.
            outcomes[n] := CASE outcomes[first_of[n]] WHEN 'done' THEN 'replayed' ELSE outcomes[first_of[n]] END;
            payer_currencies[n] := payer_currencies[first_of[n]];
            payer_balances[n] := payer_balances[first_of[n]];
        ELSE
            refusal := NULL;
            rate := 1;
            payer := array_position(ids, payer_wallets[n]);
            IF payer IS NULL OR clients[payer] <> payer_clients[n] THEN
                refusal := 'wallet-not-found';
            ELSE
                payer_currencies[n] := currencies[payer];
                payer_balances[n] := balances[payer];
                SELECT choice.refusal, choice.chosen INTO refusal, receiver
                  FROM choose_receiver_wallet(clients, currencies, receiver_clients[n], named_currencies[n], currencies[payer]) AS choice;
            END IF;
            IF refusal IS NOT NULL THEN
                NULL;
            ELSIF receiver = payer THEN
                refusal := 'same-wallet';
            ELSIF currencies[payer] = currencies[receiver] THEN
                item_paid := coalesce(payer_amounts[n], receiver_amounts[n]);
                item_received := item_paid;
            ELSE
                rate := pair_rates[array_position(pairs, currencies[payer]::INT * 1000 + currencies[receiver])];
                SELECT converted.refusal, converted.paid, converted.received INTO refusal, item_paid, item_received
                  FROM convert_payment(rate, exponents[payer], exponents[receiver], payer_amounts[n], receiver_amounts[n])
                       AS converted;
            END IF;
            IF refusal IS NOT NULL THEN
                NULL;
            ELSIF balances[payer] < item_paid THEN
                refusal := 'insufficient-funds';
            ELSIF balances[receiver] > 9223372036854775807 - item_received THEN
                refusal := 'amount-too-large';
            ELSE
                balances[payer] := balances[payer] - item_paid;
                balances[receiver] := balances[receiver] + item_received;
                entry_counts[payer] := entry_counts[payer] + 1;
                entry_counts[receiver] := entry_counts[receiver] + 1;
                payers[n] := payer;
                receivers[n] := receiver;
                paid[n] := item_paid;
                received[n] := item_received;
                rates[n] := rate;
                payer_balances[n] := balances[payer];
                receiver_balances[n] := balances[receiver];
                payer_entries[n] := entry_counts[payer];
                receiver_entries[n] := entry_counts[receiver];
            END IF;
            outcomes[n] := coalesce(refusal, 'done');
        END IF;
        refused := refused OR outcomes[n] NOT IN ('done', 'replayed');
    END LOOP;

    IF refused THEN
        -- The keys of what is refused are free again.
        DELETE FROM payment_requests AS request
         USING unnest(payer_clients, request_keys, outcomes, is_new, first_of) WITH ORDINALITY AS item (client_id, key, outcome, is_new, first_of, n)
         WHERE request.client_id = item.client_id AND request.operation = 3 AND request.key = item.key
           AND item.is_new AND item.first_of = item.n AND (all_or_none OR item.outcome <> 'done');
        IF all_or_none THEN
            RETURN QUERY SELECT CASE WHEN item.outcome IN ('done', 'replayed') THEN 'not-done' ELSE item.outcome END,
                                NULL::BIGINT, NULL::UUID, item.currency, NULL::BIGINT, NULL::BIGINT, NULL::SMALLINT,
                                NULL::BIGINT, NULL::NUMERIC, item.balance, NULL::TIMESTAMPTZ
                           FROM unnest(outcomes, payer_currencies, payer_balances) AS item (outcome, currency, balance);
            RETURN;
        END IF;
    END IF;

    UPDATE wallets AS wallet SET balance = changed.balance, entries = changed.entries
      FROM unnest(clients, ids, balances, entry_counts) AS changed (client_id, id, balance, entries)
     WHERE wallet.client_id = changed.client_id AND wallet.id = changed.id AND wallet.entries <> changed.entries;
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at)
    SELECT payer_clients[n], made[n], transfers[n], 3, 2, payer_wallets[n], currencies[payers[n]], -paid[n],
           receiver_clients[n], ids[receivers[n]], currencies[receivers[n]], received[n], rates[n],
           payer_entries[n], payer_balances[n], moment, moment
      FROM generate_series(1, size) AS item (n) WHERE outcomes[n] = 'done'
     UNION ALL
    SELECT receiver_clients[n], made[n] + 1, transfers[n], 3, 2, ids[receivers[n]], currencies[receivers[n]], received[n],
           payer_clients[n], payer_wallets[n], currencies[payers[n]], -paid[n], rates[n],
           receiver_entries[n], receiver_balances[n], moment, moment
      FROM generate_series(1, size) AS item (n) WHERE outcomes[n] = 'done';
    INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination)
    SELECT events[n], 'transfer.done', 'client-' || payer_clients[n],
           transfer_event(events[n], correlation_id, moment, transfers[n], rates[n],
                          payer_clients[n], payer_wallets[n], codes[payers[n]], paid[n],
                          receiver_clients[n], ids[receivers[n]], codes[receivers[n]], received[n]),
           'topic', 'wallets.events'
      FROM generate_series(1, size) AS item (n) WHERE outcomes[n] = 'done';

    RETURN QUERY
    SELECT item.outcome, item.made, payment.transaction_id, coalesce(payment.currency, item.currency), payment.amount,
           payment.partner_wallet_id, payment.partner_currency, payment.partner_amount, payment.exchange_rate,
           coalesce(payment.balance_after, item.balance), payment.created_at
      FROM unnest(outcomes, payer_clients, made, payer_currencies, payer_balances) WITH ORDINALITY
           AS item (outcome, client_id, made, currency, balance, n)
      LEFT JOIN LATERAL (
            SELECT transfers[n] AS transaction_id, item.currency, -paid[n] AS amount, ids[receivers[n]] AS partner_wallet_id,
                   currencies[receivers[n]] AS partner_currency, received[n] AS partner_amount,
                   rates[n]::NUMERIC(28, 12) AS exchange_rate, item.balance AS balance_after, moment AS created_at
             WHERE item.outcome = 'done'
             UNION ALL
            SELECT kept.transaction_id, kept.currency, kept.amount, kept.partner_wallet_id,
                   kept.partner_currency, kept.partner_amount,
                   kept.exchange_rate, kept.balance_after, kept.created_at
              FROM payments AS kept
             WHERE kept.client_id = item.client_id AND kept.id = item.made AND item.outcome = 'replayed') AS payment ON TRUE
     ORDER BY item.n;
END
$$;
