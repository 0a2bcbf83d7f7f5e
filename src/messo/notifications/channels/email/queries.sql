-- name: messages_to_copy
-- Asked twice, when deliveries are made and again just before each is sent: what the citizen wants
-- now counts, and whether the inbox is open; a special service opens and closes it itself. What is
-- sent to the sandbox's recipient is copied to its sender, who tries things out, whatever that
-- profile says.
-- reads: messages.message, messages.sender, messages.content, recipients.profile, recipients.preference
WITH held AS MATERIALIZED (
    SELECT m.id, m.fiscal_code, m.service_id, m.sender_id, m.require_secure_channels
    FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
)
SELECT
    held.id, p.preferred_languages, c.markdown,
    CASE WHEN held.fiscal_code = :sandbox::text THEN s.user_email ELSE p.email END AS address,
    array(
        SELECT x.address FROM notifications.suppression AS x
        WHERE x.bucket = :bucket AND x.fiscal_code = held.fiscal_code AND x.channel = 'email'
    ) AS suppressed
FROM held
INNER JOIN messages.sender AS s ON s.id = held.sender_id
LEFT JOIN recipients.profile AS p
    ON p.bucket = :bucket AND p.fiscal_code = held.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = held.fiscal_code
    AND f.service_id = held.service_id AND f.settings_version = p.settings_version
LEFT JOIN messages.content AS c
    ON c.bucket = :bucket AND c.id = held.id AND :with_body::boolean
WHERE messages.by_email(
    p.is_email_enabled,
    p.is_email_validated,
    p.email IS NOT NULL,
    p.is_inbox_enabled
    AND (
        s.category = 'SPECIAL'
        OR messages.channel_open(
            p.mode,
            p.blocked -> held.service_id ? 'INBOX',
            coalesce(f.is_inbox_enabled, p.mode <> 'MANUAL')
        )
    )
    AND messages.channel_open(p.mode, p.blocked -> held.service_id ? 'EMAIL', f.is_email_enabled),
    held.service_id = ANY(:excluded::text[]),
    held.require_secure_channels,
    held.fiscal_code = :sandbox
)
ORDER BY held.id;

-- name: suppress
-- The mail server said that there is no such mailbox. The first reason stays.
INSERT INTO notifications.suppression (bucket, fiscal_code, channel, address, reason, at)
SELECT :bucket::smallint, u.fiscal_code, 'email', u.address, u.reason, :now::timestamptz
FROM unnest(:fiscal_codes::text[], :addresses::text[], :reasons::text[])
    AS u (fiscal_code, address, reason)
ORDER BY u.fiscal_code, u.address
ON CONFLICT DO NOTHING;

-- name: read_suppression
-- For the citizen's own eyes: one address, by the hash that stands for it.
SELECT x.reason, x.at FROM notifications.suppression AS x
WHERE x.bucket = :bucket AND x.fiscal_code = :fiscal_code AND x.channel = 'email'
  AND x.address = :address;

-- name: drop_suppressions
-- The citizen says that they work again, or is being erased.
DELETE FROM notifications.suppression AS x
WHERE x.bucket = :bucket AND x.fiscal_code = :fiscal_code AND x.channel = 'email'
  AND x.at < :before;

-- Bounces: mails that came back.

-- name: find_bounced
-- A return path names no bucket, and bounces are rare: all are asked, each by its key. Not locked,
-- because a cluster locks rows of one bucket only.
SELECT d.bucket, d.id FROM notifications.delivery AS d
WHERE d.bucket = ANY(:buckets::smallint[]) AND d.id = ANY(:ids::text[]) AND d.channel = 'email';

-- name: fail_bounced
-- Only what has not failed yet moves, and only what moved switches an address off: a bounce that is
-- sent again is harmless. An erasure under way is waited for.
-- reads: messages.message
WITH held AS MATERIALIZED (
    SELECT m.id, m.fiscal_code FROM messages.message AS m
    INNER JOIN notifications.delivery AS b ON b.bucket = :bucket AND b.message_id = m.id
    WHERE m.bucket = :bucket AND b.id = ANY(:ids::text[])
    ORDER BY m.id
    FOR KEY SHARE OF m
)
UPDATE notifications.delivery AS d SET state = 'FAILED', state_at = :now
FROM held
WHERE d.bucket = :bucket AND d.id = ANY(:ids) AND d.message_id = held.id
  AND d.state IN ('QUEUED', 'THROTTLED', 'SENT')
RETURNING d.id, d.address, held.fiscal_code;
