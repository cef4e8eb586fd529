\set first least(:payer, :receiver)
\set second greatest(:payer, :receiver)
\set change case when :payer < :receiver then -10 else 10 end
\set back -1 * :change
BEGIN;
UPDATE bare_wallets SET balance = balance + :change, entries = entries + 1 WHERE client_id = :first AND id = :first;
UPDATE bare_wallets SET balance = balance + :back, entries = entries + 1 WHERE client_id = :second AND id = :second;
INSERT INTO bare_payments VALUES (:first, nextval('bare_payment_ids'), '018f2f5e-0000-7000-8000-000000000000', 3, 2, :first, 840, :change, :second, :second, 840, :back, 1, lastval(), 0, NULL, NULL, now(), now());
INSERT INTO bare_payments VALUES (:second, nextval('bare_payment_ids'), '018f2f5e-0000-7000-8000-000000000000', 3, 2, :second, 840, :back, :first, :first, 840, :change, 1, lastval(), 0, NULL, NULL, now(), now());
COMMIT;
