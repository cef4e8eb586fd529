SELECT narrow_transfer(:payer, :receiver, 10);
