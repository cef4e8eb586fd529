-- Reviews: what an area can't decide waits for a person in one place. An area opens one in the transaction that parks; an
-- operator's decision goes back to the area by the outbox and is applied by the area's own transition. Nothing is deleted.

CREATE TABLE reviews (
    id           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area         TEXT        NOT NULL CHECK (area ~ '^[a-z]+(-[a-z]+)*$'),
    kind         TEXT        NOT NULL,
    subject      TEXT        NOT NULL,
    profile_id   BIGINT,
    client_id    BIGINT,
    user_id      BIGINT,
    dealer_id    BIGINT,
    summary      TEXT        NOT NULL,
    evidence     JSONB       NOT NULL,
    actions      JSONB       NOT NULL,
    seen         INTEGER     NOT NULL DEFAULT 1 CHECK (seen > 0),
    state        TEXT        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'decided', 'applied', 'refused')),
    opened_at    TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    decisions    INTEGER     NOT NULL DEFAULT 0 CHECK (decisions >= 0),
    decided_at   TIMESTAMPTZ,
    decided_by   TEXT,
    decision     TEXT,
    parameters   JSONB,
    reason       TEXT,
    refusal      TEXT,
    closed_at    TIMESTAMPTZ,
    CHECK ((closed_at IS NOT NULL) = (state IN ('applied', 'refused'))),
    CHECK (num_nonnulls(decided_at, decided_by, decision, parameters, reason) IN (0, 5)),
    CHECK (state NOT IN ('decided', 'refused') OR decided_at IS NOT NULL)
);
COMMENT ON COLUMN reviews.subject IS 'What it is about, as the area names it: charge-17. With area and kind it is unique while it waits.';
COMMENT ON COLUMN reviews.seen IS 'How often the area met the same while it waited.';
COMMENT ON COLUMN reviews.decisions IS 'How often it was decided: the last number is the one that counts.';
COMMENT ON COLUMN reviews.refusal IS 'Why the area did not apply the last decision.';
CREATE UNIQUE INDEX reviews_waiting ON reviews (area, kind, subject) WHERE state IN ('open', 'decided');
CREATE INDEX reviews_of_state ON reviews (state, id DESC);
CREATE INDEX reviews_of_area ON reviews (area, id DESC);

CREATE TABLE review_history (
    id          BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id   BIGINT      NOT NULL REFERENCES reviews,
    at          TIMESTAMPTZ NOT NULL,
    event       TEXT        NOT NULL CHECK (event IN ('opened', 'decided', 'applied', 'refused', 'opened-again', 'settled')),
    actor       TEXT,
    action      TEXT,
    parameters  JSONB,
    reason      TEXT
);
CREATE INDEX review_history_of_review ON review_history (review_id, id);

CREATE TABLE admin_audit (
    id             BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             TIMESTAMPTZ NOT NULL,
    operator       TEXT        NOT NULL,
    operation      TEXT        NOT NULL,
    subject        TEXT        NOT NULL,
    request        JSONB       NOT NULL,
    correlation_id TEXT        NOT NULL
);
COMMENT ON TABLE admin_audit IS 'Who did what through an administrator''s route, written in the transaction that did it.';
CREATE INDEX admin_audit_of_operator ON admin_audit (operator, id DESC);
