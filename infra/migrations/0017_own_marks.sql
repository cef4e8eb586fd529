-- What DriveWealth says of a bank account is a mark of its own, which no answer of Plaid's clears. An account that the broker
-- opens again is there again.

ALTER TABLE drivewealth_bank_accounts ADD COLUMN token_invalid_since TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_bank_accounts.token_invalid_since IS
    'DriveWealth refuses the bank token (K110): the account has to be linked again. plaid_items.needs_reauth_since is Plaid''s word.';

CREATE INDEX trading_money_flow_of_bank_account ON trading_money_flow (bank_account_id, settled_at) WHERE amount_cents > 0;

-- Of other parties' documents only what is named in the code is stored from now on; what was stored before is cut down to it.
CREATE FUNCTION kept_parts(document JSONB, parts TEXT[]) RETURNS JSONB LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(
        CASE jsonb_typeof(document) WHEN 'object' THEN document ELSE '{}' END) WHERE key = ANY (parts)
$$;
UPDATE invoice_payments SET response = kept_parts(response, '{id,object,status,amount,amount_received,currency,created,livemode,latest_charge,canceled_at,cancellation_reason}')
    WHERE response IS NOT NULL;
UPDATE drivewealth_deposits SET raw_data = kept_parts(raw_data, '{id,paymentID,type,amount,currency,status,statusMessage,accountID,accountNo,created,updated}');
UPDATE drivewealth_redemptions SET raw_data = kept_parts(raw_data, '{id,paymentID,type,amount,currency,status,statusMessage,accountID,accountNo,created,updated}');
UPDATE drivewealth_accounts SET raw_data = kept_parts(raw_data, '{id,accountNo,status,accountType,tradingType,restricted,createdWhen,openedWhen,updatedWhen}');
DROP FUNCTION kept_parts;
