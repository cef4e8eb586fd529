-- A run that DriveWealth was once asked to create may be trading, whatever came back: an attempt after that sets nothing any more.

ALTER TABLE drivewealth_autopilot_runs ADD COLUMN creation_asked_at TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_autopilot_runs.creation_asked_at IS
    'When its funds and portfolio were set, and DriveWealth was about to be asked for the run. From then on only that is repeated.';

-- Plaid warns a week before a link ends. Until then the bank's good answers say nothing about whether its customer has signed in.

ALTER TABLE plaid_items ADD COLUMN warned_until TIMESTAMPTZ;
COMMENT ON COLUMN plaid_items.warned_until IS
    'Plaid has warned that the link will have ended by then. A balance that is had later shows that its customer has signed in.';
