-- From a submitted form to an open account: documents, the steps that are left, and events that wait for their handler.

CREATE TABLE kyc_documents (
    id             BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id     BIGINT      NOT NULL REFERENCES profiles,
    type           TEXT        NOT NULL,
    side           TEXT        NOT NULL CHECK (side IN ('FRONT', 'BACK')),
    media_type     TEXT        NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'application/pdf')),
    provider_state TEXT        NOT NULL DEFAULT 'intended' CHECK (provider_state IN ('intended', 'accepted', 'declined')),
    ref_id         TEXT        UNIQUE,
    status         TEXT        NOT NULL DEFAULT 'NOT_SUBMITTED',
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    CHECK (provider_state <> 'accepted' OR ref_id IS NOT NULL)
);
CREATE INDEX kyc_documents_of_profile ON kyc_documents (profile_id, id DESC);
COMMENT ON TABLE kyc_documents IS 'What was sent to DriveWealth; the files themselves are not kept.';
COMMENT ON COLUMN kyc_documents.status IS 'DriveWealth''s verdict: NOT_SUBMITTED, PENDING, APPROVED, REJECTED, or what else it names.';

ALTER TABLE drivewealth_users ADD COLUMN next_step_at TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_users.next_step_at IS
    'When the way to an open account goes on at the latest, should no event take it on before; empty when nothing is left to do.';
CREATE INDEX drivewealth_users_next_step ON drivewealth_users (next_step_at) WHERE next_step_at IS NOT NULL;

ALTER TABLE drivewealth_portfolios ADD COLUMN is_assigned BOOLEAN NOT NULL DEFAULT true;
COMMENT ON COLUMN drivewealth_portfolios.is_assigned IS 'Whether the account is known to follow it.';

ALTER TABLE inbox_events ADD COLUMN is_unhandled BOOLEAN NOT NULL DEFAULT false;
COMMENT ON COLUMN inbox_events.is_unhandled IS
    'Kept without an effect, since nobody handled its kind; handled once when its handler comes.';
UPDATE inbox_events SET is_unhandled = true
WHERE source = 'drivewealth' AND kind NOT LIKE 'deposits.%' AND kind NOT LIKE 'redemptions.%' AND kind NOT LIKE 'accounts.%';
CREATE INDEX inbox_events_unhandled ON inbox_events (source, kind, received_at) WHERE is_unhandled;
