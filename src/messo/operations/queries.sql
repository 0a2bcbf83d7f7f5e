-- name: append_audit
-- One row; sealed later, so that no writer waits for another.
INSERT INTO operations.audit (bucket, id, at, actor, action, subject, detail)
VALUES (:bucket, :id, :at, :actor, :action, :subject, :detail::jsonb);

-- name: list_audit
-- The newest entries first, for operators.
SELECT a.at, a.actor, a.action, a.subject, a.detail, a.seal FROM operations.audit AS a
ORDER BY a.id DESC
LIMIT :limit;

-- name: buckets_to_seal
-- Only where something is new; the partial index holds nothing else.
SELECT DISTINCT a.bucket FROM operations.audit AS a WHERE a.seal IS NULL ORDER BY a.bucket;

-- name: take_unsealed
-- In order of id, the order in which a verification reads them again.
SELECT a.id, a.at, a.actor, a.action, a.subject, a.detail FROM operations.audit AS a
WHERE a.bucket = :bucket AND a.seal IS NULL
ORDER BY a.id
LIMIT :limit
FOR UPDATE;

-- name: last_seal
-- What the next seal continues.
SELECT s.number, s.digest FROM operations.seal AS s
WHERE s.bucket = :bucket
ORDER BY s.number DESC
LIMIT 1;

-- name: add_seal
-- Two workers sealing at once would need the same number: the key lets one.
INSERT INTO operations.seal (bucket, number, at, entries, digest)
VALUES (:bucket, :number, :at, :entries, :digest);

-- name: mark_sealed
-- The only change an audit entry ever sees.
UPDATE operations.audit AS a SET seal = :seal
WHERE a.bucket = :bucket AND a.id = ANY(:ids::text[]);

-- name: sealed_entries
-- For verification: all of them, in sealing order.
SELECT a.bucket, a.seal, a.id, a.at, a.actor, a.action, a.subject, a.detail
FROM operations.audit AS a
WHERE a.seal IS NOT NULL
ORDER BY a.bucket, a.seal, a.id;

-- name: all_seals
-- For verification: the chain of each bucket.
SELECT s.bucket, s.number, s.entries, s.digest FROM operations.seal AS s
ORDER BY s.bucket, s.number;

-- name: add_operator
-- Naming somebody twice changes nothing.
INSERT INTO operations.operator (login, added_at) VALUES (:login, :now) ON CONFLICT DO NOTHING;

-- name: remove_operator
-- Their audit entries stay.
DELETE FROM operations.operator AS o WHERE o.login = :login;

-- name: list_operators
-- Few rows, ever.
SELECT o.login, o.added_at FROM operations.operator AS o ORDER BY o.login;

-- name: setting
-- One setting of the server, as text.
SELECT current_setting(:name);

-- name: server_time
-- To compare the two clocks.
SELECT clock_timestamp();

-- name: is_operator
-- Asked with each request of a person, so that a role taken away ends at once.
SELECT EXISTS (SELECT FROM operations.operator AS o WHERE o.login = :login);

-- name: count_to_review
-- For operators, who are told nowhere else. The partial index holds nothing more.
-- reads: services.lifecycle
SELECT count(*) FROM services.lifecycle AS l WHERE l.status = 'submitted';
