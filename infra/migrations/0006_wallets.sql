-- Wallets: clients, what they hold, and what they pay each other. Spec "Wallets", seed 003.
--
-- Whatever belongs to a client has client_id at the head of its key and is partitioned by its hash, so that the same
-- schema can be split by client over many nodes (functions/wallets/SCALING.md). What belongs to no client (currencies,
-- rates, the directory of references) is small, and each node can hold all of it.
-- Amounts are in minor units of their currency; currencies are ISO 4217 numeric codes.

CREATE TABLE currencies (
    numeric_code SMALLINT PRIMARY KEY,
    code         CHAR(3)  NOT NULL UNIQUE,
    exponent     SMALLINT NOT NULL CHECK (exponent BETWEEN 0 AND 4)
);
COMMENT ON TABLE currencies IS 'ISO 4217, as in the code (domain::currency); a test holds the two together.';

INSERT INTO currencies (numeric_code, code, exponent) VALUES
    (784, 'AED', 2), (971, 'AFN', 2), (8, 'ALL', 2), (51, 'AMD', 2), (973, 'AOA', 2), (32, 'ARS', 2), (36, 'AUD', 2),
    (533, 'AWG', 2), (944, 'AZN', 2), (977, 'BAM', 2), (52, 'BBD', 2), (50, 'BDT', 2), (48, 'BHD', 3),
    (108, 'BIF', 0), (60, 'BMD', 2), (96, 'BND', 2), (68, 'BOB', 2), (984, 'BOV', 2), (986, 'BRL', 2), (44, 'BSD', 2),
    (64, 'BTN', 2), (72, 'BWP', 2), (933, 'BYN', 2), (84, 'BZD', 2), (124, 'CAD', 2), (976, 'CDF', 2),
    (947, 'CHE', 2), (756, 'CHF', 2), (948, 'CHW', 2), (990, 'CLF', 4), (152, 'CLP', 0), (156, 'CNY', 2),
    (170, 'COP', 2), (970, 'COU', 2), (188, 'CRC', 2), (192, 'CUP', 2), (132, 'CVE', 2), (203, 'CZK', 2),
    (262, 'DJF', 0), (208, 'DKK', 2), (214, 'DOP', 2), (12, 'DZD', 2), (818, 'EGP', 2), (232, 'ERN', 2),
    (230, 'ETB', 2), (978, 'EUR', 2), (242, 'FJD', 2), (238, 'FKP', 2), (826, 'GBP', 2), (981, 'GEL', 2),
    (936, 'GHS', 2), (292, 'GIP', 2), (270, 'GMD', 2), (324, 'GNF', 0), (320, 'GTQ', 2), (328, 'GYD', 2),
    (344, 'HKD', 2), (340, 'HNL', 2), (332, 'HTG', 2), (348, 'HUF', 2), (360, 'IDR', 2), (376, 'ILS', 2),
    (356, 'INR', 2), (368, 'IQD', 3), (364, 'IRR', 2), (352, 'ISK', 0), (388, 'JMD', 2), (400, 'JOD', 3),
    (392, 'JPY', 0), (404, 'KES', 2), (417, 'KGS', 2), (116, 'KHR', 2), (174, 'KMF', 0), (408, 'KPW', 2),
    (410, 'KRW', 0), (414, 'KWD', 3), (136, 'KYD', 2), (398, 'KZT', 2), (418, 'LAK', 2), (422, 'LBP', 2),
    (144, 'LKR', 2), (430, 'LRD', 2), (426, 'LSL', 2), (434, 'LYD', 3), (504, 'MAD', 2), (498, 'MDL', 2),
    (969, 'MGA', 2), (807, 'MKD', 2), (104, 'MMK', 2), (496, 'MNT', 2), (446, 'MOP', 2), (929, 'MRU', 2),
    (480, 'MUR', 2), (462, 'MVR', 2), (454, 'MWK', 2), (484, 'MXN', 2), (979, 'MXV', 2), (458, 'MYR', 2),
    (943, 'MZN', 2), (516, 'NAD', 2), (566, 'NGN', 2), (558, 'NIO', 2), (578, 'NOK', 2), (524, 'NPR', 2),
    (554, 'NZD', 2), (512, 'OMR', 3), (590, 'PAB', 2), (604, 'PEN', 2), (598, 'PGK', 2), (608, 'PHP', 2),
    (586, 'PKR', 2), (985, 'PLN', 2), (600, 'PYG', 0), (634, 'QAR', 2), (946, 'RON', 2), (941, 'RSD', 2),
    (643, 'RUB', 2), (646, 'RWF', 0), (682, 'SAR', 2), (90, 'SBD', 2), (690, 'SCR', 2), (938, 'SDG', 2),
    (752, 'SEK', 2), (702, 'SGD', 2), (654, 'SHP', 2), (925, 'SLE', 2), (706, 'SOS', 2), (968, 'SRD', 2),
    (728, 'SSP', 2), (930, 'STN', 2), (222, 'SVC', 2), (760, 'SYP', 2), (748, 'SZL', 2), (764, 'THB', 2),
    (972, 'TJS', 2), (934, 'TMT', 2), (788, 'TND', 3), (776, 'TOP', 2), (949, 'TRY', 2), (780, 'TTD', 2),
    (901, 'TWD', 2), (834, 'TZS', 2), (980, 'UAH', 2), (800, 'UGX', 0), (840, 'USD', 2), (997, 'USN', 2),
    (940, 'UYI', 0), (858, 'UYU', 2), (927, 'UYW', 4), (860, 'UZS', 2), (926, 'VED', 2), (928, 'VES', 2),
    (704, 'VND', 0), (548, 'VUV', 0), (882, 'WST', 2), (396, 'XAD', 2), (950, 'XAF', 0), (951, 'XCD', 2),
    (532, 'XCG', 2), (952, 'XOF', 0), (953, 'XPF', 0), (886, 'YER', 2), (710, 'ZAR', 2), (967, 'ZMW', 2),
    (924, 'ZWG', 2);

CREATE TABLE exchange_rates (
    base       SMALLINT        NOT NULL REFERENCES currencies,
    quote      SMALLINT        NOT NULL REFERENCES currencies,
    as_of      TIMESTAMPTZ     NOT NULL,
    rate       NUMERIC(28, 12) NOT NULL CHECK (rate > 0),
    source     TEXT            NOT NULL CHECK (source IN ('admin', 'ecb')),
    created_at TIMESTAMPTZ     NOT NULL DEFAULT now(),
    PRIMARY KEY (base, quote, as_of),
    CHECK (base <> quote)
);
COMMENT ON TABLE exchange_rates IS
    'Major units of quote for one of base. Rows are added and never changed; the newest of a pair counts.';

CREATE TABLE client_references (
    external_ref TEXT   PRIMARY KEY CHECK (length(external_ref) BETWEEN 1 AND 128),
    client_id    BIGINT NOT NULL
);
COMMENT ON TABLE client_references IS 'Leads from a service''s own name of a client to the client_id, and keeps the name unique.';

CREATE SEQUENCE client_ids;
CREATE SEQUENCE wallet_ids;
-- In steps of two: the second id is for the other side of a transfer.
CREATE SEQUENCE payment_ids INCREMENT BY 2;
CREATE SEQUENCE wallet_difference_ids;

CREATE TABLE clients (
    client_id     BIGINT      NOT NULL DEFAULT nextval('client_ids') CHECK (client_id > 0),
    external_ref  TEXT,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    reconciled_at TIMESTAMPTZ,
    PRIMARY KEY (client_id)
) PARTITION BY HASH (client_id);

-- Whom the reconciliation has not looked at for longest.
CREATE INDEX clients_reconciled ON clients (COALESCE(reconciled_at, '-infinity'), client_id);

CREATE TABLE wallets (
    client_id  BIGINT      NOT NULL REFERENCES clients,
    id         BIGINT      NOT NULL DEFAULT nextval('wallet_ids'),
    currency   SMALLINT    NOT NULL REFERENCES currencies,
    balance    BIGINT      NOT NULL DEFAULT 0 CHECK (balance >= 0),
    entries    BIGINT      NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, id),
    UNIQUE (client_id, currency)
) PARTITION BY HASH (client_id);
COMMENT ON COLUMN wallets.entries IS 'How many entries there are: the number of the newest.';

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
    PRIMARY KEY (client_id, id),
    UNIQUE (client_id, wallet_id, entry)
) PARTITION BY HASH (client_id);
COMMENT ON TABLE payments IS
    'Two rows for a transfer, the payer''s and the receiver''s; one for a recharge or a withdrawal.';
COMMENT ON COLUMN payments.payment_type IS '1 recharge, 2 withdraw, 3 transfer';
COMMENT ON COLUMN payments.payment_status IS '1 pending, 2 done, 3 failed';
COMMENT ON COLUMN payments.exchange_rate IS 'Payer''s currency to receiver''s currency, at the moment of the transaction.';
COMMENT ON COLUMN payments.entry IS
    'Its number among the entries of its wallet, without gaps. A failed withdrawal has a second one: return_entry.';

CREATE INDEX payments_withdrawal ON payments (client_id, transaction_id) WHERE payment_type = 2;
CREATE UNIQUE INDEX payments_returned ON payments (client_id, wallet_id, return_entry) WHERE return_entry IS NOT NULL;

CREATE TABLE payment_requests (
    client_id    BIGINT      NOT NULL,
    operation    SMALLINT    NOT NULL,
    key          TEXT        NOT NULL,
    request_hash BYTEA       NOT NULL,
    payment_id   BIGINT      NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, operation, key)
) PARTITION BY HASH (client_id);
COMMENT ON TABLE payment_requests IS
    'The Idempotency-Keys, each written with the payment that it made, and kept as long as that.';
COMMENT ON COLUMN payment_requests.operation IS '1 recharge, 2 withdraw, 3 transfer, 4 settlement';

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
) PARTITION BY HASH (client_id);
COMMENT ON TABLE wallet_differences IS 'What reconcile_wallets has found and a person has to resolve.';

-- Three partitions each: on one node they only cost (each makes every statement slower), and are there to prove that the
-- split works, for which a transfer needs one that is neither its payer's nor its receiver's. A wallet's row is
-- updated with every payment, which is cheap as long as its page has room.
DO $$
DECLARE
    parent TEXT;
    storage TEXT;
BEGIN
    FOREACH parent IN ARRAY ARRAY['clients', 'wallets', 'payments', 'payment_requests', 'wallet_differences'] LOOP
        storage := CASE parent WHEN 'wallets' THEN ' WITH (fillfactor = 50)' ELSE '' END;
        FOR remainder IN 0 .. 2 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 3, REMAINDER %s)%s',
                           parent || '_' || remainder, parent, remainder, storage);
        END LOOP;
    END LOOP;
END
$$;

-- What the code should never do, the database refuses.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is not allowed: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

-- The rules of a payment. They are a function and not a constraint: a constraint is read anew by every statement, for
-- each partition it reaches, and that took a tenth of a transfer's time. The two triggers below see to it.
CREATE FUNCTION payment_is_sound(
    payment_type SMALLINT, payment_status SMALLINT, amount BIGINT, partner_client_id BIGINT, partner_amount BIGINT,
    exchange_rate NUMERIC, balance_after BIGINT, return_entry BIGINT, return_balance_after BIGINT
) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS $$
    SELECT
        -- A debit has a credit on its other side, and the other way round.
        (amount < 0 AND partner_amount > 0 OR amount > 0 AND partner_amount < 0)
        -- A recharge comes from the house (client 0) and a withdrawal goes to it; only a withdrawal waits, or fails.
        AND CASE payment_type
            WHEN 1 THEN payment_status = 2 AND amount > 0 AND partner_client_id = 0
            WHEN 2 THEN payment_status BETWEEN 1 AND 3 AND amount < 0 AND partner_client_id = 0
            WHEN 3 THEN payment_status = 2 AND partner_client_id > 0
            ELSE FALSE END
        AND (payment_status = 3) = (return_entry IS NOT NULL)
        AND (payment_status = 3) = (return_balance_after IS NOT NULL)
        AND balance_after >= 0 AND exchange_rate > 0
$$;

-- A pending withdrawal is settled, once; nothing else of a payment ever changes.
CREATE FUNCTION refuse_changed_payment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    settled CONSTANT TEXT[] := ARRAY['payment_status', 'return_entry', 'return_balance_after', 'updated_at'];
BEGIN
    IF OLD.payment_status <> 1 OR NEW.payment_status NOT IN (2, 3)
       OR to_jsonb(OLD) - settled <> to_jsonb(NEW) - settled THEN
        RAISE EXCEPTION 'payment % of client % can''t be changed', OLD.id, OLD.client_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF payment_is_sound(NEW.payment_type, NEW.payment_status, NEW.amount, NEW.partner_client_id, NEW.partner_amount,
                        NEW.exchange_rate, NEW.balance_after, NEW.return_entry, NEW.return_balance_after) IS NOT TRUE THEN
        RAISE EXCEPTION 'payment % of client % is not sound', NEW.id, NEW.client_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_is_sound', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;

-- Every payment is sound, and both sides of a transfer are written by one statement and mirror each other.
CREATE FUNCTION refuse_unsound_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted
        GROUP BY payment_type, transaction_id, exchange_rate, CASE WHEN amount < 0
            THEN ARRAY[client_id, wallet_id, currency, amount,
                       partner_client_id, partner_wallet_id, partner_currency, partner_amount]
            ELSE ARRAY[partner_client_id, partner_wallet_id, partner_currency, partner_amount,
                       client_id, wallet_id, currency, amount] END
        HAVING bool_and(payment_is_sound(payment_type, payment_status, amount, partner_client_id, partner_amount,
                                         exchange_rate, balance_after, return_entry, return_balance_after)) IS NOT TRUE
            OR payment_type = 3 AND (count(*) <> 2 OR count(*) FILTER (WHERE amount < 0) <> 1)
    ) THEN
        RAISE EXCEPTION 'a payment breaks the rules, or a transfer lacks a side in the same statement'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_is_sound', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER payments_are_sound AFTER INSERT ON payments REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unsound_payments();
CREATE TRIGGER payments_stay BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_changed_payment();
CREATE TRIGGER payments_are_kept BEFORE DELETE ON payments
    FOR EACH ROW EXECUTE FUNCTION refuse_change('payments are kept for good');
CREATE TRIGGER wallets_are_kept BEFORE DELETE ON wallets
    FOR EACH ROW EXECUTE FUNCTION refuse_change('wallets are kept for good');
-- Of statements, not of rows: before a row's trigger the row is locked, which every change of a balance would pay for.
CREATE TRIGGER wallets_stay BEFORE UPDATE OF client_id, id, currency ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a wallet stays its client''s, in its currency');
CREATE TRIGGER exchange_rates_stay BEFORE UPDATE OR DELETE ON exchange_rates
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rates are history');

-- Triggers of statements belong to the table that the statement names: the partitions let nobody pass beside theirs.
DO $$
BEGIN
    FOR remainder IN 0 .. 2 LOOP
        EXECUTE format('CREATE TRIGGER wallets_stay BEFORE UPDATE OF client_id, id, currency ON wallets_%s FOR EACH STATEMENT '
                       'EXECUTE FUNCTION refuse_change(''a wallet stays its client''''s, in its currency'')', remainder);
        EXECUTE format('CREATE TRIGGER only_through_payments BEFORE INSERT ON payments_%s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change(''insert into payments'')', remainder);
        EXECUTE format('CREATE TRIGGER payments_are_kept_whole BEFORE TRUNCATE ON payments_%s '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change(''payments are kept for good'')', remainder);
    END LOOP;
END
$$;
