-- Whose fault a refusal is: only the card's counts against its customer. Amounts that are too small to be charged are carried
-- over. A customer who is gone at Stripe is created anew.

ALTER TABLE stripe_customers ADD COLUMN gone_at TIMESTAMPTZ;
COMMENT ON COLUMN stripe_customers.gone_at IS 'When Stripe turned out to have no such customer any more; another one takes its place.';

ALTER TABLE invoice_payments
    ADD COLUMN stripe_customer TEXT,
    ADD COLUMN refusal_code    TEXT,
    ADD COLUMN counts          BOOLEAN NOT NULL DEFAULT true;
COMMENT ON COLUMN invoice_payments.stripe_customer IS 'The customer at Stripe that was charged; null before this column was.';
COMMENT ON COLUMN invoice_payments.refusal_code IS 'Stripe refuses the attempt through a fault of ours; it stays in flight.';
COMMENT ON COLUMN invoice_payments.counts IS 'Whether a failure counts against the customer: not when nobody was charged through a fault of ours.';

CREATE TABLE commission_carryovers (
    profile_id   BIGINT      NOT NULL REFERENCES profiles,
    period_start DATE        NOT NULL,
    amount_cents BIGINT      NOT NULL CHECK (amount_cents > 0),
    currency     CHAR(3)     NOT NULL,
    metadata     JSONB       NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    invoice_id   BIGINT      REFERENCES invoices,
    PRIMARY KEY (profile_id, period_start)
);
COMMENT ON TABLE commission_carryovers IS
    'Commissions of a period that were too small to be charged: invoice_id is the later invoice that has them in it.';
CREATE INDEX commission_carryovers_waiting ON commission_carryovers (profile_id) WHERE invoice_id IS NULL;

-- The same as the function of 0013, which the release before goes on calling, with the smallest amount that can be charged of
-- each currency. What is below it waits for the next period.
CREATE FUNCTION create_invoices(
    period_first DATE, period_last DATE, due TIMESTAMPTZ, yearly_rate NUMERIC, yearly_minimum BIGINT, free_limit BIGINT,
    moment TIMESTAMPTZ, correlation_id TEXT, smallest_charges JSONB,
    OUT accounts BIGINT, OUT created BIGINT, OUT free BIGINT, OUT without_balances BIGINT, OUT total_cents BIGINT,
    OUT carried_over BIGINT
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
          AND NOT EXISTS (SELECT FROM commission_carryovers AS small
                          WHERE small.profile_id = account.profile_id AND small.period_start = period_first)
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
    ), carried AS MATERIALIZED (
        SELECT profile_id, currency, sum(amount_cents)::BIGINT AS carried_cents
        FROM commission_carryovers WHERE invoice_id IS NULL AND period_start < period_first
        GROUP BY profile_id, currency
    ), owed AS MATERIALIZED (
        SELECT charged.profile_id, charged.currency, charged.amount_cents,
               charged.amount_cents + coalesce(carried.carried_cents, 0) AS owed_cents,
               coalesce((smallest_charges ->> charged.currency)::BIGINT, 0) AS smallest_cents,
               jsonb_build_object('average_equity_cents', average_cents, 'billable_days', days,
                   'days_with_balance', told_days, 'yearly_commission_cents', yearly_cents,
                   'yearly_rate', trim_scale(yearly_rate)::TEXT)
               || CASE WHEN carried.carried_cents IS NULL THEN '{}'::JSONB
                       ELSE jsonb_build_object('carried_over_cents', carried.carried_cents) END AS metadata
        FROM charged LEFT JOIN carried USING (profile_id, currency)
        WHERE charged.amount_cents > 0
    ), made AS (
        INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end, metadata,
                              created_at)
        SELECT profile_id, owed_cents, currency, due,
               'Commission for ' || to_char(period_first, 'FMMonth YYYY'), period_first, period_last, metadata, moment
        FROM owed WHERE owed_cents >= smallest_cents
        ORDER BY profile_id
        ON CONFLICT (profile_id, period_start) DO NOTHING
        RETURNING id, profile_id, amount_cents, currency
    ), cleared AS (
        UPDATE commission_carryovers AS small SET invoice_id = made.id
        FROM made WHERE small.profile_id = made.profile_id AND small.currency = made.currency
          AND small.invoice_id IS NULL AND small.period_start < period_first
    ), postponed AS (
        INSERT INTO commission_carryovers (profile_id, period_start, amount_cents, currency, metadata, created_at)
        SELECT profile_id, period_first, amount_cents, currency, metadata, moment
        FROM owed WHERE owed_cents < smallest_cents
        ORDER BY profile_id
        ON CONFLICT (profile_id, period_start) DO NOTHING
        RETURNING profile_id
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
           (SELECT coalesce(sum(amount_cents), 0)::BIGINT FROM made),
           (SELECT count(*) FROM postponed)
$$;

-- What is paid on Stripe's page and kept is recorded.
ALTER TABLE checkout_sessions
    ADD COLUMN paid_at    TIMESTAMPTZ,
    ADD COLUMN paid_cents BIGINT CHECK (paid_cents >= 0),
    ADD COLUMN currency   CHAR(3);
COMMENT ON COLUMN checkout_sessions.refund_asked IS 'It proves a card by a price that the server chose: the payment is given back.';
CREATE INDEX checkout_sessions_of_profile ON checkout_sessions (profile_id, created_at);
