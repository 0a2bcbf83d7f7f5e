-- name: append_audit
-- One row; sealed later, so that no writer waits for another.
INSERT INTO operations.audit (bucket, id, at, actor, action, subject, detail)
VALUES (:bucket, :id, :at, :actor, :action, :subject, :detail::jsonb);

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

-- name: seals_after
-- For verification: the chains of all buckets, one after the other, a portion of them.
SELECT s.bucket, s.number, s.entries, s.digest FROM operations.seal AS s
WHERE (s.bucket, s.number) > (:after_bucket::smallint, :after_number::bigint)
ORDER BY s.bucket, s.number
LIMIT :limit;

-- name: digest_before
-- What the first seal of a portion continues.
SELECT s.digest FROM operations.seal AS s
WHERE s.bucket = :bucket AND s.number <= :number
ORDER BY s.number DESC
LIMIT 1;

-- name: entries_of_seals
-- For verification: what the seals of a portion cover, in sealing order, and what says of a seal in
-- between that it is covered by it while there is no such seal.
SELECT
    a.bucket, a.seal, a.id, a.at, a.actor, a.action, a.subject, a.detail,
    s.number IS NULL AS is_without_seal
FROM operations.audit AS a
LEFT JOIN operations.seal AS s ON s.bucket = a.bucket AND s.number = a.seal
WHERE a.seal IS NOT NULL
  AND (a.bucket, a.seal) > (:after_bucket::smallint, :after_number::bigint)
  AND (a.bucket, a.seal) <= (:last_bucket::smallint, :last_number::bigint)
ORDER BY a.bucket, a.seal, a.id;

-- name: count_seals
-- To say how far a verification has come. A thousand entries or fewer each.
SELECT count(*) FROM operations.seal AS s;

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

-- name: put_samples
-- All of one minute at once. A minute that is sampled twice keeps what was there first.
INSERT INTO operations.sample (at, name, value)
SELECT u.at, u.name, u.value
FROM unnest(:ats::timestamptz[], :names::text[], :values::double precision[])
    AS u (at, name, value)
ON CONFLICT DO NOTHING;

-- name: forget_samples_before
-- A bounded number each minute, many times what a minute brings.
DELETE FROM operations.sample AS s
WHERE s.ctid = ANY(ARRAY(
    SELECT old.ctid FROM operations.sample AS old
    WHERE old.at < :before
    ORDER BY old.at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
));

-- name: read_samples
-- The highest of each interval: a queue's worst moment, and the last of totals, which only grow.
SELECT
    date_bin(make_interval(mins => :minutes::int), s.at, '2000-01-01T00:00:00Z') AS start,
    s.name, max(s.value) AS value
FROM operations.sample AS s
WHERE s.at >= :since AND s.name ^@ ANY(:prefixes::text[])
GROUP BY start, s.name
ORDER BY start, s.name;

-- name: page_of_audit
-- Newest first, between two ids. Bucket by bucket, so that the index gives each one's newest.
WITH newest AS (
    SELECT n.bucket, unnest(n.ids) AS id
    FROM (
        SELECT
            b.bucket,
            ARRAY(
                SELECT a.id FROM operations.audit AS a
                WHERE a.bucket = b.bucket AND a.id < :before::text AND a.id >= :first::text
                ORDER BY a.id DESC
                LIMIT :limit
            ) AS ids
        FROM unnest(:buckets::smallint[]) AS b (bucket)
    ) AS n
    ORDER BY id DESC
    LIMIT :limit
)
SELECT a.bucket, a.id, a.at, a.actor, a.action, a.subject, a.detail, a.seal
FROM newest
INNER JOIN operations.audit AS a ON a.bucket = newest.bucket AND a.id = newest.id
ORDER BY a.id DESC;

-- name: page_of_audit_action
-- As `page_of_audit`, of one action.
WITH newest AS (
    SELECT n.bucket, unnest(n.ids) AS id
    FROM (
        SELECT
            b.bucket,
            ARRAY(
                SELECT a.id FROM operations.audit AS a
                WHERE a.bucket = b.bucket AND a.action = :action
                  AND a.id < :before::text AND a.id >= :first::text
                ORDER BY a.id DESC
                LIMIT :limit
            ) AS ids
        FROM unnest(:buckets::smallint[]) AS b (bucket)
    ) AS n
    ORDER BY id DESC
    LIMIT :limit
)
SELECT a.bucket, a.id, a.at, a.actor, a.action, a.subject, a.detail, a.seal
FROM newest
INNER JOIN operations.audit AS a ON a.bucket = newest.bucket AND a.id = newest.id
ORDER BY a.id DESC;

-- name: page_of_audit_about
-- As `page_of_audit`, of what somebody did and of what was done to them: two indexes. Of all
-- actions, or of one.
WITH newest AS (
    SELECT DISTINCT n.bucket, unnest(n.done || n.suffered) AS id
    FROM (
        SELECT
            b.bucket,
            ARRAY(
                SELECT a.id FROM operations.audit AS a
                WHERE a.bucket = b.bucket AND a.actor = :about
                  AND (:action::text = '' OR a.action = :action)
                  AND a.id < :before::text AND a.id >= :first::text
                ORDER BY a.id DESC
                LIMIT :limit
            ) AS done,
            ARRAY(
                SELECT a.id FROM operations.audit AS a
                WHERE a.bucket = b.bucket AND a.subject = :about
                  AND (:action::text = '' OR a.action = :action)
                  AND a.id < :before::text AND a.id >= :first::text
                ORDER BY a.id DESC
                LIMIT :limit
            ) AS suffered
        FROM unnest(:buckets::smallint[]) AS b (bucket)
    ) AS n
    ORDER BY id DESC
    LIMIT :limit
)
SELECT a.bucket, a.id, a.at, a.actor, a.action, a.subject, a.detail, a.seal
FROM newest
INNER JOIN operations.audit AS a ON a.bucket = newest.bucket AND a.id = newest.id
ORDER BY a.id DESC;

-- name: page_of_audit_seal
-- What one seal covers, newest first.
SELECT a.bucket, a.id, a.at, a.actor, a.action, a.subject, a.detail, a.seal
FROM operations.audit AS a
WHERE a.bucket = :bucket AND a.seal = :seal AND a.id < :before::text
ORDER BY a.id DESC
LIMIT :limit;

-- name: audited_actions
-- Those that occur. From one to the next by the index, however many entries each has.
WITH RECURSIVE found AS (
    SELECT
        b.bucket,
        (SELECT min(a.action) FROM operations.audit AS a WHERE a.bucket = b.bucket) AS action
    FROM unnest(:buckets::smallint[]) AS b (bucket)
    UNION ALL
    SELECT
        f.bucket,
        (
            SELECT min(a.action) FROM operations.audit AS a
            WHERE a.bucket = f.bucket AND a.action > f.action
        )
    FROM found AS f
    WHERE f.action IS NOT NULL
)
SELECT DISTINCT found.action FROM found WHERE found.action IS NOT NULL ORDER BY found.action;

-- name: oldest_unsealed
-- Since when entries wait for their seal: a worker seals every few seconds, so that it should not be long.
SELECT min(a.at) FROM operations.audit AS a WHERE a.seal IS NULL;

-- name: hold_operators
-- Two who take each other off at once come one after the other.
SELECT o.login FROM operations.operator AS o ORDER BY o.login FOR UPDATE;
