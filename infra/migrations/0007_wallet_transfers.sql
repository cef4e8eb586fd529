-- A transfer is one call of one function, one round trip: transfer_between_wallets, or transfer_batch for many at once.
--
-- Order of locks, the same in everything that moves money between wallets, so that nobody waits in a circle: first the
-- idempotency keys, sorted; then the wallets, sorted by client and id. A wallet never changes its client or currency, so
-- that which wallets a transfer is about is found out without a lock.
--
-- The functions answer with an outcome instead of failing: 'done'; 'replayed', with the payment that the same request
-- made before; or the code of a refusal, and then nothing has been written. Spec "Wallets", Signs and Operations.

-- Exact: integers only, and one rounding; from the middle to the even neighbour.
CREATE FUNCTION divide_half_even(dividend NUMERIC, divisor NUMERIC) RETURNS NUMERIC
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT div(dividend, divisor) + CASE
        WHEN 2 * mod(dividend, divisor) > divisor THEN 1
        WHEN 2 * mod(dividend, divisor) = divisor THEN mod(div(dividend, divisor), 2)
        ELSE 0
    END
$$;

-- What is paid and received at a rate, where either the one or the other amount is given. It is held against
-- domain::wallets::conversion by a test. A receiver's amount that no payer's amount gives exactly is refused.
CREATE FUNCTION convert_payment(
    rate NUMERIC, payer_exponent SMALLINT, receiver_exponent SMALLINT, payer_amount BIGINT, receiver_amount BIGINT,
    OUT refusal TEXT, OUT paid BIGINT, OUT received BIGINT
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    largest CONSTANT NUMERIC := 9223372036854775807;
    -- received = paid × multiplier ÷ divisor, both whole: a rate has twelve decimals.
    multiplier CONSTANT NUMERIC := rate * ('1e' || 12 + receiver_exponent)::NUMERIC;
    divisor CONSTANT NUMERIC := ('1e' || 12 + payer_exponent)::NUMERIC;
    found NUMERIC;
BEGIN
    IF rate IS NULL THEN
        refusal := 'no-exchange-rate';
        RETURN;
    END IF;
    IF payer_amount IS NOT NULL THEN
        found := divide_half_even(payer_amount * multiplier, divisor);
    ELSE
        found := divide_half_even(receiver_amount * divisor, multiplier);
    END IF;
    IF found > largest THEN
        refusal := 'amount-too-large';
        RETURN;
    END IF;
    paid := coalesce(payer_amount, found);
    received := coalesce(receiver_amount, found);
    IF found = 0 THEN
        refusal := 'amount-converts-to-nothing';
    ELSIF payer_amount IS NULL AND divide_half_even(paid * multiplier, divisor) <> received THEN
        refusal := 'amount-not-payable';
    END IF;
END
$$;

-- The position of the receiver's wallet among wallets that are sorted by client: of the currency that is named; else of
-- the payer's currency; else the only one.
CREATE FUNCTION choose_receiver_wallet(
    clients BIGINT[], currencies SMALLINT[], receiver_client BIGINT, named_currency SMALLINT, payer_currency SMALLINT,
    OUT refusal TEXT, OUT chosen INT
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    first CONSTANT INT := array_position(clients, receiver_client);
    wallet INT := first;
BEGIN
    IF first IS NULL THEN
        refusal := 'receiver-not-found';
        RETURN;
    END IF;
    WHILE clients[wallet] = receiver_client LOOP
        IF currencies[wallet] = coalesce(named_currency, payer_currency) THEN
            chosen := wallet;
            RETURN;
        END IF;
        wallet := wallet + 1;
    END LOOP;
    IF named_currency IS NOT NULL THEN
        refusal := 'receiver-wallet-not-found';
    ELSIF wallet > first + 1 THEN
        refusal := 'receiver-currency-needed';
    ELSE
        chosen := first;
    END IF;
END
$$;

CREATE FUNCTION newest_exchange_rate(base_currency SMALLINT, quote_currency SMALLINT) RETURNS NUMERIC
LANGUAGE sql STABLE AS $$
    SELECT rate FROM exchange_rates WHERE base = base_currency AND quote = quote_currency ORDER BY as_of DESC LIMIT 1
$$;

-- The event of a transfer, in the platform's envelope.
CREATE FUNCTION transfer_event(
    event UUID, correlation_id TEXT, moment TIMESTAMPTZ, transfer UUID, rate NUMERIC,
    payer_client BIGINT, payer_wallet BIGINT, payer_code TEXT, paid BIGINT,
    receiver_client BIGINT, receiver_wallet BIGINT, receiver_code TEXT, received BIGINT
) RETURNS JSONB LANGUAGE sql STABLE AS $$
    SELECT format(
        '{"id":"%s","type":"transfer.done","occurred_at":"%s","key":"client-%s","correlation_id":%s,"data":{'
        '"transaction_id":"%s","exchange_rate":"%s",'
        '"payer_client_id":%s,"payer_wallet_id":%s,"payer_currency":"%s","payer_amount":%s,'
        '"receiver_client_id":%s,"receiver_wallet_id":%s,"receiver_currency":"%s","receiver_amount":%s}}',
        event, to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), payer_client, to_json(correlation_id),
        transfer, trim_scale(rate), payer_client, payer_wallet, payer_code, paid,
        receiver_client, receiver_wallet, receiver_code, received)::JSONB
$$;

CREATE FUNCTION transfer_between_wallets(
    payer_client BIGINT, payer_wallet BIGINT, receiver_client BIGINT, named_currency SMALLINT,
    payer_amount BIGINT, receiver_amount BIGINT, request_key TEXT, request_digest BYTEA, request_lock BIGINT,
    transfer UUID, event UUID, correlation_id TEXT,
    OUT outcome TEXT, OUT payment_id BIGINT, OUT transaction_id UUID, OUT currency SMALLINT, OUT amount BIGINT,
    OUT partner_wallet_id BIGINT, OUT partner_currency SMALLINT, OUT partner_amount BIGINT, OUT exchange_rate NUMERIC,
    OUT balance BIGINT, OUT created_at TIMESTAMPTZ
) LANGUAGE plpgsql
-- A plan for the values at hand costs more to make than it saves: every statement here is by key.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    payer_code TEXT;
    payer_exponent SMALLINT;
    receiver_code TEXT;
    receiver_exponent SMALLINT;
    receiver_clients BIGINT[];
    receiver_wallets BIGINT[];
    receiver_currencies SMALLINT[];
    chosen INT;
    paid BIGINT;
    received BIGINT;
    payer_entry BIGINT;
    receiver_entry BIGINT;
    receiver_balance BIGINT;
    kept_digest BYTEA;
BEGIN
    IF NOT pg_try_advisory_xact_lock(request_lock) THEN
        outcome := 'request-in-flight';
        RETURN;
    END IF;
    -- What nearly every transfer needs, in one look: the wallet of the named currency, else of the payer's.
    SELECT payer.currency, payer.balance, iso.code, iso.exponent, receiver.id, receiver.currency
      INTO currency, balance, payer_code, payer_exponent, partner_wallet_id, partner_currency
      FROM wallets AS payer
      JOIN currencies AS iso ON iso.numeric_code = payer.currency
      LEFT JOIN wallets AS receiver
        ON receiver.client_id = receiver_client AND receiver.currency = coalesce(named_currency, payer.currency)
     WHERE payer.client_id = payer_client AND payer.id = payer_wallet;
    IF currency IS NULL THEN
        outcome := 'wallet-not-found';
        RETURN;
    END IF;
    IF partner_wallet_id IS NULL THEN
        SELECT array_agg(found.client_id), array_agg(found.id), array_agg(found.currency)
          INTO receiver_clients, receiver_wallets, receiver_currencies
          FROM wallets AS found WHERE found.client_id = receiver_client;
        SELECT choice.refusal, choice.chosen INTO outcome, chosen
          FROM choose_receiver_wallet(receiver_clients, receiver_currencies, receiver_client, named_currency, currency) AS choice;
        partner_wallet_id := receiver_wallets[chosen];
        partner_currency := receiver_currencies[chosen];
    END IF;
    IF partner_currency = currency THEN
        paid := coalesce(payer_amount, receiver_amount);
        received := paid;
        exchange_rate := 1;
        receiver_code := payer_code;
        IF payer_wallet = partner_wallet_id AND payer_client = receiver_client THEN
            outcome := 'same-wallet';
        ELSIF balance < paid THEN
            outcome := 'insufficient-funds';
        END IF;
    ELSIF outcome IS NULL THEN
        exchange_rate := newest_exchange_rate(currency, partner_currency);
        SELECT iso.code, iso.exponent INTO receiver_code, receiver_exponent
          FROM currencies AS iso WHERE iso.numeric_code = partner_currency;
        SELECT converted.refusal, converted.paid, converted.received INTO outcome, paid, received
          FROM convert_payment(exchange_rate, payer_exponent, receiver_exponent, payer_amount, receiver_amount) AS converted;
        IF outcome IS NULL AND balance < paid THEN
            outcome := 'insufficient-funds';
        END IF;
    END IF;
    IF outcome IS NULL THEN
        INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id)
        VALUES (payer_client, 3, request_key, request_digest, nextval('payment_ids'))
        ON CONFLICT DO NOTHING RETURNING payment_requests.payment_id INTO payment_id;
    END IF;

    IF payment_id IS NULL THEN
        -- Refused, or asked before: then it is answered as it was, whatever has become of the balance since.
        SELECT NULL, NULL, NULL INTO partner_wallet_id, partner_currency, exchange_rate;
        SELECT asked.request_hash, asked.payment_id INTO kept_digest, payment_id FROM payment_requests AS asked
         WHERE asked.client_id = payer_client AND asked.operation = 3 AND asked.key = request_key;
        IF payment_id IS NULL THEN
            RETURN;
        ELSIF kept_digest <> request_digest THEN
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

    -- Each update locks its wallet, the first of the two first. The balance was looked at without a lock: if it has
    -- gone down since, the wallet's constraint undoes everything, and the caller asks again.
    FOR step IN 1 .. 2 LOOP
        IF ((payer_client, payer_wallet) < (receiver_client, partner_wallet_id)) = (step = 1) THEN
            UPDATE wallets AS wallet SET balance = wallet.balance - paid, entries = wallet.entries + 1
             WHERE wallet.client_id = payer_client AND wallet.id = payer_wallet
            RETURNING wallet.balance, wallet.entries INTO balance, payer_entry;
        ELSE
            UPDATE wallets AS wallet SET balance = wallet.balance + received, entries = wallet.entries + 1
             WHERE wallet.client_id = receiver_client AND wallet.id = partner_wallet_id
            RETURNING wallet.balance, wallet.entries INTO receiver_balance, receiver_entry;
        END IF;
    END LOOP;
    outcome := 'done';
    transaction_id := transfer;
    amount := -paid;
    partner_amount := received;
    created_at := clock_timestamp();
    INSERT INTO payments (client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount,
                          partner_client_id, partner_wallet_id, partner_currency, partner_amount, exchange_rate,
                          entry, balance_after, created_at, updated_at)
    VALUES (payer_client, payment_id, transfer, 3, 2, payer_wallet, currency, amount,
            receiver_client, partner_wallet_id, partner_currency, received, exchange_rate,
            payer_entry, balance, created_at, created_at),
           (receiver_client, payment_id + 1, transfer, 3, 2, partner_wallet_id, partner_currency, received,
            payer_client, payer_wallet, currency, amount, exchange_rate,
            receiver_entry, receiver_balance, created_at, created_at);
    INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination)
    VALUES (event, 'transfer.done', 'client-' || payer_client,
            transfer_event(event, correlation_id, created_at, transfer, exchange_rate, payer_client, payer_wallet, payer_code,
                           paid, receiver_client, partner_wallet_id, receiver_code, received),
            'topic', 'wallets.events');
END
$$;
