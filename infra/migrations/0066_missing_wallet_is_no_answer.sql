-- A receiver's wallet that isn't found is no answer. The payer's half has seen it, and wallets are neither deleted nor changed, so that
-- this is another database than the receiver's; its own may have credited it. The order waits (transfer_orders.retry_at).

CREATE OR REPLACE FUNCTION credit_transfers(
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
            RAISE EXCEPTION 'client % has no wallet % in currency % in this database',
                receiver_clients[n], receiver_wallets[n], receiver_currencies[n]
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The list of nodes has another order, or another address, than before.';
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
