-- name: append_events
-- In the transaction of the fact. A replayed message fails twice: the newer time is not needed.
INSERT INTO events.log (bucket, message_id, kind, service_id, at)
SELECT :bucket::smallint, u.message_id, u.kind, u.service_id, :at::timestamptz
FROM unnest(:message_ids::text[], :kinds::text[], :service_ids::text[])
    AS u (message_id, kind, service_id)
ON CONFLICT DO NOTHING;

-- name: events_of_message
-- One message's whole life.
SELECT e.kind, e.about, e.at FROM events.log AS e
WHERE e.bucket = :bucket AND e.message_id = :message_id
ORDER BY e.at, e.kind;

-- name: forget_events
-- Part of erasing a citizen: nothing of these messages is left.
DELETE FROM events.log AS e
WHERE e.bucket = :bucket AND e.message_id = ANY(:message_ids::text[]);
