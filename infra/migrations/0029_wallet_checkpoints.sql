-- reconcile_wallets goes on from where it was: each wallet has a checkpoint, and the run itself a place among the wallets.

CREATE TABLE wallet_checkpoints (
    client_id       BIGINT      NOT NULL,
    wallet_id       BIGINT      NOT NULL,
    entry           BIGINT      NOT NULL,
    total           NUMERIC     NOT NULL,
    residue_entry   BIGINT      NOT NULL,
    begun_at        TIMESTAMPTZ NOT NULL,
    checked_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (client_id, wallet_id)
);
COMMENT ON TABLE wallet_checkpoints IS 'How far each wallet''s entries have been compared.';
COMMENT ON COLUMN wallet_checkpoints.total IS 'The sum of the entries up to this one: what the balance was then.';
COMMENT ON COLUMN wallet_checkpoints.residue_entry IS 'Up to which entry conversion_residues counts it.';
COMMENT ON COLUMN wallet_checkpoints.begun_at IS
    'When it was compared from its first entry on; that is done anew after a while, and after a difference is resolved.';

-- Where the next run begins, in the order of clients and wallets; none where the last one came to the end.
CREATE TABLE reconciliation_cursor (
    only_one     BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (only_one),
    after_client BIGINT  NOT NULL,
    after_wallet BIGINT  NOT NULL
);

CREATE TABLE conversion_residues (
    currency   SMALLINT    PRIMARY KEY REFERENCES currencies,
    residue    NUMERIC     NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE conversion_residues IS
    'What rounding of conversions has left to the house, in minor units of the receivers'' currency: computed from the payments.';

-- Whether both amounts of a transfer follow from its rate: the receiver's rounded down, or the payer's rounded up. Before
-- 0027, which kept no correlation_id, the receiver's was rounded to the nearest.
CREATE FUNCTION conversion_is_right(
    paid BIGINT, received BIGINT, rate NUMERIC, payer_exponent SMALLINT, receiver_exponent SMALLINT, before_0027 BOOLEAN
) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN before_0027
        THEN received = divide_half_even(paid * multiplier, divisor)
        ELSE received = div(paid * multiplier, divisor) OR paid = div(received * divisor + multiplier - 1, multiplier)
        END
      FROM (SELECT rate * ('1e' || 12 + receiver_exponent)::NUMERIC AS multiplier,
                   ('1e' || 12 + payer_exponent)::NUMERIC AS divisor) AS factor
$$;
