-- Commissions: payment methods at Stripe, invoices, and the attempts to charge them. Spec "Commissions".
-- Amounts are in cents.

CREATE TABLE stripe_customers (
    profile_id BIGINT      PRIMARY KEY REFERENCES profiles,
    ref_id     TEXT        NOT NULL UNIQUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE checkout_sessions (
    id           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id   BIGINT      NOT NULL REFERENCES profiles,
    mode         TEXT        NOT NULL CHECK (mode IN ('setup', 'payment')),
    price_id     TEXT        CHECK ((price_id IS NOT NULL) = (mode = 'payment')),
    success_url  TEXT        NOT NULL,
    cancel_url   TEXT        NOT NULL,
    refund_asked BOOLEAN     NOT NULL DEFAULT false CHECK (mode = 'payment' OR NOT refund_asked),
    ref_id       TEXT        UNIQUE,
    refund_id    TEXT        UNIQUE,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    completed_at TIMESTAMPTZ
);
COMMENT ON COLUMN checkout_sessions.refund_asked IS 'A payment that only proves a card: refunded when it is done.';

CREATE TABLE payment_methods (
    id            BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id    BIGINT      NOT NULL REFERENCES profiles,
    name          TEXT        NOT NULL,
    stripe_ref_id TEXT        NOT NULL UNIQUE,
    set_active_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    renewed_at    TIMESTAMPTZ,
    deleted_at    TIMESTAMPTZ,
    detached_at   TIMESTAMPTZ CHECK (detached_at IS NULL OR deleted_at IS NOT NULL),
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
COMMENT ON COLUMN payment_methods.set_active_at IS 'The newest of a profile is the one that is charged.';
COMMENT ON COLUMN payment_methods.renewed_at IS 'When its bank last renewed it: what was declined may pass now.';
COMMENT ON COLUMN payment_methods.deleted_at IS 'From then on it is neither shown nor charged; detached_at says that Stripe knows.';
CREATE INDEX payment_methods_of_profile ON payment_methods (profile_id, set_active_at DESC, id DESC)
    WHERE deleted_at IS NULL;

CREATE TABLE invoices (
    id               BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id       BIGINT      NOT NULL REFERENCES profiles,
    amount_cents     BIGINT      NOT NULL CHECK (amount_cents > 0),
    currency         CHAR(3)     NOT NULL,
    due_date         TIMESTAMPTZ NOT NULL,
    description      TEXT        NOT NULL,
    period_start     DATE        NOT NULL,
    period_end       DATE        NOT NULL CHECK (period_end >= period_start),
    status           TEXT        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'uncollectible', 'void')),
    failed_attempts  INTEGER     NOT NULL DEFAULT 0 CHECK (failed_attempts >= 0),
    first_failed_at  TIMESTAMPTZ,
    next_attempt_at  TIMESTAMPTZ CHECK (next_attempt_at IS NULL OR status <> 'uncollectible'),
    paid_at          TIMESTAMPTZ CHECK ((paid_at IS NOT NULL) = (status = 'paid')),
    metadata         JSONB       NOT NULL DEFAULT '{}',
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (profile_id, period_start)
);
COMMENT ON COLUMN invoices.metadata IS 'How the amount came about: average equity, days, yearly commission, rate.';
CREATE INDEX invoices_of_profile ON invoices (profile_id, id DESC);
CREATE INDEX invoices_owed ON invoices (due_date) WHERE status IN ('open', 'uncollectible');

CREATE TABLE invoice_payments (
    id                BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id        BIGINT      NOT NULL REFERENCES profiles,
    invoice_id        BIGINT      NOT NULL REFERENCES invoices,
    payment_method_id BIGINT      NOT NULL REFERENCES payment_methods,
    attempt           INTEGER     NOT NULL CHECK (attempt > 0),
    idempotency_key   TEXT        NOT NULL UNIQUE,
    amount_cents      BIGINT      NOT NULL CHECK (amount_cents > 0),
    currency          CHAR(3)     NOT NULL,
    status            TEXT        NOT NULL DEFAULT 'unknown'
                      CHECK (status IN ('unknown', 'processing', 'requires_action', 'succeeded', 'failed')),
    result            BOOLEAN     GENERATED ALWAYS AS
                      (CASE status WHEN 'succeeded' THEN true WHEN 'failed' THEN false END) STORED,
    payment_intent_id TEXT        UNIQUE,
    failure_code      TEXT,
    response          JSONB,
    confirm_until     TIMESTAMPTZ,
    cancelled_at      TIMESTAMPTZ,
    refunded_cents    BIGINT      NOT NULL DEFAULT 0 CHECK (refunded_cents BETWEEN 0 AND amount_cents),
    disputed_at       TIMESTAMPTZ,
    asked_until       TIMESTAMPTZ,
    lookups           INTEGER     NOT NULL DEFAULT 0 CHECK (lookups >= 0),
    next_lookup_at    TIMESTAMPTZ,
    run_at            TIMESTAMPTZ NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    finished_at       TIMESTAMPTZ,
    UNIQUE (invoice_id, attempt),
    CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed')))
);
COMMENT ON COLUMN invoice_payments.status IS
    'unknown: written down before Stripe is asked, and until an answer is recorded. The first three are in flight.';
COMMENT ON COLUMN invoice_payments.cancelled_at IS
    'When a failed attempt was closed at Stripe, so that nobody can confirm it any more.';
COMMENT ON COLUMN invoice_payments.run_at IS
    'The time of the run that made it: retries count from it, whoever hears first how it ended.';
COMMENT ON COLUMN invoice_payments.asked_until IS 'Until when somebody is asking Stripe about it; nobody else does.';
-- What keeps a card from being charged twice: one attempt in flight, and one success, of each invoice.
CREATE UNIQUE INDEX invoice_payments_in_flight ON invoice_payments (invoice_id)
    WHERE status IN ('unknown', 'processing', 'requires_action');
CREATE UNIQUE INDEX invoice_payments_succeeded ON invoice_payments (invoice_id) WHERE status = 'succeeded';
CREATE INDEX invoice_payments_due ON invoice_payments (next_lookup_at) WHERE next_lookup_at IS NOT NULL;
CREATE INDEX invoice_payments_paid ON invoice_payments (profile_id, id DESC) WHERE status = 'succeeded';
CREATE INDEX invoice_payments_newest ON invoice_payments (created_at);

CREATE TABLE billing_suspensions (
    profile_id   BIGINT      PRIMARY KEY REFERENCES profiles,
    suspended_at TIMESTAMPTZ
);
COMMENT ON TABLE billing_suspensions IS
    'Locked before it is decided whether a profile is suspended; suspended_at is null when it is not.';

CREATE VIEW buying_suspensions AS
    SELECT profile_id, suspended_at FROM billing_suspensions WHERE suspended_at IS NOT NULL;
COMMENT ON VIEW buying_suspensions IS
    'For trading: profiles that may not buy because commissions are owed. They may sell and withdraw.';

CREATE TABLE billing_discrepancies (
    id                 BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind               TEXT        NOT NULL,
    subject            TEXT        NOT NULL,
    invoice_payment_id BIGINT      REFERENCES invoice_payments,
    expected           TEXT        NOT NULL,
    found              TEXT        NOT NULL,
    source             TEXT        NOT NULL,
    first_seen_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    resolved_at        TIMESTAMPTZ,
    UNIQUE (kind, subject)
);
COMMENT ON TABLE billing_discrepancies IS
    'Where Stripe and our record disagree. No money state moves on such a word: a person looks at it.';
COMMENT ON COLUMN billing_discrepancies.subject IS 'What it is about: the id of a payment intent, session or method at Stripe.';

-- An id like those of the platform's events: milliseconds since 1970, then chance.
CREATE FUNCTION uuid_v7(moment TIMESTAMPTZ) RETURNS UUID LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM moment) * 1000)::BIGINT) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::UUID
$$;

-- As divide_half_even, in a form that the planner puts into the statement: a call for each of a hundred thousand rows would
-- take longer than everything else.
CREATE FUNCTION quotient_half_even(dividend NUMERIC, divisor NUMERIC) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT (div(dividend, divisor) + CASE
        WHEN 2 * mod(dividend, divisor) > divisor THEN 1
        WHEN 2 * mod(dividend, divisor) = divisor THEN mod(div(dividend, divisor), 2)
        ELSE 0
    END)::BIGINT
$$;

-- domain::billing::commission in SQL; a scenario holds the two against each other. With S the sum of daily equity over n
-- days, n days cost S x rate / 365, or minimum x n / 365 where that is more, and nothing up to an average of the free
-- limit. One division, one rounding. It is put into the statement too, so it returns a table of one row.
CREATE FUNCTION calculate_commission(
    equity_sum NUMERIC, days INTEGER, yearly_rate NUMERIC, yearly_minimum BIGINT, free_limit BIGINT
) RETURNS TABLE (average_cents BIGINT, yearly_cents BIGINT, amount_cents BIGINT) LANGUAGE sql IMMUTABLE AS $$
    SELECT quotient_half_even(equity_sum, days),
           CASE WHEN charged.is_free THEN 0 ELSE quotient_half_even(charged.millionths, 1000000::NUMERIC * days) END,
           CASE WHEN charged.is_free THEN 0 ELSE quotient_half_even(charged.millionths, 365000000) END
    FROM (SELECT equity_sum <= free_limit::NUMERIC * days AS is_free,
                 greatest(equity_sum * yearly_rate, yearly_minimum::NUMERIC * days) * 1000000 AS millionths) AS charged
$$;

-- Makes the invoices of a period that are not there yet, with their events, in one statement however many they are.
-- Accounts without a figure in their days of the period are skipped and counted.
CREATE FUNCTION create_invoices(
    period_first DATE, period_last DATE, due TIMESTAMPTZ, yearly_rate NUMERIC, yearly_minimum BIGINT, free_limit BIGINT,
    moment TIMESTAMPTZ, correlation_id TEXT,
    OUT accounts BIGINT, OUT created BIGINT, OUT free BIGINT, OUT without_balances BIGINT, OUT total_cents BIGINT
) LANGUAGE sql AS $$
    WITH billable AS MATERIALIZED (
        SELECT account.trading_account_id, account.profile_id, account.currency, days.first_day, days.last_day,
               days.last_day - days.first_day + 1 AS days
        FROM billable_accounts AS account
        CROSS JOIN LATERAL (SELECT greatest(account.opened_on, period_first) AS first_day,
                                   least(account.closed_on, period_last) AS last_day) AS days
        WHERE days.first_day <= days.last_day
          AND NOT EXISTS (SELECT FROM invoices AS made
                          WHERE made.profile_id = account.profile_id AND made.period_start = period_first)
    ), told AS MATERIALIZED (
        -- Each figure counts until the day before the next one.
        SELECT trading_account_id, business_date, equity_cents,
               lead(business_date, 1, last_day + 1) OVER account - business_date AS days
        FROM billable JOIN daily_account_equity USING (trading_account_id)
        WHERE business_date BETWEEN period_first AND period_last AND business_date BETWEEN first_day AND last_day
        WINDOW account AS (PARTITION BY trading_account_id ORDER BY business_date)
    ), summed AS (
        SELECT trading_account_id, sum(equity_cents * days) AS equity_sum, count(*) AS told_days,
               min(business_date) AS first_told
        FROM told GROUP BY trading_account_id
    ), charged AS MATERIALIZED (
        SELECT billable.profile_id, billable.currency, billable.days, summed.told_days, commission.*
        FROM billable
        JOIN summed USING (trading_account_id)
        -- The days before the first figure of the period have the last one before the period, or nothing.
        LEFT JOIN LATERAL (
            SELECT earlier.equity_cents FROM daily_account_equity AS earlier
            WHERE earlier.trading_account_id = billable.trading_account_id
              AND earlier.business_date < billable.first_day
            ORDER BY earlier.business_date DESC LIMIT 1
        ) AS carried ON summed.first_told > billable.first_day
        CROSS JOIN LATERAL calculate_commission(
            summed.equity_sum
                + coalesce(carried.equity_cents, 0)::NUMERIC * (summed.first_told - billable.first_day),
            billable.days, yearly_rate, yearly_minimum, free_limit) AS commission
    ), made AS (
        INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end, metadata)
        SELECT profile_id, amount_cents, currency, due,
               'Commission for ' || to_char(period_first, 'FMMonth YYYY'), period_first, period_last,
               jsonb_build_object('average_equity_cents', average_cents, 'billable_days', days,
                   'days_with_balance', told_days, 'yearly_commission_cents', yearly_cents,
                   'yearly_rate', trim_scale(yearly_rate)::TEXT)
        FROM charged WHERE amount_cents > 0
        ORDER BY profile_id
        ON CONFLICT (profile_id, period_start) DO NOTHING
        RETURNING id, profile_id, amount_cents, currency
    ), told_of AS (
        INSERT INTO outbox_messages (event_id, kind, ordering_key, payload, destination_kind, destination)
        SELECT event.id, 'invoice.created', 'profile-' || made.profile_id,
               jsonb_build_object(
                   'id', event.id, 'type', 'invoice.created', 'key', 'profile-' || made.profile_id,
                   'occurred_at', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   'correlation_id', correlation_id,
                   'data', jsonb_build_object(
                       'invoice_id', made.id, 'profile_id', made.profile_id, 'amount_cents', made.amount_cents,
                       'currency', made.currency, 'period_start', period_first, 'period_end', period_last,
                       'due_date', to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))),
               'topic', 'commissions.events'
        FROM made CROSS JOIN LATERAL (SELECT uuid_v7(moment) AS id WHERE made.id IS NOT NULL) AS event
        ORDER BY made.id
    )
    SELECT (SELECT count(*) FROM billable),
           (SELECT count(*) FROM made),
           (SELECT count(*) FROM charged WHERE amount_cents = 0),
           (SELECT count(*) FROM billable) - (SELECT count(*) FROM charged),
           (SELECT coalesce(sum(amount_cents), 0)::BIGINT FROM made)
$$;
