-- A run that DriveWealth was once asked to create may be trading, whatever came back: an attempt after that sets nothing any more.

ALTER TABLE drivewealth_autopilot_runs ADD COLUMN creation_asked_at TIMESTAMPTZ;
COMMENT ON COLUMN drivewealth_autopilot_runs.creation_asked_at IS
    'When its funds and portfolio were set, and DriveWealth was about to be asked for the run. From then on only that is repeated.';
