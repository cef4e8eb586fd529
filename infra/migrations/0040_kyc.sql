-- The identity check: the form, phone codes, documents, and what the broker says, by the broker's time.

CREATE TABLE kyc_forms (
    profile_id       BIGINT      PRIMARY KEY REFERENCES profiles,
    answers          JSONB       NOT NULL DEFAULT '{}',
    tax_id_sealed    BYTEA,
    tax_id_last_four TEXT,
    submission_state TEXT        NOT NULL DEFAULT 'none'
                     CHECK (submission_state IN ('none', 'intended', 'sent', 'refused', 'parked')),
    submission       INTEGER     NOT NULL DEFAULT 0 CHECK (submission >= 0),
    submitted_at     TIMESTAMPTZ,
    status_before    BIGINT,
    asked_until      TIMESTAMPTZ,
    created_at       TIMESTAMPTZ NOT NULL,
    updated_at       TIMESTAMPTZ NOT NULL,
    CHECK ((tax_id_sealed IS NULL) = (tax_id_last_four IS NULL)),
    CHECK (submission_state = 'none' OR submitted_at IS NOT NULL)
);
COMMENT ON COLUMN kyc_forms.answers IS 'The answers by the fields'' names, without the tax id.';
COMMENT ON COLUMN kyc_forms.tax_id_sealed IS
    'AES-256-GCM, sealed for the place kyc_forms.tax_id:{profile_id}; erased when the check is approved.';
COMMENT ON COLUMN kyc_forms.submission_state IS
    'intended: DriveWealth is asked, or was and its answer was lost; sent: it has the form; refused: it took it not, and '
    'corrected answers are another submission; parked: its answer was lost for too long, and a person has to look.';
COMMENT ON COLUMN kyc_forms.submission IS
    'Counts submissions; DriveWealth''s idempotency key is made of it. A submission whose outcome is open keeps its number.';
COMMENT ON COLUMN kyc_forms.status_before IS
    'The newest of kyc_statuses when the form was submitted: until there is a newer one, the check is under way.';
COMMENT ON COLUMN kyc_forms.asked_until IS 'Whoever has set it asks DriveWealth; until then nobody else does.';

CREATE INDEX kyc_forms_open ON kyc_forms (asked_until) WHERE submission_state = 'intended';

ALTER TABLE kyc_statuses ADD COLUMN as_of TIMESTAMPTZ NOT NULL DEFAULT now();
UPDATE kyc_statuses SET as_of = created_at;
COMMENT ON COLUMN kyc_statuses.as_of IS 'When the check came into the state, by DriveWealth''s clock: the newest counts.';
CREATE INDEX kyc_statuses_newest_as_of ON kyc_statuses (profile_id, as_of DESC, id DESC);

CREATE TABLE phone_verifications (
    id           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id   BIGINT      NOT NULL REFERENCES profiles,
    phone_number TEXT        NOT NULL,
    code_sealed  BYTEA       NOT NULL,
    tries        INTEGER     NOT NULL DEFAULT 0 CHECK (tries >= 0),
    sent_at      TIMESTAMPTZ NOT NULL,
    verified_at  TIMESTAMPTZ
);
CREATE INDEX phone_verifications_newest ON phone_verifications (profile_id, sent_at DESC, id DESC);
COMMENT ON COLUMN phone_verifications.code_sealed IS
    'AES-256-GCM, sealed for the place phone_verifications.code:{profile_id}.';
