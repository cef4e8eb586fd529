-- Linking banks through the API.

ALTER TABLE bank_accounts
    ALTER COLUMN mask DROP NOT NULL,
    ADD COLUMN bank_name   TEXT,
    ADD COLUMN currency    CHAR(3),
    ADD COLUMN status      TEXT NOT NULL DEFAULT 'linked' CHECK (status IN ('linking', 'verifying', 'linked', 'failed')),
    ADD COLUMN unlinked_at TIMESTAMPTZ;
COMMENT ON COLUMN bank_accounts.bank_name IS 'The account''s own name at the bank; name is the customer''s.';
COMMENT ON COLUMN bank_accounts.status IS
    'linking: DriveWealth is asked, or was and its answer was lost; verifying: waits for small deposits; failed: they were not verified.';
COMMENT ON COLUMN bank_accounts.unlinked_at IS
    'When DriveWealth and Plaid had forgotten a deleted account; empty while that is still to be done.';
UPDATE bank_accounts SET bank_name = name;
UPDATE bank_accounts SET unlinked_at = deleted_at WHERE deleted_at IS NOT NULL;

-- A deleted account can be linked again.
ALTER TABLE bank_accounts DROP CONSTRAINT bank_accounts_plaid_item_id_plaid_account_id_key;
CREATE UNIQUE INDEX bank_accounts_linked ON bank_accounts (plaid_item_id, plaid_account_id) WHERE deleted_at IS NULL;

ALTER TABLE plaid_items
    ADD COLUMN institution_name TEXT,
    ADD COLUMN state_as_of      TIMESTAMPTZ,
    ADD COLUMN new_accounts_at  TIMESTAMPTZ,
    ADD COLUMN ended_at         TIMESTAMPTZ;
COMMENT ON COLUMN plaid_items.state_as_of IS 'The time of the newest webhook about the item: an older one changes nothing.';
COMMENT ON COLUMN plaid_items.ended_at IS 'The customer has revoked it, or it was removed: Plaid is not asked about it any more.';

CREATE TABLE plaid_public_tokens (
    digest        BYTEA       PRIMARY KEY,
    profile_id    BIGINT      NOT NULL REFERENCES profiles,
    plaid_item_id BIGINT      REFERENCES plaid_items,
    created_at    TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE plaid_public_tokens IS
    'Public tokens that were exchanged, by their digests. One without an item: the answer was lost, and the token is used up.';
