SELECT bare_transfer(:payer, :receiver, 10);
