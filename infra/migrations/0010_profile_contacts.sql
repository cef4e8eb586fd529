-- How a profile is written to: what notifications read of trading's profiles.

ALTER TABLE profiles ADD COLUMN language TEXT NOT NULL DEFAULT 'en' CHECK (language ~ '^[a-z]{2}$');
COMMENT ON COLUMN profiles.language IS 'ISO 639-1. Texts that are missing in it are in English.';

CREATE VIEW profile_contacts AS
    SELECT id AS profile_id, email, first_name, trim(first_name || ' ' || last_name) AS full_name, language FROM profiles;
COMMENT ON VIEW profile_contacts IS 'Published for other areas: where and in which language to write to a profile.';
