-- How a trader without a profile is written to: what notifications read of funded accounts' traders.

CREATE VIEW trader_contacts AS SELECT user_id, email, first_name FROM traders;
COMMENT ON VIEW trader_contacts IS 'Published for other areas: where to write to a trader who may have no profile.';
