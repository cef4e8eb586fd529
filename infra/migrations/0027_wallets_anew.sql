-- The wallets' tables without partitions, keys that belong to their callers, times that are parameters. Spec "Wallets".
--
-- The functions of the release before go on to work on these tables until they are replaced; the ones in the database
-- that only they call (transfer_between_wallets and transfer_batch as of 0007 and 0008) a later migration drops.

-- Unpartitioned: on one node partitions took 15 to 18 % of a transfer, and an engine that splits by client_id makes its own.
-- Every key begins with client_id as before.
CREATE SCHEMA partitioned;
ALTER TABLE clients SET SCHEMA partitioned;
ALTER TABLE wallets SET SCHEMA partitioned;
ALTER TABLE payments SET SCHEMA partitioned;
ALTER TABLE payment_requests SET SCHEMA partitioned;
ALTER TABLE wallet_differences SET SCHEMA partitioned;

CREATE TABLE clients (
    client_id     BIGINT      PRIMARY KEY DEFAULT nextval('client_ids') CHECK (client_id > 0),
    caller        UUID,
    external_ref  TEXT,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    reconciled_at TIMESTAMPTZ
);
COMMENT ON COLUMN clients.caller IS
    'Hash of the issuer and subject that registered it; null where that was before callers were kept.';
COMMENT ON COLUMN clients.reconciled_at IS 'Not used any more: see wallet_checkpoints.';

CREATE TABLE wallets (
    client_id  BIGINT      NOT NULL REFERENCES clients,
    id         BIGINT      NOT NULL DEFAULT nextval('wallet_ids'),
    currency   SMALLINT    NOT NULL REFERENCES currencies,
    balance    BIGINT      NOT NULL DEFAULT 0 CHECK (balance >= 0),
    entries    BIGINT      NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    moved_at   TIMESTAMPTZ NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (client_id, id),
    UNIQUE (client_id, currency)
) WITH (fillfactor = 50);
COMMENT ON COLUMN wallets.entries IS 'How many entries there are: the number of the newest.';
COMMENT ON COLUMN wallets.moved_at IS 'The time of the newest entry; the next one is never dated before it.';

CREATE TABLE payments (
    client_id            BIGINT          NOT NULL,
    id                   BIGINT          NOT NULL,
    transaction_id       UUID            NOT NULL,
    payment_type         SMALLINT        NOT NULL,
    payment_status       SMALLINT        NOT NULL,
    wallet_id            BIGINT          NOT NULL,
    currency             SMALLINT        NOT NULL,
    amount               BIGINT          NOT NULL,
    partner_client_id    BIGINT          NOT NULL,
    partner_wallet_id    BIGINT          NOT NULL,
    partner_currency     SMALLINT        NOT NULL,
    partner_amount       BIGINT          NOT NULL,
    exchange_rate        NUMERIC(28, 12) NOT NULL,
    entry                BIGINT          NOT NULL,
    balance_after        BIGINT          NOT NULL,
    return_entry         BIGINT,
    return_balance_after BIGINT,
    created_at           TIMESTAMPTZ     NOT NULL,
    updated_at           TIMESTAMPTZ     NOT NULL,
    request              UUID,
    request_digest       UUID,
    correlation_id       TEXT,
    PRIMARY KEY (client_id, id),
    UNIQUE (client_id, wallet_id, entry)
);
COMMENT ON TABLE payments IS
    'Two rows for a transfer, the payer''s and the receiver''s; one for a recharge or a withdrawal.';
COMMENT ON COLUMN payments.payment_type IS '1 recharge, 2 withdraw, 3 transfer';
COMMENT ON COLUMN payments.payment_status IS '1 pending, 2 done, 3 failed';
COMMENT ON COLUMN payments.exchange_rate IS 'Payer''s currency to receiver''s currency, at the moment of the transaction.';
COMMENT ON COLUMN payments.entry IS
    'Its number among the entries of its wallet, without gaps. A failed withdrawal has a second one: return_entry.';
COMMENT ON COLUMN payments.request IS
    'Of a transfer''s payer: hash of caller, operation and Idempotency-Key; null in a batch without a key of its own.';
COMMENT ON COLUMN payments.request_digest IS 'Hash of the request that came under that key.';
COMMENT ON COLUMN payments.correlation_id IS 'Of a transfer: the work that caused it, for its event. Null before 0027.';

CREATE TABLE payment_requests (
    client_id    BIGINT      NOT NULL,
    operation    SMALLINT    NOT NULL,
    key          TEXT        NOT NULL,
    caller       UUID        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    request_hash BYTEA       NOT NULL,
    payment_id   BIGINT      NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, operation, key, caller)
);
COMMENT ON TABLE payment_requests IS
    'The Idempotency-Keys of all but transfers, each written with the payment that it made, and kept as long as that.';
COMMENT ON COLUMN payment_requests.operation IS '1 recharge, 2 withdraw, 3 transfer (before 0027), 4 settlement';
COMMENT ON COLUMN payment_requests.caller IS
    'Hash of issuer and subject. Zero from before callers were kept: such a key counts for whoever sends the same request.';

CREATE TABLE wallet_differences (
    client_id   BIGINT      NOT NULL,
    id          BIGINT      NOT NULL DEFAULT nextval('wallet_difference_ids'),
    wallet_id   BIGINT      NOT NULL,
    payment_id  BIGINT,
    kind        TEXT        NOT NULL,
    expected    TEXT        NOT NULL,
    found       TEXT        NOT NULL,
    found_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    resolved_at TIMESTAMPTZ,
    PRIMARY KEY (client_id, id)
);
COMMENT ON TABLE wallet_differences IS 'What reconcile_wallets has found and a person has to resolve.';

INSERT INTO clients (client_id, external_ref, created_at, reconciled_at)
SELECT client_id, external_ref, created_at, reconciled_at FROM partitioned.clients;
INSERT INTO payments
SELECT client_id, id, transaction_id, payment_type, payment_status, wallet_id, currency, amount, partner_client_id,
       partner_wallet_id, partner_currency, partner_amount, exchange_rate, entry, balance_after, return_entry,
       return_balance_after, created_at, updated_at
  FROM partitioned.payments;
INSERT INTO wallets (client_id, id, currency, balance, entries, created_at, moved_at)
SELECT wallet.client_id, wallet.id, wallet.currency, wallet.balance, wallet.entries, wallet.created_at,
       coalesce((SELECT max(CASE WHEN payment.return_entry IS NULL THEN payment.created_at ELSE payment.updated_at END)
                   FROM payments AS payment
                  WHERE payment.client_id = wallet.client_id AND payment.wallet_id = wallet.id), '-infinity')
  FROM partitioned.wallets AS wallet;
INSERT INTO payment_requests (client_id, operation, key, request_hash, payment_id, created_at)
SELECT client_id, operation, key, request_hash, payment_id, created_at FROM partitioned.payment_requests;
INSERT INTO wallet_differences SELECT * FROM partitioned.wallet_differences;
DROP SCHEMA partitioned CASCADE;

CREATE INDEX payments_withdrawal ON payments (client_id, transaction_id) WHERE payment_type = 2;
CREATE UNIQUE INDEX payments_returned ON payments (client_id, wallet_id, return_entry) WHERE return_entry IS NOT NULL;
CREATE UNIQUE INDEX payments_request ON payments (client_id, request) WHERE request IS NOT NULL;

-- References, and keys of registrations without one, live by the hash of caller and reference.
CREATE TABLE client_names (
    name           UUID   PRIMARY KEY,
    client_id      BIGINT NOT NULL,
    request_digest UUID
);
COMMENT ON TABLE client_names IS
    'Leads from a caller''s own name of a client, or the key it was registered under, to the client_id.';
COMMENT ON COLUMN client_names.name IS 'Hash of the caller and its reference or key.';
COMMENT ON COLUMN client_names.request_digest IS 'Of a key: hash of the request that came under it.';
COMMENT ON TABLE client_references IS
    'References from before callers were kept (client_names): each leads whoever asks to the client that has it.';

-- The Idempotency-Keys of batches, each with what all of its transfers came to.
CREATE TABLE batch_requests (
    request             UUID          PRIMARY KEY,
    request_digest      UUID          NOT NULL,
    outcomes            TEXT[]        NOT NULL,
    client_ids          BIGINT[]      NOT NULL,
    payment_ids         BIGINT[]      NOT NULL,
    currencies          SMALLINT[]    NOT NULL,
    receiver_currencies SMALLINT[]    NOT NULL,
    balances            BIGINT[]      NOT NULL,
    rates_as_of         TIMESTAMPTZ[] NOT NULL,
    created_at          TIMESTAMPTZ   NOT NULL
);
COMMENT ON TABLE batch_requests IS 'Batches under their Idempotency-Keys, with what each transfer came to.';

-- What the code should never do, the database refuses. Of a row's rules the one-sided ones: the other side of a transfer
-- may live on another node, and reconcile_wallets compares the two. A trigger of rows costs a fifth of one of statements
-- with a transition table.
CREATE FUNCTION refuse_unsound_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF payment_is_sound(NEW.payment_type, NEW.payment_status, NEW.amount, NEW.partner_client_id, NEW.partner_amount,
                        NEW.exchange_rate, NEW.balance_after, NEW.return_entry, NEW.return_balance_after) IS NOT TRUE THEN
        RAISE EXCEPTION 'payment % of client % breaks the rules of a payment', NEW.id, NEW.client_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_is_sound', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
DROP FUNCTION refuse_unsound_payments();

CREATE TRIGGER payments_are_sound BEFORE INSERT ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_unsound_payment();
CREATE TRIGGER payments_stay BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_changed_payment();
CREATE TRIGGER payments_are_kept BEFORE DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_change('payments are kept for good');
CREATE TRIGGER payments_are_kept_whole BEFORE TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('payments are kept for good');
CREATE TRIGGER wallets_are_kept BEFORE DELETE ON wallets
    FOR EACH ROW EXECUTE FUNCTION refuse_change('wallets are kept for good');
-- Of statements, not of rows: before a row's trigger the row is locked, which every change of a balance would pay for.
CREATE TRIGGER wallets_stay BEFORE UPDATE OF client_id, id, currency ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a wallet stays its client''s, in its currency');

-- What is paid and received at a rate, where either the one or the other amount is given. It is held against
-- domain::wallets::quote by a test. What is received is rounded down, what is paid for a fixed amount up, so that
-- nobody gains by converting there and back, or in slices. Exact: both factors are whole, a rate has twelve decimals.
CREATE OR REPLACE FUNCTION convert_payment(
    rate NUMERIC, payer_exponent SMALLINT, receiver_exponent SMALLINT, payer_amount BIGINT, receiver_amount BIGINT,
    OUT refusal TEXT, OUT paid BIGINT, OUT received BIGINT
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    largest CONSTANT NUMERIC := 9223372036854775807;
    multiplier CONSTANT NUMERIC := rate * ('1e' || 12 + receiver_exponent)::NUMERIC;
    divisor CONSTANT NUMERIC := ('1e' || 12 + payer_exponent)::NUMERIC;
    found NUMERIC;
BEGIN
    IF rate IS NULL THEN
        refusal := 'no-exchange-rate';
        RETURN;
    END IF;
    IF payer_amount IS NOT NULL THEN
        found := div(payer_amount * multiplier, divisor);
    ELSE
        found := div(receiver_amount * divisor + multiplier - 1, multiplier);
    END IF;
    IF found > largest THEN
        refusal := 'amount-too-large';
        RETURN;
    END IF;
    paid := coalesce(payer_amount, found);
    received := coalesce(receiver_amount, found);
    IF found = 0 THEN
        refusal := 'amount-converts-to-nothing';
    END IF;
END
$$;

-- The rate that counts for a pair, the newest, and as of when it is.
CREATE FUNCTION counting_exchange_rate(
    base_currency SMALLINT, quote_currency SMALLINT, OUT rate NUMERIC, OUT as_of TIMESTAMPTZ
) LANGUAGE sql STABLE AS $$
    SELECT one.rate, one.as_of FROM exchange_rates AS one
     WHERE one.base = base_currency AND one.quote = quote_currency ORDER BY one.as_of DESC, one.revision DESC LIMIT 1
$$;

-- Both amounts of a transfer from one currency to another at the rate that counts, which may not be older than a time.
CREATE FUNCTION convert_at_counting_rate(
    payer_currency SMALLINT, receiver_currency SMALLINT, payer_amount BIGINT, receiver_amount BIGINT, oldest_rate TIMESTAMPTZ,
    OUT refusal TEXT, OUT paid BIGINT, OUT received BIGINT, OUT rate NUMERIC, OUT as_of TIMESTAMPTZ
) LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT counting.rate, counting.as_of INTO rate, as_of
      FROM counting_exchange_rate(payer_currency, receiver_currency) AS counting;
    IF as_of < oldest_rate THEN
        refusal := 'exchange-rate-too-old';
        RETURN;
    END IF;
    SELECT converted.refusal, converted.paid, converted.received INTO refusal, paid, received
      FROM convert_payment(rate,
                           (SELECT iso.exponent FROM currencies AS iso WHERE iso.numeric_code = payer_currency),
                           (SELECT iso.exponent FROM currencies AS iso WHERE iso.numeric_code = receiver_currency),
                           payer_amount, receiver_amount) AS converted;
END
$$;

-- The event that a payer's side of a transfer tells of has the transaction's id, the receiver's one bit of it turned.
CREATE FUNCTION received_event_id(transaction_id UUID) RETURNS UUID LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT encode(set_bit(uuid_send(transaction_id), 120, 1 - get_bit(uuid_send(transaction_id), 120)), 'hex')::UUID
$$;

-- A source's rows may have a key of two numbers: each client's have its id before theirs.
ALTER TABLE outbox_messages ADD COLUMN source_key BIGINT;
COMMENT ON COLUMN outbox_messages.source_key IS
    'Where the source''s rows are found by two numbers, the first: the view has it as the column key. Null otherwise.';

CREATE FUNCTION outbox_events_of_source(source TEXT, keys BIGINT[], ids BIGINT[])
    RETURNS TABLE (source_key BIGINT, source_id BIGINT, payload JSONB) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF to_regclass(quote_ident(source)) IS NULL THEN
        RETURN;
    END IF;
    IF num_nulls(VARIADIC keys) > 0 THEN
        RETURN QUERY EXECUTE format('SELECT NULL::BIGINT, event.id::BIGINT, event.payload::JSONB '
                                    'FROM %I AS event WHERE event.id = ANY ($1)', source)
            USING ARRAY(SELECT named.id FROM unnest(keys, ids) AS named (key, id) WHERE named.key IS NULL);
    END IF;
    IF num_nonnulls(VARIADIC keys) > 0 THEN
        RETURN QUERY EXECUTE format('SELECT event.key::BIGINT, event.id::BIGINT, event.payload::JSONB '
                                    'FROM unnest($1, $2) AS named (key, id) '
                                    'JOIN %I AS event ON event.key = named.key AND event.id = named.id', source) USING keys, ids;
    END IF;
END
$$;

-- The events of transfers, which the outbox names by the payment (outbox_messages.source): a payer's side gives
-- transfer.done, a receiver's transfer.received.
CREATE VIEW transfer_events AS
SELECT own.client_id AS key, own.id,
       jsonb_build_object(
           'id', CASE WHEN own.amount < 0 THEN own.transaction_id ELSE received_event_id(own.transaction_id) END,
           'type', CASE WHEN own.amount < 0 THEN 'transfer.done' ELSE 'transfer.received' END,
           'occurred_at', to_char(own.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
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
