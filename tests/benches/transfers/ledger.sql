SELECT ledger_transfer('acct_' || :payer, 'acct_' || :receiver, 10);
