-- The limits of every session: no statement and no forgotten transaction holds a lock for long. They belong to the role
-- and not to the code, because RDS Proxy takes no settings in a connection's start-up, and a client that says SET keeps
-- its connection to the database for itself from then on.
DO $$
DECLARE
    setting TEXT[];
BEGIN
    FOREACH setting SLICE 1 IN ARRAY ARRAY[
        ['statement_timeout', '10s'],
        ['lock_timeout', '5s'],
        ['idle_in_transaction_session_timeout', '10s'],
        ['TimeZone', 'UTC']
    ] LOOP
        EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %s = %L', current_database(), setting[1], setting[2]);
    END LOOP;
END
$$;
