-- name: choose
-- Every browser of every recipient who lets this service tell them. What is sensitive, or was not
-- asked for in full, is told without its content; so it is where the citizen has logged out.
-- reads: messages.message, recipients.profile, recipients.preference
SELECT
    m.id AS message_id, w.id AS address, w.origin, p.preferred_languages,
    p.push_notifications_content_type IS NOT DISTINCT FROM 'FULL'
    AND NOT m.require_secure_channels AND NOT w.is_logged_out AS is_full
FROM messages.message AS m
INNER JOIN recipients.profile AS p ON p.bucket = :bucket AND p.fiscal_code = m.fiscal_code
INNER JOIN notifications.web_push_device AS w
    ON w.bucket = :bucket AND w.fiscal_code = m.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = m.fiscal_code AND f.service_id = m.service_id
    AND f.settings_version = p.settings_version
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
  AND messages.by_push(
      p.is_webhook_enabled,
      messages.channel_open(p.mode, p.blocked -> m.service_id ? 'WEBHOOK', f.is_webhook_enabled)
  );

-- name: open_devices
-- The same question again, just before sending: a device that is missing here is not told. Nor is
-- one of who has closed the inbox since, or lets in only whom they choose; a special service opens
-- and closes it itself. Messages by an array, as in `read_deliveries`.
-- reads: messages.message, messages.sender, recipients.profile, recipients.preference
WITH mine AS MATERIALIZED (
    SELECT d.id, d.message_id, d.address FROM notifications.delivery AS d
    WHERE d.bucket = :bucket AND d.id = ANY(:ids::text[])
)
SELECT
    mine.id, w.sealed,
    p.push_notifications_content_type IS NOT DISTINCT FROM 'FULL'
    AND NOT m.require_secure_channels AND NOT w.is_logged_out AS is_full
FROM mine
INNER JOIN messages.message AS m
    ON m.bucket = :bucket AND m.id = mine.message_id
    AND m.id = ANY(ARRAY(SELECT o.message_id FROM mine AS o))
INNER JOIN recipients.profile AS p ON p.bucket = :bucket AND p.fiscal_code = m.fiscal_code
INNER JOIN notifications.web_push_device AS w
    ON w.bucket = :bucket AND w.id = mine.address AND w.fiscal_code = m.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = m.fiscal_code AND f.service_id = m.service_id
    AND f.settings_version = p.settings_version
WHERE messages.by_push(
    p.is_webhook_enabled,
    messages.channel_open(p.mode, p.blocked -> m.service_id ? 'WEBHOOK', f.is_webhook_enabled)
)
AND p.is_inbox_enabled
AND (
    messages.channel_open(
        p.mode,
        p.blocked -> m.service_id ? 'INBOX',
        coalesce(f.is_inbox_enabled, p.mode <> 'MANUAL')
    )
    OR (SELECT s.category FROM messages.sender AS s WHERE s.id = m.sender_id) = 'SPECIAL'
);

-- name: put_device
-- A browser is one citizen's at a time: see `take_from_others`.
INSERT INTO notifications.web_push_device AS old (
    bucket, id, fiscal_code, sealed, origin, label, session_id, is_logged_out, created_at
)
VALUES (:bucket, :id, :fiscal_code, :sealed, :origin, :label, :session_id, false, :now)
ON CONFLICT (bucket, id) DO UPDATE SET
    fiscal_code = excluded.fiscal_code, sealed = excluded.sealed, origin = excluded.origin,
    label = excluded.label, session_id = excluded.session_id, is_logged_out = false,
    created_at = excluded.created_at;

-- name: take_from_others
-- Somebody else uses this browser now, and must not be shown another's messages. Over all buckets.
DELETE FROM notifications.web_push_device AS w
WHERE w.bucket = ANY(:buckets::smallint[]) AND w.id = :id AND w.fiscal_code <> :fiscal_code;

-- name: drop_oldest
-- Beyond so many, the one that asked longest ago gives way.
DELETE FROM notifications.web_push_device AS w
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.id NOT IN (
    SELECT o.id FROM notifications.web_push_device AS o
    WHERE o.bucket = :bucket AND o.fiscal_code = :fiscal_code
    ORDER BY o.created_at DESC, o.id
    LIMIT :keep
);

-- name: list_devices
-- For their owner, the newest first.
SELECT w.id, w.label, w.created_at FROM notifications.web_push_device AS w
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code
ORDER BY w.created_at DESC, w.id;

-- name: find_device
-- Wherever its citizen lives.
SELECT w.fiscal_code, w.sealed, w.label, w.session_id, w.is_logged_out
FROM notifications.web_push_device AS w
WHERE w.bucket = ANY(:buckets::smallint[]) AND w.id = :id;

-- name: greet_device
-- Its citizen is logged in there again.
UPDATE notifications.web_push_device AS w SET session_id = :session_id, is_logged_out = false
WHERE w.bucket = :bucket AND w.id = :id AND w.fiscal_code = :fiscal_code;

-- name: log_out_devices
-- Of one session: from now on they are told without content.
UPDATE notifications.web_push_device AS w SET is_logged_out = true
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.session_id = :session_id;

-- name: log_out_everywhere
-- Every session of the citizen was ended.
UPDATE notifications.web_push_device AS w SET is_logged_out = true
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code;

-- name: forget_device
-- Only one's own.
DELETE FROM notifications.web_push_device AS w
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.id = :id;

-- name: drop_devices
-- Their push service says that they are gone.
DELETE FROM notifications.web_push_device AS w
WHERE w.bucket = :bucket AND w.id = ANY(:ids::text[]);

-- name: erase_devices
-- Part of erasing a citizen. Who has enrolled again meanwhile keeps what is theirs since then.
DELETE FROM notifications.web_push_device AS w
WHERE w.bucket = :bucket AND w.fiscal_code = :fiscal_code AND w.created_at < :before;

-- name: put_key
-- Whoever is first makes it; all others use that one.
INSERT INTO notifications.web_push_key (sealed, created_at) VALUES (:sealed, :now)
ON CONFLICT DO NOTHING;

-- name: read_key
-- The key that push services know us by.
SELECT k.sealed FROM notifications.web_push_key AS k;
