-- Payments at DriveWealth that no flow of ours made: an operator says once that one is accounted for.

ALTER TABLE drivewealth_deposits ADD COLUMN accounted_for_at TIMESTAMPTZ;
ALTER TABLE drivewealth_redemptions ADD COLUMN accounted_for_at TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_deposits.accounted_for_at IS
    'When an operator said that it belongs to no flow and needs none. Null where it has a flow, or nobody has looked.';
COMMENT ON COLUMN drivewealth_redemptions.accounted_for_at IS 'As with deposits.';
