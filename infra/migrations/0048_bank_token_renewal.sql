-- A bank account whose token DriveWealth refuses (K110) gets another one, once for each flow.

ALTER TABLE trading_money_flow ADD COLUMN refused_bank_account TEXT;
COMMENT ON COLUMN trading_money_flow.refused_bank_account IS
    'The bank account at DriveWealth whose token was refused for this flow: it is tried once more with the one that took its place.';
