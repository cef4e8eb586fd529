-- The same invoices with less work: an account with a figure for each day of the period needs no window over its days, the
-- texts that are the same for all are made once, and the statement isn't compiled, which took longer than it saved.

CREATE OR REPLACE FUNCTION create_invoices(
    period_first DATE, period_last DATE, due TIMESTAMPTZ, yearly_rate NUMERIC, yearly_minimum BIGINT, free_limit BIGINT,
    moment TIMESTAMPTZ, correlation_id TEXT, smallest_charges JSONB,
    OUT accounts BIGINT, OUT created BIGINT, OUT free BIGINT, OUT without_balances BIGINT, OUT total_cents BIGINT,
    OUT carried_over BIGINT
) LANGUAGE sql SET jit = off SET work_mem = '64MB' AS $$
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
    ), whole AS MATERIALIZED (
        -- A figure for each day of the period: each counts once, and their sum needs no order.
        SELECT trading_account_id, sum(equity_cents) AS equity_sum
        FROM daily_account_equity
        WHERE business_date BETWEEN period_first AND period_last AND EXISTS (SELECT FROM billable)
        GROUP BY trading_account_id
        HAVING count(*) = period_last - period_first + 1
    ), partial AS MATERIALIZED (
        SELECT billable.trading_account_id, billable.first_day, billable.last_day
        FROM billable LEFT JOIN whole USING (trading_account_id)
        WHERE whole.trading_account_id IS NULL OR billable.days < period_last - period_first + 1
    ), told AS MATERIALIZED (
        -- Each figure counts until the day before the next one.
        SELECT trading_account_id, business_date, equity_cents,
               lead(business_date, 1, last_day + 1) OVER account - business_date AS days
        FROM partial JOIN daily_account_equity USING (trading_account_id)
        WHERE business_date BETWEEN period_first AND period_last AND business_date BETWEEN first_day AND last_day
        WINDOW account AS (PARTITION BY trading_account_id ORDER BY business_date)
    ), pieced AS (
        SELECT trading_account_id, sum(equity_cents * days) AS equity_sum, count(*) AS told_days,
               min(business_date) AS first_told
        FROM told GROUP BY trading_account_id
    ), summed AS (
        SELECT trading_account_id, equity_sum, period_last - period_first + 1::BIGINT AS told_days
        FROM whole WHERE NOT EXISTS (SELECT FROM partial WHERE partial.trading_account_id = whole.trading_account_id)
        UNION ALL
        -- The days before the first figure of the period have the last one before the period, or nothing.
        SELECT pieced.trading_account_id,
               pieced.equity_sum + coalesce(carried.equity_cents, 0)::NUMERIC * (pieced.first_told - partial.first_day),
               pieced.told_days
        FROM pieced JOIN partial USING (trading_account_id)
        LEFT JOIN LATERAL (
            SELECT earlier.equity_cents FROM daily_account_equity AS earlier
            WHERE earlier.trading_account_id = partial.trading_account_id
              AND earlier.business_date < partial.first_day
            ORDER BY earlier.business_date DESC LIMIT 1
        ) AS carried ON pieced.first_told > partial.first_day
    ), charged AS MATERIALIZED (
        SELECT billable.profile_id, billable.currency, billable.days, summed.told_days, commission.*
        FROM billable
        JOIN summed USING (trading_account_id)
        CROSS JOIN LATERAL calculate_commission(
            summed.equity_sum, billable.days, yearly_rate, yearly_minimum, free_limit) AS commission
    ), carried AS MATERIALIZED (
        SELECT profile_id, currency, sum(amount_cents)::BIGINT AS carried_cents
        FROM commission_carryovers WHERE invoice_id IS NULL AND period_start < period_first
        GROUP BY profile_id, currency
    ), constants AS MATERIALIZED (
        SELECT 'Commission for ' || to_char(period_first, 'FMMonth YYYY') AS description,
               trim_scale(yearly_rate)::TEXT AS yearly_rate,
               to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS occurred_at,
               to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS due_date
    ), owed AS MATERIALIZED (
        SELECT charged.profile_id, charged.currency, charged.amount_cents,
               charged.amount_cents + coalesce(carried.carried_cents, 0) AS owed_cents,
               coalesce((smallest_charges ->> charged.currency)::BIGINT, 0) AS smallest_cents,
               jsonb_build_object('average_equity_cents', average_cents, 'billable_days', days,
                   'days_with_balance', told_days, 'yearly_commission_cents', yearly_cents,
                   'yearly_rate', constants.yearly_rate)
               || CASE WHEN carried.carried_cents IS NULL THEN '{}'::JSONB
                       ELSE jsonb_build_object('carried_over_cents', carried.carried_cents) END AS metadata
        FROM charged CROSS JOIN constants LEFT JOIN carried USING (profile_id, currency)
        WHERE charged.amount_cents > 0
    ), made AS (
        INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end, metadata,
                              created_at)
        SELECT profile_id, owed_cents, currency, due, description, period_first, period_last, metadata, moment
        FROM owed CROSS JOIN constants WHERE owed_cents >= smallest_cents
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
                   'occurred_at', constants.occurred_at,
                   'correlation_id', correlation_id,
                   'data', jsonb_build_object(
                       'invoice_id', made.id, 'profile_id', made.profile_id, 'amount_cents', made.amount_cents,
                       'currency', made.currency, 'period_start', period_first, 'period_end', period_last,
                       'due_date', constants.due_date)),
               'topic', 'commissions.events'
        FROM made CROSS JOIN constants
        CROSS JOIN LATERAL (SELECT uuid_v7(moment) AS id WHERE made.id IS NOT NULL) AS event
        ORDER BY made.id
    )
    SELECT (SELECT count(*) FROM billable),
           (SELECT count(*) FROM made),
           (SELECT count(*) FROM charged WHERE amount_cents = 0),
           (SELECT count(*) FROM billable) - (SELECT count(*) FROM charged),
           (SELECT coalesce(sum(amount_cents), 0)::BIGINT FROM made),
           (SELECT count(*) FROM postponed)
$$;
