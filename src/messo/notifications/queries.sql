-- name: messages_to_tell
-- What deliveries need of their messages. Locked, so that an erasure under way is waited for.
-- reads: messages.message
SELECT m.id, m.service_id, m.created_at, m.time_to_live
FROM messages.message AS m
WHERE m.bucket = :bucket AND m.id = ANY(:ids::text[]) AND m.status = 'PROCESSED'
ORDER BY m.id
FOR KEY SHARE OF m;

-- name: add_deliveries
-- The unique key lets each address be told once of each occasion, however often this runs.
INSERT INTO notifications.delivery (
    bucket, id, message_id, occasion, channel, address, wording, language, state, state_at,
    expires_at
)
SELECT
    :bucket::smallint, u.id, u.message_id, u.occasion, :channel::text, u.address, u.wording,
    u.language, 'QUEUED', :now::timestamptz, u.expires_at
FROM unnest(
    :ids::text[], :message_ids::text[], :occasions::text[], :addresses::text[], :wordings::text[],
    :languages::text[], :expiries::timestamptz[]
) AS u (id, message_id, occasion, address, wording, language, expires_at)
ON CONFLICT DO NOTHING
RETURNING id, message_id, address;

-- name: read_deliveries
-- What is still to be sent, with what its text is made of. Messages are looked up by an array: a join
-- was planned as a scan of all of them while there are some ten thousand.
-- reads: messages.message, messages.sender
WITH mine AS MATERIALIZED (
    SELECT d.id, d.message_id, d.occasion, d.address, d.wording, d.language, d.expires_at
    FROM notifications.delivery AS d
    WHERE d.bucket = :bucket AND d.id = ANY(:ids::text[]) AND d.state IN ('QUEUED', 'THROTTLED')
)
SELECT
    mine.id, mine.message_id, mine.occasion, mine.address, mine.wording, mine.language,
    mine.expires_at, m.fiscal_code, m.subject, m.service_id, s.service_name, s.organization_name,
    m.read_at IS NOT NULL AS is_read
FROM mine
INNER JOIN messages.message AS m
    ON m.bucket = :bucket AND m.id = mine.message_id
    AND m.id = ANY(ARRAY(SELECT o.message_id FROM mine AS o))
INNER JOIN messages.sender AS s ON s.id = m.sender_id;

-- name: record_states
-- A final state stays: what a worker that was slow says later changes nothing.
UPDATE notifications.delivery AS d SET state = u.state, state_at = :now
FROM unnest(:ids::text[], :states::text[]) AS u (id, state)
WHERE d.bucket = :bucket AND d.id = u.id AND d.state IN ('QUEUED', 'THROTTLED')
  AND d.state <> u.state
RETURNING
    d.id, d.message_id, d.state,
    (SELECT c.wire_name FROM notifications.channel AS c WHERE c.name = d.channel) AS told_by;

-- name: hold_deliveries
-- What is put off unread: its sender sees that it waits, and one whose time is over ends.
UPDATE notifications.delivery AS d SET
    state = CASE WHEN d.expires_at <= :now THEN 'EXPIRED' ELSE 'THROTTLED' END, state_at = :now
WHERE d.bucket = :bucket AND d.id = ANY(:ids::text[])
  AND (
      (d.state = 'QUEUED' AND d.id = ANY(:waiting::text[]))
      OR (d.state IN ('QUEUED', 'THROTTLED') AND d.expires_at <= :now)
  )
RETURNING d.id, d.state;

-- name: lock_messages_of
-- Before erasing: a dispatch that is under way for one of them is waited for.
-- reads: messages.message
SELECT m.id FROM messages.message AS m
WHERE m.bucket = :bucket AND m.fiscal_code = :fiscal_code AND m.created_at < :before
ORDER BY m.id
FOR UPDATE;

-- name: erase_deliveries
-- Part of erasing a citizen.
DELETE FROM notifications.delivery AS d
WHERE d.bucket = :bucket AND d.message_id = ANY(:message_ids::text[]);

-- name: forget_deliveries
-- Ids are in order of time: what is below this one is older. Bounded, so that no delete holds
-- locks for long.
DELETE FROM notifications.delivery AS d
USING (
    SELECT o.id FROM notifications.delivery AS o
    WHERE o.bucket = :bucket AND o.id < :below
    ORDER BY o.id
    LIMIT :limit
) AS old
WHERE d.bucket = :bucket AND d.id = old.id;

-- Letters: mails that are no copies of messages.

-- name: add_letter
-- In the transaction of the fact that it tells, together with its work item.
INSERT INTO notifications.letter (bucket, id, fiscal_code, kind, sealed, expires_at)
VALUES (:bucket, :id, :fiscal_code, :kind, :sealed, :expires_at);

-- name: count_letters
-- Ids are in order of time. Letters that were sent are counted too: their rows stay for an hour.
SELECT count(*) FROM notifications.letter AS l
WHERE l.bucket = :bucket AND l.fiscal_code = :fiscal_code AND l.kind = :kind AND l.id >= :after;

-- name: supersede_letters
-- The links of older ones are dead: after an outage only the newest goes out.
UPDATE notifications.letter AS l SET sealed = ''
WHERE l.bucket = :bucket AND l.fiscal_code = :fiscal_code AND l.kind = :kind AND l.sealed <> '';

-- name: read_letters
-- Those that are still to be sent.
SELECT l.id, l.kind, l.sealed, l.expires_at FROM notifications.letter AS l
WHERE l.bucket = :bucket AND l.id = ANY(:ids::text[]) AND l.sealed <> '' AND l.expires_at > :now;

-- name: empty_letters
-- Sent or given up: the words go at once.
UPDATE notifications.letter AS l SET sealed = '', expires_at = :until
WHERE l.bucket = :bucket AND l.id = ANY(:ids::text[]);

-- name: erase_letters
-- Part of erasing a citizen.
DELETE FROM notifications.letter AS l
WHERE l.bucket = :bucket AND l.fiscal_code = :fiscal_code AND l.id < :below;

-- name: forget_letters
-- Bounded, as every delete that keeps house.
DELETE FROM notifications.letter AS l
USING (
    SELECT o.id FROM notifications.letter AS o
    WHERE o.bucket = :bucket AND o.expires_at <= :now
    LIMIT :limit
) AS old
WHERE l.bucket = :bucket AND l.id = old.id;
