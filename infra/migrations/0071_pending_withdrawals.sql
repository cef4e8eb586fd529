-- no-transaction
-- Those that wait for an operator, oldest first: a few of all that ever were.
CREATE INDEX CONCURRENTLY withdrawals_pending ON withdrawals (id) WHERE status = 'pending';
