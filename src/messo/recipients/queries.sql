-- name: create_profiles
-- One JSON list instead of sixteen arrays: enrolling is not a hot path.
INSERT INTO recipients.profile (
    bucket, fiscal_code, version, mode, settings_version, is_inbox_enabled, is_webhook_enabled,
    is_email_enabled, is_email_validated, email, is_test_profile, accepted_tos_version, blocked,
    preferred_languages, last_app_version, push_notifications_content_type, reminder_status,
    created_at, updated_at
)
SELECT
    p.bucket, p.fiscal_code, p.version, p.mode, p.settings_version, p.is_inbox_enabled,
    p.is_webhook_enabled, p.is_email_enabled, p.is_email_validated, p.email, p.is_test_profile,
    p.accepted_tos_version, p.blocked, p.preferred_languages, p.last_app_version,
    p.push_notifications_content_type, p.reminder_status, :now::timestamptz, :now::timestamptz
FROM ROWS FROM (
    unnest(:buckets::smallint[]),
    jsonb_to_recordset(:profiles::jsonb) AS (
        fiscal_code text, version int, mode text, settings_version int, is_inbox_enabled boolean,
        is_webhook_enabled boolean, is_email_enabled boolean, is_email_validated boolean,
        email text, is_test_profile boolean, accepted_tos_version numeric, blocked jsonb,
        preferred_languages text[], last_app_version text, push_notifications_content_type text,
        reminder_status text
    )
) AS p (
    bucket, fiscal_code, version, mode, settings_version, is_inbox_enabled, is_webhook_enabled,
    is_email_enabled, is_email_validated, email, is_test_profile, accepted_tos_version, blocked,
    preferred_languages, last_app_version, push_notifications_content_type, reminder_status
)
ORDER BY p.bucket, p.fiscal_code
ON CONFLICT DO NOTHING;

-- name: read_profile
-- One citizen, by primary key.
SELECT
    p.fiscal_code, p.version, p.mode, p.settings_version, p.is_inbox_enabled,
    p.is_webhook_enabled, p.is_email_enabled, p.is_email_validated, p.email, p.is_test_profile,
    p.accepted_tos_version::float8, p.blocked, p.preferred_languages, p.last_app_version,
    p.push_notifications_content_type, p.reminder_status
FROM recipients.profile AS p
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code;

-- name: keep_what_was_blocked
-- Before a LEGACY profile becomes AUTO, where everything is allowed that nobody forbade.
INSERT INTO recipients.preference (
    bucket, fiscal_code, service_id, settings_version, is_inbox_enabled, is_email_enabled,
    is_webhook_enabled, access_read_message_status, updated_at
)
SELECT
    p.bucket, p.fiscal_code, b.service_id, p.settings_version + 1, NOT b.channels ? 'INBOX',
    NOT b.channels ? 'EMAIL', NOT b.channels ? 'WEBHOOK', 'UNKNOWN', :now::timestamptz
FROM recipients.profile AS p
CROSS JOIN jsonb_each(p.blocked) AS b (service_id, channels)
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code AND p.mode = 'LEGACY'
ON CONFLICT DO NOTHING;

-- name: change_mode
-- The same mode keeps its version; another one starts a new version and empties what was blocked.
UPDATE recipients.profile AS p SET
    mode = :mode,
    settings_version = CASE WHEN p.mode = :mode THEN p.settings_version
        ELSE p.settings_version + 1 END,
    blocked = CASE WHEN p.mode = :mode THEN p.blocked ELSE '{}' END,
    version = p.version + 1,
    updated_at = :now
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code
  AND (:mode <> 'LEGACY' OR p.mode = 'LEGACY')
RETURNING p.settings_version;

-- name: put_preferences
-- Joined to the profile, so that a choice made before a change of mode is not stored after it.
INSERT INTO recipients.preference AS old (
    bucket, fiscal_code, service_id, settings_version, is_inbox_enabled, is_email_enabled,
    is_webhook_enabled, access_read_message_status, updated_at
)
SELECT
    u.bucket, u.fiscal_code, u.service_id, u.settings_version, u.inbox, u.email, u.webhook,
    u.access, :now::timestamptz
FROM unnest(
    :buckets::smallint[], :fiscal_codes::text[], :service_ids::text[], :settings_versions::int[],
    :inbox::boolean[], :email::boolean[], :webhook::boolean[], :access::text[]
) AS u (bucket, fiscal_code, service_id, settings_version, inbox, email, webhook, access)
INNER JOIN recipients.profile AS p
    ON p.bucket = u.bucket AND p.fiscal_code = u.fiscal_code
    AND p.settings_version = u.settings_version AND p.mode <> 'LEGACY'
ORDER BY u.bucket, u.fiscal_code, u.service_id
ON CONFLICT (bucket, fiscal_code, service_id, settings_version) DO UPDATE SET
    is_inbox_enabled = excluded.is_inbox_enabled,
    is_email_enabled = excluded.is_email_enabled,
    is_webhook_enabled = excluded.is_webhook_enabled,
    access_read_message_status = excluded.access_read_message_status,
    updated_at = excluded.updated_at;

-- name: put_activations
-- Sorted, so that two writers never wait for each other in a circle.
INSERT INTO recipients.activation AS old (
    bucket, fiscal_code, service_id, status, version, updated_at
)
SELECT u.bucket, u.fiscal_code, u.service_id, u.status, 0, :now::timestamptz
FROM unnest(
    :buckets::smallint[], :fiscal_codes::text[], :service_ids::text[], :statuses::text[]
) AS u (bucket, fiscal_code, service_id, status)
ORDER BY u.bucket, u.fiscal_code, u.service_id
ON CONFLICT (bucket, fiscal_code, service_id) DO UPDATE SET
    status = excluded.status, version = old.version + 1, updated_at = excluded.updated_at;

-- name: count_enrolled
-- Every few minutes, by one worker: a full count is too slow to ask per message.
INSERT INTO recipients.census (enrolled, counted_at)
SELECT count(*), :now::timestamptz FROM recipients.profile AS p WHERE p.is_inbox_enabled
ON CONFLICT (one) DO UPDATE SET enrolled = excluded.enrolled, counted_at = excluded.counted_at;

-- name: read_census
-- Null before the first count.
SELECT c.enrolled FROM recipients.census AS c;
