-- An invoice was created at the time of the run that creates it, as its event says, and not by the database's clock.
--
-- Creates the invoices of a period that are not there yet, with their events, in one statement however many they are.
-- Accounts without a figure in their days of the period are skipped and counted.
CREATE OR REPLACE FUNCTION create_invoices(
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
        INSERT INTO invoices (profile_id, amount_cents, currency, due_date, description, period_start, period_end, metadata,
                              created_at)
        SELECT profile_id, amount_cents, currency, due,
               'Commission for ' || to_char(period_first, 'FMMonth YYYY'), period_first, period_last,
               jsonb_build_object('average_equity_cents', average_cents, 'billable_days', days,
                   'days_with_balance', told_days, 'yearly_commission_cents', yearly_cents,
                   'yearly_rate', trim_scale(yearly_rate)::TEXT),
               moment
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
