-- name: create_profiles
-- One JSON list instead of sixteen arrays: enrolling is not a hot path.
INSERT INTO recipients.profile (
    bucket, fiscal_code, version, mode, settings_version, is_inbox_enabled, is_webhook_enabled,
    is_email_enabled, is_email_validated, email, is_test_profile, accepted_tos_version, blocked,
    preferred_languages, last_app_version, push_notifications_content_type, reminder_status,
    quiet_from, quiet_until, created_at, updated_at
)
SELECT
    p.bucket, p.fiscal_code, p.version, p.mode, p.settings_version, p.is_inbox_enabled,
    p.is_webhook_enabled, p.is_email_enabled, p.is_email_validated, p.email, p.is_test_profile,
    p.accepted_tos_version, p.blocked, p.preferred_languages, p.last_app_version,
    p.push_notifications_content_type, p.reminder_status, p.quiet_from, p.quiet_until,
    :now::timestamptz, :now::timestamptz
FROM ROWS FROM (
    unnest(:buckets::smallint[]),
    jsonb_to_recordset(:profiles::jsonb) AS (
        fiscal_code text, version int, mode text, settings_version int, is_inbox_enabled boolean,
        is_webhook_enabled boolean, is_email_enabled boolean, is_email_validated boolean,
        email text, is_test_profile boolean, accepted_tos_version numeric, blocked jsonb,
        preferred_languages text[], last_app_version text, push_notifications_content_type text,
        reminder_status text, quiet_from smallint, quiet_until smallint
    )
) AS p (
    bucket, fiscal_code, version, mode, settings_version, is_inbox_enabled, is_webhook_enabled,
    is_email_enabled, is_email_validated, email, is_test_profile, accepted_tos_version, blocked,
    preferred_languages, last_app_version, push_notifications_content_type, reminder_status,
    quiet_from, quiet_until
)
ORDER BY p.bucket, p.fiscal_code
ON CONFLICT DO NOTHING;

-- name: read_profile
-- One citizen, by primary key.
SELECT
    p.fiscal_code, p.version, p.mode, p.settings_version, p.is_inbox_enabled,
    p.is_webhook_enabled, p.is_email_enabled, p.is_email_validated, p.email, p.is_test_profile,
    p.accepted_tos_version::float8, p.blocked, p.preferred_languages, p.last_app_version,
    p.push_notifications_content_type, p.reminder_status, p.quiet_from, p.quiet_until
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

-- name: lock_profile
-- First of all locks of a citizen: two devices come one after the other.
SELECT
    p.fiscal_code, p.version, p.mode, p.settings_version, p.is_inbox_enabled,
    p.is_webhook_enabled, p.is_email_enabled, p.is_email_validated, p.email, p.is_test_profile,
    p.accepted_tos_version::float8, p.blocked, p.preferred_languages, p.last_app_version,
    p.push_notifications_content_type, p.reminder_status, p.quiet_from, p.quiet_until
FROM recipients.profile AS p
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code
FOR UPDATE;

-- name: write_profile
-- Every column at once, under the lock: what is stored is what was computed.
UPDATE recipients.profile AS p SET
    version = n.version, mode = n.mode, settings_version = n.settings_version,
    is_inbox_enabled = n.is_inbox_enabled, is_webhook_enabled = n.is_webhook_enabled,
    is_email_enabled = n.is_email_enabled, is_email_validated = n.is_email_validated,
    email = n.email, accepted_tos_version = n.accepted_tos_version, blocked = n.blocked,
    preferred_languages = n.preferred_languages, last_app_version = n.last_app_version,
    push_notifications_content_type = n.push_notifications_content_type,
    reminder_status = n.reminder_status, quiet_from = n.quiet_from, quiet_until = n.quiet_until,
    updated_at = :now
FROM jsonb_to_record(:profile::jsonb) AS n (
    version int, mode text, settings_version int, is_inbox_enabled boolean,
    is_webhook_enabled boolean, is_email_enabled boolean, is_email_validated boolean, email text,
    accepted_tos_version numeric, blocked jsonb, preferred_languages text[],
    last_app_version text, push_notifications_content_type text, reminder_status text,
    quiet_from smallint, quiet_until smallint
)
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code;

-- name: delete_profile
-- Part of erasing; whoever waits for its lock then finds nobody.
DELETE FROM recipients.profile AS p WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code;

-- name: note_changes
-- Several at once: one update of a profile may change many things.
INSERT INTO recipients.change (bucket, fiscal_code, id, at, kind, service_id, detail)
SELECT
    :bucket::smallint, :fiscal_code::text, u.id, :now::timestamptz, u.kind, u.service_id,
    u.detail::jsonb
FROM unnest(:ids::text[], :kinds::text[], :service_ids::text[], :details::text[])
    AS u (id, kind, service_id, detail);

-- name: read_changes
-- Newest first; ids are in order of time. A service that is gone keeps its name.
-- reads: services.service
SELECT c.id, c.at, c.kind, c.service_id, s.name AS service_name, c.detail
FROM recipients.change AS c
LEFT JOIN services.service AS s ON s.id = c.service_id
WHERE c.bucket = :bucket AND c.fiscal_code = :fiscal_code
  AND (:before::text IS NULL OR c.id < :before)
ORDER BY c.id DESC
LIMIT :limit;

-- name: put_profile_entry
-- Of opposite entries about a profile the latest of the day remains.
INSERT INTO recipients.subscription_change AS old (bucket, day, service_id, citizen, subscribed)
VALUES (:bucket, :day, '', :citizen, :subscribed)
ON CONFLICT (bucket, day, service_id, citizen) DO UPDATE SET subscribed = excluded.subscribed;

-- name: cancel_service_entries
-- Of opposite entries about a service neither remains.
DELETE FROM recipients.subscription_change AS c
USING unnest(:service_ids::text[], :subscribed::boolean[]) AS u (service_id, subscribed)
WHERE c.bucket = :bucket AND c.day = :day AND c.citizen = :citizen
  AND c.service_id = u.service_id AND c.subscribed <> u.subscribed
RETURNING c.service_id;

-- name: put_service_entries
-- Those that had no opposite; the same one twice is one.
INSERT INTO recipients.subscription_change (bucket, day, service_id, citizen, subscribed)
SELECT :bucket::smallint, :day::date, u.service_id, :citizen::bytea, u.subscribed
FROM unnest(:service_ids::text[], :subscribed::boolean[]) AS u (service_id, subscribed)
ON CONFLICT DO NOTHING;

-- name: drop_service_entries
-- A change of mode speaks for every service: what was said of single ones that day is void.
DELETE FROM recipients.subscription_change AS c
WHERE c.bucket = :bucket AND c.day = :day AND c.citizen = :citizen AND c.service_id <> '';

-- name: read_feed
-- Every bucket: the contract's feed is one list. Each citizen has at most one entry about the
-- profile and one about the service, so the formulas of the contract become two conditions.
SELECT
    coalesce(array_agg(encode(d.citizen, 'hex')) FILTER (WHERE d.subscribed), '{}')
        AS subscriptions,
    coalesce(array_agg(encode(d.citizen, 'hex')) FILTER (WHERE NOT d.subscribed), '{}')
        AS unsubscriptions
FROM (
    SELECT
        f.citizen,
        CASE
            WHEN f.whole AND f.single IS NOT false THEN true
            WHEN NOT f.whole AND f.single IS NOT true THEN false
            WHEN f.whole IS NULL THEN f.single
        END AS subscribed
    FROM (
        SELECT
            c.citizen,
            bool_or(c.subscribed) FILTER (WHERE c.service_id = '') AS whole,
            bool_or(c.subscribed) FILTER (WHERE c.service_id <> '') AS single
        FROM recipients.subscription_change AS c
        WHERE c.bucket = ANY(:buckets::smallint[]) AND c.day = :day
          AND c.service_id = ANY(ARRAY['', :service_id::text])
        GROUP BY c.bucket, c.citizen
    ) AS f
) AS d;

-- name: own_emails
-- For citizens who are created with an address that is proven. Who has it already keeps it.
INSERT INTO recipients.email_owner (bucket, email, fiscal_code)
SELECT u.bucket, lower(u.email), u.fiscal_code
FROM unnest(
    :buckets::smallint[], :emails::text[], :citizen_buckets::smallint[], :fiscal_codes::text[]
) AS u (bucket, email, citizen_bucket, fiscal_code)
INNER JOIN recipients.profile AS p
    ON p.bucket = u.citizen_bucket AND p.fiscal_code = u.fiscal_code AND p.is_email_validated
    AND p.email = u.email
ORDER BY u.bucket, lower(u.email)
ON CONFLICT DO NOTHING;

-- name: own_email
-- The key decides between two citizens who prove the same address at once.
INSERT INTO recipients.email_owner (bucket, email, fiscal_code)
VALUES (:bucket, :email, :fiscal_code)
ON CONFLICT DO NOTHING;

-- name: email_owner
-- Whose address it is, if anybody has proven it.
SELECT o.fiscal_code FROM recipients.email_owner AS o
WHERE o.bucket = :bucket AND o.email = :email;

-- name: release_email
-- Only one's own.
DELETE FROM recipients.email_owner AS o
WHERE o.bucket = :bucket AND o.email = :email AND o.fiscal_code = :fiscal_code;

-- name: put_validation
-- A newer one takes the place of the older: its link is dead from now on.
INSERT INTO recipients.email_validation AS old (
    bucket, fiscal_code, digest, email, created_at, expires_at
)
VALUES (:bucket, :fiscal_code, :digest, :email, :now, :expires_at)
ON CONFLICT (bucket, fiscal_code) DO UPDATE SET
    digest = excluded.digest, email = excluded.email, created_at = excluded.created_at,
    expires_at = excluded.expires_at;

-- name: read_validation
-- At most one, and only while it lives.
SELECT v.digest, v.email, v.created_at FROM recipients.email_validation AS v
WHERE v.bucket = :bucket AND v.fiscal_code = :fiscal_code AND v.expires_at > :now;

-- name: drop_validation
-- Used, or no longer about the profile's address.
DELETE FROM recipients.email_validation AS v
WHERE v.bucket = :bucket AND v.fiscal_code = :fiscal_code;

-- name: read_choice
-- Everything a citizen's choice for one service depends on, in one look. No row: no such service.
-- reads: services.service
SELECT
    s.category, p.mode, p.settings_version, f.is_inbox_enabled, f.is_email_enabled,
    f.is_webhook_enabled, f.access_read_message_status, a.status AS activation
FROM services.service AS s
LEFT JOIN recipients.profile AS p ON p.bucket = :bucket AND p.fiscal_code = :fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = :fiscal_code AND f.service_id = s.id
    AND f.settings_version = p.settings_version
LEFT JOIN recipients.activation AS a
    ON a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.service_id = s.id
WHERE s.id = :service_id AND s.state <> 'deleted';

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
    status = excluded.status, version = old.version + 1, updated_at = excluded.updated_at
RETURNING old.fiscal_code, old.service_id, old.version;

-- name: read_activation
-- For the service that wrote it.
SELECT a.status, a.version FROM recipients.activation AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.service_id = :service_id;

-- name: count_enrolled
-- Every few minutes, by one worker: a full count is too slow to ask per message.
INSERT INTO recipients.census (enrolled, counted_at)
SELECT count(*), :now::timestamptz FROM recipients.profile AS p WHERE p.is_inbox_enabled
ON CONFLICT (one) DO UPDATE SET enrolled = excluded.enrolled, counted_at = excluded.counted_at;

-- name: read_census
-- Null before the first count.
SELECT c.enrolled FROM recipients.census AS c;

-- name: ask_request
-- No row while one waits or is being carried out: two devices at once make one request.
INSERT INTO recipients.data_request AS old (
    bucket, fiscal_code, choice, status, version, attempts, due_at, created_at, updated_at
)
VALUES (:bucket, :fiscal_code, :choice, 'PENDING', 0, 0, :due, :now, :now)
ON CONFLICT (bucket, fiscal_code, choice) DO UPDATE SET
    status = 'PENDING', version = old.version + 1, attempts = 0, due_at = excluded.due_at,
    created_at = excluded.created_at, updated_at = excluded.updated_at
WHERE old.status NOT IN ('PENDING', 'WIP')
RETURNING old.choice, old.status, old.version, old.created_at, old.updated_at, old.due_at;

-- name: read_request
-- One whose citizen is erased already is not the new citizen's of the same fiscal code.
SELECT r.choice, r.status, r.version, r.created_at, r.updated_at, r.due_at
FROM recipients.data_request AS r
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.erased_at IS NULL;

-- name: abort_request
-- Only while it waits: a worker that has claimed it goes on.
UPDATE recipients.data_request AS r SET
    status = 'ABORTED', version = r.version + 1, updated_at = :now
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.choice = 'DELETE' AND r.status = 'PENDING'
RETURNING r.choice, r.status, r.version, r.created_at, r.updated_at, r.due_at;

-- name: give_up_requests
-- After so many attempts it is for people to look at. A sweep is never given up: it is short,
-- and what it removes must not stay.
UPDATE recipients.data_request AS r SET
    status = 'FAILED', version = r.version + 1, updated_at = :now
WHERE r.bucket = :bucket AND r.status = 'WIP' AND r.due_at <= :now AND r.attempts >= :attempts
  AND r.erased_at IS NULL;

-- name: claim_request
-- WIP and due is one whose worker died or failed. The oldest first.
UPDATE recipients.data_request AS r SET
    status = 'WIP', attempts = least(r.attempts + 1, 32000), due_at = :until,
    version = r.version + CASE WHEN r.status = 'PENDING' THEN 1 ELSE 0 END,
    updated_at = CASE WHEN r.status = 'PENDING' THEN :now ELSE r.updated_at END
FROM (
    SELECT d.fiscal_code, d.choice FROM recipients.data_request AS d
    WHERE d.bucket = :bucket AND d.status IN ('PENDING', 'WIP') AND d.due_at <= :now
    ORDER BY d.due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
) AS due
WHERE r.bucket = :bucket AND r.fiscal_code = due.fiscal_code AND r.choice = due.choice
RETURNING r.fiscal_code, r.choice, r.attempts, r.erased_at;

-- name: hold_request
-- The count of attempts tells this claim from a later one.
UPDATE recipients.data_request AS r SET due_at = :until
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.status = 'WIP' AND r.attempts = :attempts;

-- name: close_request
-- Done, if it is still the one that was claimed.
UPDATE recipients.data_request AS r SET
    status = 'CLOSED', version = r.version + 1, updated_at = :now
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.status = 'WIP' AND r.attempts = :attempts;

-- name: put_off_request
-- Claimed again by whoever comes first after the delay.
UPDATE recipients.data_request AS r SET due_at = :due
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.status = 'WIP' AND r.attempts = :attempts;

-- name: await_sweep
-- The row is all that is left of the citizen, and only until the sweep.
UPDATE recipients.data_request AS r SET erased_at = :erased_at, due_at = :due
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.status = 'WIP' AND r.attempts = :attempts;

-- name: forget_request
-- After the sweep.
DELETE FROM recipients.data_request AS r
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = :choice
  AND r.status = 'WIP' AND r.attempts = :attempts;

-- name: begin_erasure
-- As if the citizen had asked and the time had come. No row: it has begun already.
INSERT INTO recipients.data_request AS old (
    bucket, fiscal_code, choice, status, version, attempts, due_at, created_at, updated_at
)
VALUES (:bucket, :fiscal_code, 'DELETE', 'WIP', 0, 1, :until, :now, :now)
ON CONFLICT (bucket, fiscal_code, choice) DO UPDATE SET
    status = 'WIP', version = old.version + 1, attempts = old.attempts + 1,
    due_at = excluded.due_at, updated_at = excluded.updated_at
WHERE old.erased_at IS NULL
RETURNING old.fiscal_code, old.choice, old.attempts, old.erased_at;

-- name: erase_requests
-- Part of erasing: all but the request that is being carried out.
DELETE FROM recipients.data_request AS r
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice <> 'DELETE';

-- name: erase_preferences
-- Part of erasing, of every settings version.
DELETE FROM recipients.preference AS p WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code;

-- name: erase_activations
-- Part of erasing. Where there is no profile, institutions write these without a lock: see the sweep.
DELETE FROM recipients.activation AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.updated_at <= :before;

-- name: erase_changes
-- Part of erasing.
DELETE FROM recipients.change AS c WHERE c.bucket = :bucket AND c.fiscal_code = :fiscal_code;

-- name: erase_installations
-- Part of erasing.
DELETE FROM recipients.installation AS i
WHERE i.bucket = :bucket AND i.fiscal_code = :fiscal_code;

-- name: drop_archive
-- Before another is stored, and part of erasing.
DELETE FROM recipients.archive_part AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code;

-- name: put_archive_part
-- One piece; a second try writes the same number again.
INSERT INTO recipients.archive_part (bucket, fiscal_code, number, bytes, expires_at)
VALUES (:bucket, :fiscal_code, :number, :bytes, :expires_at);

-- name: count_archive_parts
-- Before an archive is called complete.
SELECT count(*) FROM recipients.archive_part AS a
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code;

-- name: read_archive_part
-- Only of a whole archive: while it is written the request is not CLOSED yet.
SELECT a.bytes FROM recipients.archive_part AS a
INNER JOIN recipients.data_request AS r
    ON r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND r.choice = 'DOWNLOAD'
    AND r.status = 'CLOSED'
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.number = :number
  AND a.expires_at > :now;

-- name: forget_archives
-- Bounded: each piece is up to a megabyte.
DELETE FROM recipients.archive_part AS a
USING (
    SELECT o.fiscal_code, o.number FROM recipients.archive_part AS o
    WHERE o.bucket = :bucket AND o.expires_at <= :now
    LIMIT :limit
) AS old
WHERE a.bucket = :bucket AND a.fiscal_code = old.fiscal_code AND a.number = old.number;

-- name: forget_validations
-- Tokens that nobody used within their time.
DELETE FROM recipients.email_validation AS v
USING (
    SELECT o.fiscal_code FROM recipients.email_validation AS o
    WHERE o.bucket = :bucket AND o.expires_at <= :now
    LIMIT :limit
) AS old
WHERE v.bucket = :bucket AND v.fiscal_code = old.fiscal_code;

-- name: count_requests
-- For operators; every bucket, few rows.
SELECT r.choice, r.status, count(*) AS requests, min(r.updated_at) AS oldest
FROM recipients.data_request AS r
GROUP BY r.choice, r.status
ORDER BY r.choice, r.status;

-- name: failed_requests
-- For operators, the oldest first.
SELECT r.fiscal_code, r.choice, r.attempts, r.updated_at FROM recipients.data_request AS r
WHERE r.status = 'FAILED'
ORDER BY r.updated_at
LIMIT :limit;

-- name: all_preferences
-- For the archive: of every settings version, with the names people know services by.
-- reads: services.service
SELECT
    p.service_id, s.name AS service_name, p.settings_version, p.is_inbox_enabled,
    p.is_email_enabled, p.is_webhook_enabled, p.access_read_message_status, p.updated_at
FROM recipients.preference AS p
LEFT JOIN services.service AS s ON s.id = p.service_id
WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code
ORDER BY p.settings_version DESC, p.service_id;

-- name: all_activations
-- For the archive.
-- reads: services.service
SELECT a.service_id, s.name AS service_name, a.status, a.updated_at
FROM recipients.activation AS a
LEFT JOIN services.service AS s ON s.id = a.service_id
WHERE a.bucket = :bucket AND a.fiscal_code = :fiscal_code
ORDER BY a.service_id;

-- name: all_installations
-- For the archive; the address for push is a secret and stays out.
SELECT i.id, i.platform, i.updated_at FROM recipients.installation AS i
WHERE i.bucket = :bucket AND i.fiscal_code = :fiscal_code
ORDER BY i.updated_at DESC;

-- name: put_installation
-- The same device again replaces what was known of it.
INSERT INTO recipients.installation AS old (
    bucket, fiscal_code, id, platform, push_channel, updated_at
)
VALUES (:bucket, :fiscal_code, :id, :platform, :push_channel, :now)
ON CONFLICT (bucket, fiscal_code, id) DO UPDATE SET
    platform = excluded.platform, push_channel = excluded.push_channel,
    updated_at = excluded.updated_at;

-- name: drop_installations
-- Beyond the newest ones, under the citizen's lock.
DELETE FROM recipients.installation AS i
USING (
    SELECT o.id FROM recipients.installation AS o
    WHERE o.bucket = :bucket AND o.fiscal_code = :fiscal_code
    ORDER BY o.updated_at DESC, o.id DESC
    OFFSET :keep
) AS old
WHERE i.bucket = :bucket AND i.fiscal_code = :fiscal_code AND i.id = old.id;

-- name: count_choices
-- How many services a citizen has chosen for, under the settings version in force.
SELECT count(*) FROM recipients.preference AS f
INNER JOIN recipients.profile AS p
    ON p.bucket = :bucket AND p.fiscal_code = f.fiscal_code
    AND p.settings_version = f.settings_version
WHERE f.bucket = :bucket AND f.fiscal_code = :fiscal_code;

-- name: read_standings
-- What `read_choice` says of each inbox, for a page of services in one look.
-- reads: services.service
SELECT
    s.id,
    f.service_id IS NOT NULL AS is_chosen,
    CASE WHEN s.category = 'SPECIAL' THEN coalesce(a.status = 'ACTIVE', false)
        ELSE coalesce(f.is_inbox_enabled, p.mode = 'AUTO', false) END AS is_open
FROM services.service AS s
LEFT JOIN recipients.profile AS p ON p.bucket = :bucket AND p.fiscal_code = :fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = :fiscal_code AND f.service_id = s.id
    AND f.settings_version = p.settings_version
LEFT JOIN recipients.activation AS a
    ON a.bucket = :bucket AND a.fiscal_code = :fiscal_code AND a.service_id = s.id
WHERE s.id = ANY(:service_ids::text[]);
