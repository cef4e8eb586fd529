-- A payer's half finds the wallets of a receiver of its own node itself, where the caller gives none. Asking for them beforehand,
-- in a round trip of its own, was a quarter of what a deferred transfer cost.

CREATE OR REPLACE FUNCTION debit(
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

    IF receiver_wallets IS NULL THEN
        looked_at_now := TRUE;
        SELECT coalesce(array_agg(own.id ORDER BY own.id), '{}'), coalesce(array_agg(own.currency ORDER BY own.id), '{}')
          INTO receiver_wallets, receiver_currencies
          FROM wallets AS own WHERE own.client_id = receiver_client;
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
