-- Dealers: accounts in the company's Billing, bills, and the payments that Billing tells. Amounts are kopecks. Every change of
-- an account's bills and payments is made under its row's lock.

CREATE TABLE dealers (
    id                   BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cme_client_id        VARCHAR(64) NOT NULL UNIQUE CHECK (cme_client_id <> ''),
    requisite            BYTEA       NOT NULL,
    requisite_version    INTEGER     NOT NULL CHECK (requisite_version > 0),
    registered_requisite BYTEA       NOT NULL,
    offer_accepted_at    TIMESTAMPTZ NOT NULL,
    created_at           TIMESTAMPTZ NOT NULL,
    updated_at           TIMESTAMPTZ NOT NULL
);
COMMENT ON COLUMN dealers.requisite IS 'Personal and legal data, sealed for dealer and version.';
COMMENT ON COLUMN dealers.registered_requisite IS
    'The first version, which a repeated registration is compared with.';

CREATE TABLE dealer_accounts (
    dealer_id           BIGINT      NOT NULL REFERENCES dealers,
    account_type        TEXT        NOT NULL CHECK (account_type IN ('COMMISSION', 'DEPOSIT', 'SETTLEMENT')),
    current_balance     BIGINT      NOT NULL DEFAULT 0 CHECK (current_balance >= 0),
    billing_client_id   TEXT        UNIQUE,
    billing_payer_id    TEXT        UNIQUE CHECK (billing_payer_id IS NULL OR billing_client_id IS NOT NULL),
    billing_contract_id TEXT        UNIQUE CHECK (billing_contract_id IS NULL OR billing_payer_id IS NOT NULL),
    provisioning_status TEXT        NOT NULL DEFAULT 'pending'
        CHECK (provisioning_status IN ('pending', 'client_made', 'payer_made', 'ready', 'parked')),
    requisite_version   INTEGER     NOT NULL DEFAULT 0 CHECK (requisite_version >= 0),
    asked_until         TIMESTAMPTZ,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (dealer_id, account_type),
    CHECK (provisioning_status <> 'ready' OR billing_contract_id IS NOT NULL)
);
COMMENT ON COLUMN dealer_accounts.current_balance IS
    'What the dealer has paid and doesn''t owe: the sum of what is unspent of its payments.';
COMMENT ON COLUMN dealer_accounts.requisite_version IS 'The version that Billing has for sure; 0 while nobody knows.';
COMMENT ON COLUMN dealer_accounts.asked_until IS 'Until when somebody is asking Billing about it; nobody else does.';

CREATE TABLE bills (
    id              BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dealer_id       BIGINT      NOT NULL,
    account_type    TEXT        NOT NULL,
    operation       TEXT        NOT NULL CHECK (operation IN ('GET_REWARD', 'GET_SETTLEMENT')),
    deal_id         VARCHAR(64) NOT NULL,
    deal_price      BIGINT      CHECK (deal_price > 0),
    commission_rate NUMERIC     CHECK (commission_rate > 0),
    common_sum      BIGINT      NOT NULL CHECK (common_sum > 0),
    paid_sum        BIGINT      NOT NULL DEFAULT 0 CHECK (0 <= paid_sum AND paid_sum <= common_sum),
    status          TEXT        NOT NULL DEFAULT 'created'
        CHECK (status IN ('created', 'issued', 'partially_paid', 'paid', 'voided')),
    due_at          TIMESTAMPTZ NOT NULL,
    url             TEXT,
    billing_bill_id TEXT        UNIQUE CHECK ((billing_bill_id IS NULL) = (url IS NULL)),
    issuing_status  TEXT        NOT NULL DEFAULT 'pending'
        CHECK (issuing_status IN ('pending', 'unknown', 'issued', 'withdrawn', 'parked')),
    asked_until     TIMESTAMPTZ,
    void_reason     TEXT,
    created_at      TIMESTAMPTZ NOT NULL,
    paid_at         TIMESTAMPTZ CHECK ((paid_at IS NOT NULL) = (status = 'paid')),
    voided_at       TIMESTAMPTZ CHECK ((voided_at IS NOT NULL) = (status = 'voided')),
    FOREIGN KEY (dealer_id, account_type) REFERENCES dealer_accounts,
    CHECK ((deal_price IS NOT NULL AND commission_rate IS NOT NULL) = (operation = 'GET_REWARD')),
    CHECK ((paid_sum = common_sum) = (status = 'paid')),
    CHECK (status <> 'voided' OR paid_sum = 0),
    CHECK ((void_reason IS NOT NULL) = (status = 'voided')),
    CHECK (issuing_status <> 'issued' OR billing_bill_id IS NOT NULL)
);
COMMENT ON COLUMN bills.due_at IS 'From then on it is overdue: the first moment of a day in Moscow.';
COMMENT ON COLUMN bills.commission_rate IS 'The rate that the sum was made with.';
COMMENT ON COLUMN bills.issuing_status IS
    'What Billing knows of it; unknown from before the call until its answer is recorded.';
-- One bill for a deal, however many ask at once; one that is taken back makes room.
CREATE UNIQUE INDEX bills_live ON bills (operation, deal_id) WHERE status <> 'voided';
CREATE INDEX bills_of_account ON bills (dealer_id, account_type, id);
CREATE INDEX bills_open ON bills (dealer_id, account_type, id) WHERE status IN ('created', 'issued', 'partially_paid');
CREATE INDEX bills_to_issue ON bills (id) WHERE issuing_status IN ('pending', 'unknown')
    OR (status = 'voided' AND issuing_status = 'issued');
CREATE INDEX bills_newest ON bills (created_at);

CREATE TABLE dealer_payments (
    payment_id      TEXT        PRIMARY KEY,
    dealer_id       BIGINT      NOT NULL,
    account_type    TEXT        NOT NULL,
    amount          BIGINT      NOT NULL CHECK (amount > 0),
    unspent         BIGINT      NOT NULL CHECK (unspent >= 0),
    reversed_amount BIGINT      NOT NULL DEFAULT 0 CHECK (reversed_amount >= 0),
    reversal_of     TEXT        CHECK (reversal_of IS NULL OR unspent = 0),
    paid_at         TIMESTAMPTZ NOT NULL,
    reversed_at     TIMESTAMPTZ,
    message         JSONB       NOT NULL,
    received_at     TIMESTAMPTZ NOT NULL,
    FOREIGN KEY (dealer_id, account_type) REFERENCES dealer_accounts,
    CHECK (unspent + reversed_amount <= amount)
);
COMMENT ON TABLE dealer_payments IS 'What Billing told, each once: payments, and reversals of some.';
COMMENT ON COLUMN dealer_payments.unspent IS 'What no bill has taken yet; the sum is the account''s balance.';
COMMENT ON COLUMN dealer_payments.reversed_amount IS 'Of a payment: what was taken back of it. Of a reversal: what it has taken back.';
COMMENT ON COLUMN dealer_payments.reversal_of IS
    'The payment that it takes back. While that hasn''t come, the reversal waits for it and reversed_at is null.';
CREATE INDEX dealer_payments_unspent ON dealer_payments (dealer_id, account_type, paid_at, payment_id) WHERE unspent > 0;
CREATE INDEX dealer_payments_waiting ON dealer_payments (reversal_of)
    WHERE reversal_of IS NOT NULL AND reversed_at IS NULL;
CREATE INDEX dealer_payments_newest ON dealer_payments (paid_at);

CREATE TABLE bill_payments (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id TEXT   NOT NULL REFERENCES dealer_payments,
    bill_id    BIGINT NOT NULL REFERENCES bills,
    amount     BIGINT NOT NULL CHECK (amount > 0),
    UNIQUE (payment_id, bill_id)
);
COMMENT ON TABLE bill_payments IS 'Which payment paid which part of which bill.';
CREATE INDEX bill_payments_of_bill ON bill_payments (bill_id, id);

CREATE TABLE fast_buyout_segments (
    min_deposit BIGINT PRIMARY KEY CHECK (min_deposit >= 0),
    max_price   BIGINT NOT NULL UNIQUE CHECK (max_price > 0)
);
COMMENT ON TABLE fast_buyout_segments IS 'Up to which price of a car a deposit opens fast buyout.';
INSERT INTO fast_buyout_segments (min_deposit, max_price) VALUES
    (10000000, 100000000),
    (30000000, 300000000),
    (100000000, 1000000000);

-- What holds at the end of every transaction, whoever made it: no kopeck of a payment is lost or spent twice.
CREATE FUNCTION check_dealer_balance(checked_dealer BIGINT, checked_type TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM dealer_accounts AS account
        WHERE account.dealer_id = checked_dealer AND account.account_type = checked_type
          AND account.current_balance <> (
              SELECT COALESCE(sum(unspent), 0) FROM dealer_payments AS payment
              WHERE payment.dealer_id = checked_dealer AND payment.account_type = checked_type AND unspent > 0)
    ) THEN
        RAISE EXCEPTION 'the balance of account % of dealer % is not what its payments leave', checked_type, checked_dealer
            USING ERRCODE = 'check_violation';
    END IF;
END
$$;

CREATE FUNCTION check_dealer_payment(checked_payment TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM dealer_payments AS payment
        WHERE payment_id = checked_payment AND reversal_of IS NULL
          AND amount <> unspent + reversed_amount + (
              SELECT COALESCE(sum(part.amount), 0) FROM bill_payments AS part WHERE part.payment_id = checked_payment)
    ) THEN
        RAISE EXCEPTION 'payment % is not the sum of its parts', checked_payment USING ERRCODE = 'check_violation';
    END IF;
END
$$;

CREATE FUNCTION check_bill(checked_bill BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM bills WHERE id = checked_bill
          AND paid_sum <> (SELECT COALESCE(sum(amount), 0) FROM bill_payments WHERE bill_id = checked_bill)
    ) THEN
        RAISE EXCEPTION 'bill % is not paid by its parts', checked_bill USING ERRCODE = 'check_violation';
    END IF;
END
$$;

CREATE FUNCTION check_dealer_books() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'dealer_accounts' THEN
            PERFORM check_dealer_balance(NEW.dealer_id, NEW.account_type);
        WHEN 'dealer_payments' THEN
            PERFORM check_dealer_payment(NEW.payment_id);
            PERFORM check_dealer_balance(NEW.dealer_id, NEW.account_type);
        WHEN 'bills' THEN
            PERFORM check_bill(NEW.id);
        ELSE
            PERFORM check_dealer_payment(COALESCE(NEW.payment_id, OLD.payment_id));
            PERFORM check_bill(COALESCE(NEW.bill_id, OLD.bill_id));
    END CASE;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER dealer_accounts_agree AFTER INSERT OR UPDATE OF current_balance ON dealer_accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_dealer_books();
CREATE CONSTRAINT TRIGGER dealer_payments_agree AFTER INSERT OR UPDATE ON dealer_payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_dealer_books();
CREATE CONSTRAINT TRIGGER bills_agree AFTER INSERT OR UPDATE OF paid_sum ON bills
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_dealer_books();
CREATE CONSTRAINT TRIGGER bill_payments_agree AFTER INSERT OR UPDATE OR DELETE ON bill_payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_dealer_books();
