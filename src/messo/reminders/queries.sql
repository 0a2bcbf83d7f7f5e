-- name: lock_messages
-- Before planning, all messages about one thing: two that plan for it come one after the other, and
-- whoever comes later sees what was true later. An erasure under way is waited for.
-- reads: messages.message
SELECT m.id FROM messages.message AS m
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
ORDER BY m.id
FOR NO KEY UPDATE;

-- name: subjects_of
-- What each message would remind of: its notice, or the message itself. Of a citizen without consent
-- too, for what was planned before must go.
-- reads: messages.message, messages.content, messages.sender
WITH mine AS MATERIALIZED (
    SELECT m.id, m.fiscal_code, m.sender_id FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
)
SELECT
    mine.id, mine.fiscal_code,
    coalesce(c.parts #>> '{payment_data,payee,fiscal_code}', s.organization_fiscal_code) AS payee,
    c.parts #>> '{payment_data,notice_number}' AS number
FROM mine
INNER JOIN messages.content AS c
    ON c.bucket = :bucket AND c.id = mine.id AND c.id = ANY(:ids)
INNER JOIN messages.sender AS s ON s.id = mine.sender_id;

-- name: due_dates_of
-- Of messages without a notice: when they are out of date.
-- reads: messages.content
SELECT c.id, (c.parts ->> 'due_date')::timestamptz AS due_at
FROM messages.content AS c
WHERE c.bucket = :bucket AND c.id = ANY(:ids::text[]) AND c.parts ? 'due_date';

-- name: facts_of
-- Whether each of these messages may be reminded of, as its citizen wants it now. What would not be
-- let into the inbox any more is not reminded of either.
-- reads: messages.message, messages.sender, recipients.profile, recipients.preference, recipients.activation
WITH mine AS MATERIALIZED (
    SELECT m.id, m.fiscal_code, m.service_id, m.sender_id, m.decided_at, m.read_at, m.is_archived
    FROM messages.message AS m
    WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
)
SELECT
    mine.id, mine.fiscal_code, mine.service_id, mine.decided_at AS processed_at,
    mine.read_at IS NOT NULL AS is_read, mine.is_archived,
    p.reminder_status IS NOT DISTINCT FROM 'ENABLED' AS has_consent,
    p.is_webhook_enabled AS are_devices_on,
    messages.channel_open(
        p.mode, p.blocked -> mine.service_id ? 'WEBHOOK', f.is_webhook_enabled
    ) AS is_service_on,
    messages.refusal(
        true,
        p.is_inbox_enabled,
        p.mode,
        p.blocked -> mine.service_id ? 'INBOX',
        f.is_inbox_enabled,
        s.category,
        a.status,
        a.updated_at > :fresh_after
    ) IS NULL AS is_inbox_open,
    p.quiet_from, p.quiet_until
FROM mine
INNER JOIN messages.sender AS s ON s.id = mine.sender_id
INNER JOIN recipients.profile AS p ON p.bucket = :bucket AND p.fiscal_code = mine.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = :bucket AND f.fiscal_code = mine.fiscal_code
    AND f.service_id = mine.service_id AND f.settings_version = p.settings_version
LEFT JOIN recipients.activation AS a
    ON a.bucket = :bucket AND a.fiscal_code = mine.fiscal_code
    AND a.service_id = mine.service_id AND s.category = 'SPECIAL';

-- name: notices_with_carriers
-- What the ledger says, and which messages in this bucket carry each notice; of the one citizen, as
-- far as a short hash tells.
-- reads: payments.notice, payments.carrier
SELECT
    n.payee, n.number, u.recipient, n.state, n.due_date, n.source, n.observed_at,
    array(
        SELECT c.message_id FROM payments.carrier AS c
        WHERE c.bucket = n.bucket AND c.payee = n.payee AND c.number = n.number
          AND c.recipient = u.recipient AND c.message_bucket = :message_bucket::smallint
    ) AS message_ids
FROM unnest(:buckets::smallint[], :payees::text[], :numbers::text[], :recipients::smallint[])
    AS u (bucket, payee, number, recipient)
INNER JOIN payments.notice AS n
    ON n.bucket = u.bucket AND n.payee = u.payee AND n.number = u.number;

-- name: reminders_of
-- All there are about these things, planned and past.
SELECT r.fiscal_code, r.subject, r.day, r.kind, r.state, r.due_at, r.reason, r.message_id
FROM unnest(:fiscal_codes::text[], :subjects::text[]) AS u (fiscal_code, subject)
INNER JOIN reminders.reminder AS r
    ON r.bucket = :bucket AND r.fiscal_code = u.fiscal_code AND r.subject = u.subject
ORDER BY r.fiscal_code, r.subject, r.day, r.kind;

-- name: lock_reminders_of
-- The same before planning: one that is just being handed over is waited for, and seen as such.
SELECT r.fiscal_code, r.subject, r.day, r.kind, r.state, r.due_at, r.reason, r.message_id
FROM reminders.reminder AS r
WHERE r.bucket = :bucket AND (r.fiscal_code, r.subject) IN (
    SELECT u.fiscal_code, u.subject
    FROM unnest(:fiscal_codes::text[], :subjects::text[]) AS u (fiscal_code, subject)
)
ORDER BY r.fiscal_code, r.subject, r.day, r.kind
FOR UPDATE OF r;

-- name: drop_planned
-- Those that are not right any more. What was handed over meanwhile stays.
DELETE FROM reminders.reminder AS r
USING unnest(:fiscal_codes::text[], :subjects::text[], :days::date[], :kinds::text[])
    AS u (fiscal_code, subject, day, kind)
WHERE r.bucket = :bucket AND r.fiscal_code = u.fiscal_code AND r.subject = u.subject
  AND r.day = u.day AND r.kind = u.kind AND r.state = 'planned';

-- name: put_planned
-- What was handed over or dropped on its day stays as it is.
INSERT INTO reminders.reminder AS old (bucket, fiscal_code, subject, day, kind, state, due_at)
SELECT :bucket::smallint, u.fiscal_code, u.subject, u.day, u.kind, 'planned', u.due_at
FROM unnest(
    :fiscal_codes::text[], :subjects::text[], :days::date[], :kinds::text[], :dues::timestamptz[]
) AS u (fiscal_code, subject, day, kind, due_at)
ORDER BY u.fiscal_code, u.subject, u.day, u.kind
ON CONFLICT (bucket, fiscal_code, subject, day, kind) DO UPDATE SET due_at = excluded.due_at
WHERE old.state = 'planned' AND old.due_at <> excluded.due_at;

-- name: take_due
-- The next reminders whose moment has come.
SELECT r.fiscal_code, r.subject, r.day, r.kind
FROM reminders.reminder AS r
WHERE r.bucket = :bucket AND r.state = 'planned' AND r.due_at <= :now
ORDER BY r.due_at
LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- name: hand_reminders
-- Those that are told now: nearly all of a day's.
UPDATE reminders.reminder AS r SET state = 'handed', due_at = :now, message_id = u.message_id
FROM unnest(
    :fiscal_codes::text[], :subjects::text[], :days::date[], :kinds::text[], :message_ids::text[]
) AS u (fiscal_code, subject, day, kind, message_id)
WHERE r.bucket = :bucket AND r.fiscal_code = u.fiscal_code AND r.subject = u.subject
  AND r.day = u.day AND r.kind = u.kind;

-- name: settle_due
-- What became of the others that were taken: dropped with a reason, or put off on their day.
UPDATE reminders.reminder AS r SET
    state = u.state, due_at = u.due_at, reason = u.reason
FROM unnest(
    :fiscal_codes::text[], :subjects::text[], :days::date[], :kinds::text[], :states::text[],
    :dues::timestamptz[], :reasons::text[]
) AS u (fiscal_code, subject, day, kind, state, due_at, reason)
WHERE r.bucket = :bucket AND r.fiscal_code = u.fiscal_code AND r.subject = u.subject
  AND r.day = u.day AND r.kind = u.kind;

-- name: drop_handed
-- Stopped in the last moment: the citizen is not told.
UPDATE reminders.reminder AS r SET state = 'dropped', reason = u.reason
FROM unnest(
    :fiscal_codes::text[], :subjects::text[], :days::date[], :kinds::text[], :reasons::text[]
) AS u (fiscal_code, subject, day, kind, reason)
WHERE r.bucket = :bucket AND r.fiscal_code = u.fiscal_code AND r.subject = u.subject
  AND r.day = u.day AND r.kind = u.kind AND r.state = 'handed';

-- name: messages_to_plan
-- A citizen's choices have changed: which of their messages may be reminded of. Those with a notice
-- for as long as notices are watched; the others while they are new.
-- reads: messages.message, messages.content
SELECT m.id
FROM messages.message AS m
INNER JOIN messages.content AS c ON c.bucket = :bucket AND c.id = m.id
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.id > :after
  AND m.status = 'PROCESSED'
  AND (c.parts ? 'payment_data' OR (m.id > :unread_after AND m.read_at IS NULL))
ORDER BY m.id
LIMIT :limit;

-- name: told_of
-- What came of telling the citizen's devices, by occasion.
-- reads: notifications.delivery
SELECT d.message_id, d.occasion, d.state, d.state_at
FROM notifications.delivery AS d
WHERE d.bucket = :bucket AND d.message_id = ANY(:message_ids::text[]) AND d.occasion <> 'new'
ORDER BY d.occasion, d.state_at;

-- name: find_message
-- One message of this service, in whatever bucket its citizen lives.
-- reads: messages.message, recipients.profile, recipients.preference
SELECT
    m.bucket, m.id, m.fiscal_code, m.status,
    m.feature_level_type = 'ADVANCED'
    AND messages.read_shared(p.mode, f.access_read_message_status) AS is_read_shared
FROM messages.message AS m
LEFT JOIN recipients.profile AS p ON p.bucket = m.bucket AND p.fiscal_code = m.fiscal_code
LEFT JOIN recipients.preference AS f
    ON f.bucket = m.bucket AND f.fiscal_code = m.fiscal_code AND f.service_id = m.service_id
    AND f.settings_version = p.settings_version
WHERE m.bucket = ANY(:buckets::smallint[]) AND m.id = :id AND m.service_id = :service_id;

-- name: read_schedules
-- Three rows, read with each batch.
SELECT s.kind, s.days FROM reminders.schedule AS s;

-- name: write_schedule
-- An operator's decision; reminders that are planned already stay until their facts change.
UPDATE reminders.schedule AS s SET days = :days WHERE s.kind = :kind;

-- name: erase_reminders
-- Part of erasing a citizen. Who has enrolled again since has only reminders of since.
-- reads: recipients.profile
DELETE FROM reminders.reminder AS r
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code AND NOT EXISTS (
    SELECT FROM recipients.profile AS p
    WHERE p.bucket = :bucket AND p.fiscal_code = :fiscal_code AND p.created_at > :before
);

-- name: reminders_of_citizen
-- For the archive of their data.
SELECT r.subject, r.day, r.kind, r.state, r.reason FROM reminders.reminder AS r
WHERE r.bucket = :bucket AND r.fiscal_code = :fiscal_code
ORDER BY r.day, r.subject, r.kind;

-- name: forget_reminders
-- Bounded, as every delete that keeps house.
DELETE FROM reminders.reminder AS r
USING (
    SELECT o.fiscal_code, o.subject, o.day, o.kind FROM reminders.reminder AS o
    WHERE o.bucket = :bucket AND o.day < :before
    LIMIT :limit
) AS old
WHERE r.bucket = :bucket AND r.fiscal_code = old.fiscal_code AND r.subject = old.subject
  AND r.day = old.day AND r.kind = old.kind;
