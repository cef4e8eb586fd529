-- How often a profile had a provider asked something that costs us money, on one New York day.

CREATE TABLE paid_calls (
    profile_id BIGINT  NOT NULL REFERENCES profiles,
    kind       TEXT    NOT NULL CHECK (kind IN ('bank-balance')),
    day        DATE    NOT NULL,
    calls      INTEGER NOT NULL CHECK (calls > 0),
    PRIMARY KEY (profile_id, kind)
);
COMMENT ON TABLE paid_calls IS 'The newest day on which each profile had such a call made; the days before are forgotten.';

-- For the limit of links a day.
CREATE INDEX plaid_public_tokens_profile ON plaid_public_tokens (profile_id, created_at);
