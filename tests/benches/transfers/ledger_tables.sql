-- What a ledger in PostgreSQL with text ids does, written here anew after pgledger: numeric amounts, versioned accounts, and two
-- entries with the balances before and after; no key, no event.

-- A text that sorts by time: 48 bits of milliseconds and 80 of chance in Crockford's base 32.
CREATE FUNCTION ledger_id(prefix TEXT) RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    digits CONSTANT TEXT := '0123456789abcdefghjkmnpqrstvwxyz';
    millis BIGINT := (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT;
    random_bytes CONSTANT BYTEA := uuid_send(gen_random_uuid());
    text TEXT := '';
    bits BIGINT;
BEGIN
    FOR place IN REVERSE 9 .. 0 LOOP
        text := text || substr(digits, ((millis >> (5 * place)) & 31)::INT + 1, 1);
    END LOOP;
    FOR half IN 0 .. 1 LOOP
        bits := ('x' || encode(substr(random_bytes, half * 5 + 1, 5), 'hex'))::BIT(40)::BIGINT;
        FOR place IN REVERSE 7 .. 0 LOOP
            text := text || substr(digits, ((bits >> (5 * place)) & 31)::INT + 1, 1);
        END LOOP;
    END LOOP;
    RETURN prefix || '_' || text;
END
$$;

CREATE TABLE ledger_accounts (
    id TEXT PRIMARY KEY DEFAULT ledger_id('acct'), name TEXT NOT NULL, currency TEXT NOT NULL,
    balance NUMERIC NOT NULL DEFAULT 0, version BIGINT NOT NULL DEFAULT 0,
    allow_negative_balance BOOLEAN NOT NULL DEFAULT TRUE, allow_positive_balance BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), updated_at TIMESTAMPTZ NOT NULL DEFAULT now());
CREATE TABLE ledger_transfers (
    id TEXT PRIMARY KEY DEFAULT ledger_id('tran'), from_account_id TEXT NOT NULL REFERENCES ledger_accounts,
    to_account_id TEXT NOT NULL REFERENCES ledger_accounts, amount NUMERIC NOT NULL CHECK (amount > 0),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(), event_at TIMESTAMPTZ NOT NULL DEFAULT now(), metadata JSONB,
    CHECK (from_account_id <> to_account_id));
CREATE INDEX ON ledger_transfers (from_account_id);
CREATE INDEX ON ledger_transfers (to_account_id);
CREATE TABLE ledger_entries (
    id TEXT PRIMARY KEY DEFAULT ledger_id('entr'), account_id TEXT NOT NULL REFERENCES ledger_accounts,
    transfer_id TEXT NOT NULL REFERENCES ledger_transfers, amount NUMERIC NOT NULL,
    account_previous_balance NUMERIC NOT NULL, account_current_balance NUMERIC NOT NULL, account_version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now());
CREATE INDEX ON ledger_entries (account_id);
CREATE INDEX ON ledger_entries (transfer_id);

CREATE FUNCTION ledger_transfer(from_id TEXT, to_id TEXT, moved NUMERIC) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    transfer TEXT;
    payer ledger_accounts;
    receiver ledger_accounts;
BEGIN
    IF moved <= 0 THEN
        RAISE EXCEPTION 'the amount has to be above zero';
    END IF;
    PERFORM FROM ledger_accounts WHERE id IN (from_id, to_id) ORDER BY id FOR UPDATE;
    UPDATE ledger_accounts SET balance = balance - moved, version = version + 1, updated_at = now()
     WHERE id = from_id RETURNING * INTO payer;
    UPDATE ledger_accounts SET balance = balance + moved, version = version + 1, updated_at = now()
     WHERE id = to_id RETURNING * INTO receiver;
    IF payer.currency <> receiver.currency THEN
        RAISE EXCEPTION 'the accounts have different currencies';
    END IF;
    IF NOT payer.allow_negative_balance AND payer.balance < 0 OR NOT receiver.allow_positive_balance AND receiver.balance > 0 THEN
        RAISE EXCEPTION 'the balance isn''t allowed';
    END IF;
    INSERT INTO ledger_transfers (from_account_id, to_account_id, amount) VALUES (from_id, to_id, moved) RETURNING id INTO transfer;
    INSERT INTO ledger_entries (account_id, transfer_id, amount, account_previous_balance, account_current_balance, account_version)
    VALUES (from_id, transfer, -moved, payer.balance + moved, payer.balance, payer.version);
    INSERT INTO ledger_entries (account_id, transfer_id, amount, account_previous_balance, account_current_balance, account_version)
    VALUES (to_id, transfer, moved, receiver.balance - moved, receiver.balance, receiver.version);
    RETURN transfer;
END
$$;

-- A hundred thousand accounts, and more in each than a benchmark can move.
INSERT INTO ledger_accounts (id, name, currency, balance, allow_negative_balance)
SELECT 'acct_' || n, n::TEXT, 'USD', 1000000000000, FALSE FROM generate_series(1, 100000) AS n;
