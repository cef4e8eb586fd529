-- Who may do what: each area's functions sign in as a user of their own, OWNER_AREA, who may do what their statements need.
-- `migrate` runs this after the migrations, in one transaction, as the owner, whose name stands for {owner}; it begins with
-- nothing, so that a right that isn't listed here isn't there. Rows of the books are only ever added: of these, UPDATE is
-- given by column.

DO $$
DECLARE
    area TEXT;
    area_user TEXT;
    setting TEXT;
BEGIN
    FOREACH area IN ARRAY ARRAY['trading', 'commissions', 'wallets', 'dealers', 'funded_accounts', 'notifications', 'maintenance']
    LOOP
        area_user := current_user || '_' || area;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = area_user) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', area_user);
        END IF;
        -- The limits of the owner's sessions, which a migration has set.
        FOR setting IN
            SELECT unnest(setconfig) FROM pg_db_role_setting
            WHERE setrole = current_user::REGROLE
                AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %s = %L', area_user, current_database(),
                           split_part(setting, '=', 1), split_part(setting, '=', 2));
        END LOOP;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', area_user);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM %I', area_user);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM %I', area_user);
    END LOOP;
END
$$;

-- These run with the owner's rights.
REVOKE EXECUTE ON FUNCTION make_funded_equity_partitions, thin_funded_equity_history FROM PUBLIC;

-- What several areas use: idempotency keys, the inbox, the outbox and reviews.
GRANT SELECT, INSERT, UPDATE ON idempotency_keys
    TO "{owner}_trading", "{owner}_commissions", "{owner}_wallets", "{owner}_dealers", "{owner}_funded_accounts";
GRANT SELECT, INSERT, UPDATE ON inbox_events
    TO "{owner}_trading", "{owner}_commissions", "{owner}_dealers", "{owner}_funded_accounts";
GRANT SELECT, INSERT ON outbox_messages
    TO "{owner}_trading", "{owner}_commissions", "{owner}_wallets", "{owner}_dealers", "{owner}_funded_accounts";
GRANT SELECT, INSERT, UPDATE ON reviews
    TO "{owner}_trading", "{owner}_commissions", "{owner}_wallets", "{owner}_dealers", "{owner}_funded_accounts";
GRANT SELECT, INSERT ON review_history
    TO "{owner}_trading", "{owner}_commissions", "{owner}_wallets", "{owner}_dealers", "{owner}_funded_accounts";
GRANT INSERT ON admin_audit TO "{owner}_wallets";

-- Trading.
GRANT SELECT ON buying_suspensions, commission_history, open_invoices TO "{owner}_trading";
GRANT SELECT, INSERT ON collection_weights, drivewealth_funds, kyc_statuses, statements, trading_collection_contents
    TO "{owner}_trading";
GRANT SELECT, INSERT, UPDATE ON bank_accounts, collections, drivewealth_account_leases, drivewealth_accounts,
    drivewealth_autopilot_runs, drivewealth_bank_accounts, drivewealth_deposits, drivewealth_portfolios,
    drivewealth_redemptions, drivewealth_sessions, drivewealth_users, instruments, kyc_documents, kyc_forms, paid_calls, plaid_items,
    profiles, trading_account_balances, trading_accounts TO "{owner}_trading";
GRANT SELECT, INSERT, UPDATE, DELETE ON phone_verifications, plaid_public_tokens TO "{owner}_trading";
GRANT SELECT, INSERT, UPDATE (actual_amount_cents, failure_code, failure_reason, planned_amount_cents, run_id, settled_at,
    status, updated_at) ON trading_collection_versions TO "{owner}_trading";
GRANT SELECT, INSERT, UPDATE (asked_until, failure_code, failure_reason, lookups, next_lookup_at, provider_state,
    refused_bank_account, settled_at, status, updated_at) ON trading_money_flow TO "{owner}_trading";

-- Commissions.
GRANT SELECT ON billable_accounts, daily_account_equity, profile_contacts TO "{owner}_commissions";
GRANT SELECT, INSERT, UPDATE ON billing_discrepancies, billing_suspensions, checkout_sessions, commission_carryovers,
    invoice_payments, payment_methods, stripe_customers TO "{owner}_commissions";
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_reconciliation_cursor TO "{owner}_commissions";
GRANT SELECT, INSERT, UPDATE (failed_attempts, first_failed_at, next_attempt_at, paid_at, status)
    ON invoices TO "{owner}_commissions";

-- Wallets.
GRANT SELECT ON client_references, currencies TO "{owner}_wallets";
GRANT SELECT, INSERT ON batch_requests, client_names, clients, exchange_rates, wallet_differences TO "{owner}_wallets";
GRANT SELECT, INSERT, DELETE ON payment_requests TO "{owner}_wallets";
GRANT SELECT, INSERT, UPDATE ON conversion_residues, held_exchange_rates, wallet_checkpoints, wallets TO "{owner}_wallets";
GRANT SELECT, INSERT, UPDATE, DELETE ON reconciliation_cursor TO "{owner}_wallets";
GRANT SELECT, INSERT, UPDATE (payment_id, refusal) ON transfer_answers TO "{owner}_wallets";
GRANT SELECT, INSERT, UPDATE (retry_at), DELETE ON transfer_orders TO "{owner}_wallets";
GRANT USAGE ON SEQUENCE client_ids, payment_ids, wallet_difference_ids, wallet_ids TO "{owner}_wallets";
GRANT SELECT, INSERT, UPDATE (payment_status, return_balance_after, return_entry, updated_at) ON payments TO "{owner}_wallets";

-- Dealers.
GRANT SELECT ON fast_buyout_segments TO "{owner}_dealers";
GRANT SELECT, INSERT, UPDATE ON bills, dealer_accounts, dealers TO "{owner}_dealers";
GRANT SELECT, INSERT, DELETE, UPDATE (amount) ON bill_payments TO "{owner}_dealers";
GRANT SELECT, INSERT, UPDATE (reversed_amount, reversed_at, unspent) ON dealer_payments TO "{owner}_dealers";

-- Funded accounts.
GRANT SELECT, INSERT ON funded_account_restorations, funded_account_warnings TO "{owner}_funded_accounts";
GRANT SELECT, INSERT, UPDATE ON assessments, funded_equity_history, funded_virtual_accounts, payees, tiers, traders, withdrawals
    TO "{owner}_funded_accounts";
GRANT SELECT, INSERT, UPDATE, DELETE ON funded_accounts, funded_sagas TO "{owner}_funded_accounts";

-- Notifications.
GRANT SELECT ON profile_contacts, trader_contacts TO "{owner}_notifications";

-- Maintenance: the relay with the events that are made of an area's rows, pruning by functions of the owner's, and reviews.
GRANT SELECT ON transfer_events TO "{owner}_maintenance";
GRANT INSERT ON admin_audit TO "{owner}_maintenance";
GRANT EXECUTE ON FUNCTION make_funded_equity_partitions, thin_funded_equity_history TO "{owner}_maintenance";
GRANT SELECT, DELETE ON inbox_events TO "{owner}_maintenance";
GRANT SELECT, INSERT ON review_history TO "{owner}_maintenance";
GRANT SELECT, UPDATE ON reviews TO "{owner}_maintenance";
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_held_destinations, outbox_held_keys TO "{owner}_maintenance";
GRANT SELECT, INSERT, DELETE, UPDATE (held, published_at) ON outbox_messages TO "{owner}_maintenance";
