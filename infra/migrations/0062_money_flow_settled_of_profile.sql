-- no-transaction
-- Those of one profile, which are compared with the broker's list.
CREATE INDEX CONCURRENTLY trading_money_flow_by_settlement_of_profile ON trading_money_flow (profile_id, settled_at);
