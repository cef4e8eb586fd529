-- Trading: whose turn it is to ask DriveWealth about a flow, and whom the reconciler has looked at.

ALTER TABLE trading_money_flow ADD COLUMN asked_until TIMESTAMPTZ;
COMMENT ON COLUMN trading_money_flow.asked_until IS
    'Set before DriveWealth is asked to move the money, emptied when what it said is recorded. Until then nobody else '
    'asks. One that has passed tells that somebody asked and died: the money may be on its way.';

ALTER TABLE drivewealth_users ADD COLUMN reconciled_at TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_users.reconciled_at IS
    'When the reconciler last looked at the user, with success or without: those it looked at longest ago come first.';
