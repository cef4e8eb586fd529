-- How a dispute of a charge has ended: until now only its beginning was recorded.
ALTER TABLE invoice_payments ADD COLUMN dispute_outcome TEXT;
COMMENT ON COLUMN invoice_payments.dispute_outcome IS
    'How the dispute has ended, as Stripe names it (won, lost, warning_closed). Null while it is open, or where there was none.';
