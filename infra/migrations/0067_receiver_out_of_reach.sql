-- One receiver whose node is out of reach refuses its own transfer of a batch, and no other: each says when its wallets were looked
-- at, NULL where that can't be done now. Before, none of the batch was made then.

CREATE FUNCTION debit_transfers(
    payer_clients BIGINT[], payer_wallets BIGINT[], receiver_clients BIGINT[], named_currencies SMALLINT[],
    payer_amounts BIGINT[], receiver_amounts BIGINT[], receiver_wallets BIGINT[], receiver_currencies SMALLINT[],
    firsts INT[], lasts INT[], looked_at_now BOOLEAN[], receiver_slots SMALLINT[],
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
                         coalesce(looked_at_now[n], FALSE), receiver_slots[n], own_requests[n], digests[n], NULL, earlier_keys[n],
                         transfers[n], correlation, moment, oldest_rate);
            IF one.outcome = 'look-again' AND looked_at_now[n] IS NULL AND NOT all_or_none THEN
                one.outcome := 'receiver-out-of-reach';
            END IF;
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

-- By its old name, for the release before: all of them looked at now, or not.
CREATE OR REPLACE FUNCTION debit_batch(
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
) LANGUAGE sql AS $$
    SELECT * FROM debit_transfers($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, array_fill($11, ARRAY[cardinality($16)]), $12, $13, $14,
                                  $15, $16, $17, $18, $19, $20, $21, $22, $23)
$$;
