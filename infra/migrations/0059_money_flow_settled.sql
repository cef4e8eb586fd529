-- no-transaction
-- The daily reconciliation looks for whose payments were settled of late, and not through all that ever were.
CREATE INDEX CONCURRENTLY trading_money_flow_by_settlement ON trading_money_flow (settled_at) INCLUDE (profile_id);
