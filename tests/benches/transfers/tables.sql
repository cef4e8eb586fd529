-- What the transfers are measured against: the wallets' tables without idempotency, events, rules and triggers, once of
-- the same shape and once as narrow as they can be; and a transfer that locks the rows of both wallets.

CREATE TABLE bare_wallets (LIKE wallets INCLUDING DEFAULTS, PRIMARY KEY (client_id, id), UNIQUE (client_id, currency))
    WITH (fillfactor = 50);
CREATE TABLE bare_payments (LIKE payments, PRIMARY KEY (client_id, id), UNIQUE (client_id, wallet_id, entry));
CREATE INDEX ON bare_payments (client_id, transaction_id) WHERE payment_type = 2;
CREATE UNIQUE INDEX ON bare_payments (client_id, wallet_id, return_entry) WHERE return_entry IS NOT NULL;
CREATE SEQUENCE bare_payment_ids;

CREATE TABLE narrow_wallets (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) WITH (fillfactor = 50);
CREATE TABLE narrow_payments (
    id                BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id         BIGINT      NOT NULL,
    amount            BIGINT      NOT NULL,
    partner_wallet_id BIGINT      NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE FUNCTION narrow_transfer(payer BIGINT, receiver BIGINT, paid BIGINT) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    payer_balance BIGINT;
BEGIN
    PERFORM FROM narrow_wallets WHERE id IN (payer, receiver) ORDER BY id FOR UPDATE;
    SELECT balance INTO payer_balance FROM narrow_wallets WHERE id = payer;
    IF payer_balance < paid THEN
        RETURN 'insufficient-funds';
    END IF;
    UPDATE narrow_wallets SET balance = balance - paid WHERE id = payer;
    UPDATE narrow_wallets SET balance = balance + paid WHERE id = receiver;
    INSERT INTO narrow_payments (wallet_id, amount, partner_wallet_id)
    VALUES (payer, -paid, receiver), (receiver, paid, payer);
    RETURN 'done';
END
$$;

CREATE FUNCTION bare_transfer(payer BIGINT, receiver BIGINT, paid BIGINT) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    payer_balance BIGINT;
    payment BIGINT;
BEGIN
    PERFORM FROM bare_wallets WHERE client_id IN (payer, receiver) ORDER BY client_id FOR UPDATE;
    SELECT balance INTO payer_balance FROM bare_wallets WHERE client_id = payer AND id = payer;
    IF payer_balance < paid THEN
        RETURN 'insufficient-funds';
    END IF;
    UPDATE bare_wallets SET balance = balance - paid, entries = entries + 1 WHERE client_id = payer AND id = payer;
    UPDATE bare_wallets SET balance = balance + paid, entries = entries + 1 WHERE client_id = receiver AND id = receiver;
    payment := nextval('bare_payment_ids');
    INSERT INTO bare_payments
    VALUES (payer, payment, '018f2f5e-0000-7000-8000-000000000000', 3, 2, payer, 840, -paid, receiver, receiver, 840, paid,
            1, payment, 0, NULL, NULL, now(), now()),
           (receiver, payment, '018f2f5e-0000-7000-8000-000000000000', 3, 2, receiver, 840, paid, payer, payer, 840, -paid,
            1, payment, 0, NULL, NULL, now(), now());
    RETURN 'done';
END
$$;

-- A hundred thousand clients with a wallet each, of the same number, and more in it than a benchmark can move.
INSERT INTO clients (client_id) SELECT n FROM generate_series(1, 100000) AS n;
INSERT INTO wallets (client_id, id, currency, balance) SELECT n, n, 840, 1000000000000 FROM generate_series(1, 100000) AS n;
INSERT INTO bare_wallets SELECT * FROM wallets;
INSERT INTO narrow_wallets SELECT id, balance FROM wallets;
