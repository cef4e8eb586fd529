\set first least(:payer, :receiver)
\set second greatest(:payer, :receiver)
\set change case when :payer < :receiver then -10 else 10 end
\set back -1 * :change
BEGIN;
UPDATE narrow_wallets SET balance = balance + :change WHERE id = :first;
UPDATE narrow_wallets SET balance = balance + :back WHERE id = :second;
INSERT INTO narrow_payments (wallet_id, amount, partner_wallet_id) VALUES (:first, :change, :second);
INSERT INTO narrow_payments (wallet_id, amount, partner_wallet_id) VALUES (:second, :back, :first);
COMMIT;
