-- name: open_session
-- The bucket is of the token's digest: whoever comes with a token is found in one look.
INSERT INTO login.session (
    bucket, digest, id, fiscal_code, name, family_name, date_of_birth, email, level, kind, client,
    created_at, seen_at, expires_at
)
VALUES (
    :bucket, :digest, :id, :fiscal_code, :name, :family_name, :date_of_birth, :email, :level,
    :kind, :client, :now, :now, :expires_at
);

-- name: find_session
-- By primary key; too old or too long unused is as if it were not there.
SELECT
    s.id, s.digest, s.fiscal_code, s.name, s.family_name, s.date_of_birth, s.email, s.level,
    s.kind, s.client, s.created_at, s.seen_at, s.expires_at
FROM login.session AS s
WHERE s.bucket = :bucket AND s.digest = :digest AND s.expires_at > :now
  AND s.seen_at > :idle_since;

-- name: touch_session
-- At most once a minute for each session.
UPDATE login.session AS s SET seen_at = :now WHERE s.bucket = :bucket AND s.digest = :digest;

-- name: list_sessions
-- A citizen's sessions are spread over the buckets: a look by a person, not by every request.
SELECT
    s.id, s.digest, s.fiscal_code, s.name, s.family_name, s.date_of_birth, s.email, s.level,
    s.kind, s.client, s.created_at, s.seen_at, s.expires_at
FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code
  AND s.expires_at > :now AND s.seen_at > :idle_since
ORDER BY s.seen_at DESC;

-- name: close_session
-- By its id and its owner: nobody closes another's.
DELETE FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code AND s.id = :id;

-- name: close_all_sessions
-- Everywhere, the one that asks included.
DELETE FROM login.session AS s
WHERE s.bucket = ANY(:buckets::smallint[]) AND s.fiscal_code = :fiscal_code;

-- name: forget_sessions
-- Bounded, so that no delete holds locks for long.
DELETE FROM login.session AS s
USING (
    SELECT o.digest FROM login.session AS o
    WHERE o.bucket = :bucket AND (o.expires_at <= :now OR o.seen_at <= :idle_since)
    LIMIT :limit
) AS old
WHERE s.bucket = :bucket AND s.digest = old.digest;

-- name: forget_codes
-- Codes nobody exchanged within their minute.
DELETE FROM login.code AS c
USING (
    SELECT o.digest FROM login.code AS o
    WHERE o.bucket = :bucket AND o.expires_at <= :now
    LIMIT :limit
) AS old
WHERE c.bucket = :bucket AND c.digest = old.digest;
