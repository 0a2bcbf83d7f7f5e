-- name: open_session
-- After a login of somebody of an institution, or of an operator.
INSERT INTO people.session (digest, login, name, email, created_at, seen_at, expires_at)
VALUES (:digest, :login, :name, :email, :now, :now, :expires_at);

-- name: find_session
-- By primary key; too old or too long unused is as if it were not there.
SELECT s.login, s.name, s.email, s.seen_at
FROM people.session AS s
WHERE s.digest = :digest AND s.expires_at > :now AND s.seen_at > :idle_since;

-- name: touch_session
-- At most once a minute for each session.
UPDATE people.session AS s SET seen_at = :now WHERE s.digest = :digest;

-- name: close_session
-- By primary key: whoever holds the token may end its session.
DELETE FROM people.session AS s WHERE s.digest = :digest;

-- name: close_all_sessions
-- Of one person, wherever they are logged in.
DELETE FROM people.session AS s WHERE s.login = :login;

-- name: forget_sessions
-- Bounded, so that no delete holds locks for long.
DELETE FROM people.session AS s
USING (
    SELECT o.digest FROM people.session AS o
    WHERE o.expires_at <= :now OR o.seen_at <= :idle_since
    LIMIT :limit
) AS old
WHERE s.digest = old.digest;

-- name: find_access
-- Asked with each request, so that a role that changes changes at once.
-- reads: services.institution
SELECT
    i.id, i.name, i.fiscal_code, i.email, i.permissions, i.suspended_at, i.created_at,
    m.id AS member_id, m.role
FROM services.institution AS i
LEFT JOIN people.member AS m ON m.institution_id = i.id AND m.login = :login
WHERE i.id = :id OR i.fiscal_code = :fiscal_code;

-- name: list_memberships
-- The institutions that somebody is of, by name; few.
-- reads: services.institution
SELECT
    m.id AS member_id, m.role, i.id AS institution_id, i.name, i.fiscal_code, i.suspended_at
FROM people.member AS m
INNER JOIN services.institution AS i ON i.id = m.institution_id
WHERE m.login = :login
ORDER BY lower(i.name), i.id;

-- name: list_institutions
-- A page in order of id, which is order of making. Operators see all, others their own.
-- reads: services.institution
SELECT
    i.id, i.name, i.fiscal_code, i.email, i.permissions, i.suspended_at, i.created_at,
    m.id AS member_id, m.role
FROM services.institution AS i
LEFT JOIN people.member AS m ON m.institution_id = i.id AND m.login = :login
WHERE i.id > :after AND (:all::boolean OR m.id IS NOT NULL)
  AND (
      strpos(lower(i.name), lower(:search)) > 0
      OR left(i.fiscal_code, length(:search)) = :search
  )
ORDER BY i.id
LIMIT :limit;

-- name: lock_people
-- All changes to the people of one institution come one after the other, those that would leave it
-- without an admin too. Messages and keys that refer to the institution do not wait.
-- reads: services.institution
SELECT i.name, i.suspended_at FROM services.institution AS i WHERE i.id = :institution_id
FOR NO KEY UPDATE;

-- name: list_members
-- Of one institution, in the order in which they came.
SELECT m.id, m.login, m.name, m.email, m.role, m.added_at
FROM people.member AS m
WHERE m.institution_id = :institution_id
ORDER BY m.id;

-- name: find_member
-- The institution is asked for too: another one's people are not there.
SELECT m.id, m.login, m.role FROM people.member AS m
WHERE m.id = :id AND m.institution_id = :institution_id;

-- name: member_of_login
-- What somebody is there now, under the lock of the institution.
SELECT m.id, m.role FROM people.member AS m
WHERE m.login = :login AND m.institution_id = :institution_id;

-- name: has_other_admin
-- Under the lock of the institution: without one it could not help itself any more.
SELECT EXISTS (
    SELECT FROM people.member AS m
    WHERE m.institution_id = :institution_id AND m.role = 'admin' AND m.id <> :id
);

-- name: put_member
-- Who is one already keeps their id: the audit log calls them by it.
INSERT INTO people.member (id, institution_id, login, name, email, role, added_at)
VALUES (:id, :institution_id, :login, :name, :email, :role, :now)
ON CONFLICT (login, institution_id) DO UPDATE SET
    name = excluded.name, email = excluded.email, role = excluded.role;

-- name: set_role
-- One of the roles that the table knows.
UPDATE people.member AS m SET role = :role
WHERE m.id = :id AND m.institution_id = :institution_id;

-- name: remove_member
-- At once: nothing of it is remembered anywhere.
DELETE FROM people.member AS m WHERE m.id = :id AND m.institution_id = :institution_id;

-- name: list_invitations
-- Those that can still be accepted.
SELECT i.id, i.email, i.role, i.created_at, i.expires_at
FROM people.invitation AS i
WHERE i.institution_id = :institution_id AND i.expires_at > :now
ORDER BY i.id;

-- name: count_invitations
-- Under the lock of the institution. To other addresses: open, or made so lately that they count
-- whatever became of them, so that nobody withdraws and invites to send mail to the whole world.
SELECT
    count(*) FILTER (WHERE lower(i.email) <> lower(:email)) AS others,
    max(i.created_at) FILTER (WHERE lower(i.email) = lower(:email)) AS last_at
FROM people.invitation AS i
WHERE i.institution_id = :institution_id AND (i.expires_at > :now OR i.created_at > :lately);

-- name: put_invitation
-- The newest to an address is the only one: the link of the one before ends.
INSERT INTO people.invitation (
    id, institution_id, email, role, token_digest, invited_by, created_at, expires_at
)
VALUES (:id, :institution_id, :email, :role, :token_digest, :invited_by, :now, :expires_at)
ON CONFLICT (institution_id, lower(email)) DO UPDATE SET
    id = excluded.id, email = excluded.email, role = excluded.role,
    token_digest = excluded.token_digest, invited_by = excluded.invited_by,
    created_at = excluded.created_at, expires_at = excluded.expires_at;

-- name: withdraw_invitation
-- Only of this institution. The row stays for an hour, to be counted, and cannot be seen.
UPDATE people.invitation AS i SET expires_at = :now
WHERE i.id = :id AND i.institution_id = :institution_id AND i.expires_at > :now;

-- name: find_invitation
-- By the digest of its token; too old is as if it were not there.
-- reads: services.institution
SELECT v.id, v.institution_id, v.email, v.role, v.expires_at, i.name
FROM people.invitation AS v
INNER JOIN services.institution AS i ON i.id = v.institution_id
WHERE v.token_digest = :token_digest AND v.expires_at > :now;

-- name: take_invitation
-- Of two who accept at once one takes it.
DELETE FROM people.invitation AS i
WHERE i.token_digest = :token_digest AND i.expires_at > :now
RETURNING i.id, i.role;

-- name: forget_invitations
-- Bounded, so that no delete holds locks for long.
DELETE FROM people.invitation AS i
USING (
    SELECT o.id FROM people.invitation AS o WHERE o.expires_at <= :before LIMIT :limit
) AS old
WHERE i.id = old.id;

-- name: withdraw_invitations_of
-- Those that one admin made, when they are an admin no more.
UPDATE people.invitation AS i SET expires_at = :now
WHERE i.institution_id = :institution_id AND i.invited_by = :invited_by AND i.expires_at > :now;

-- name: named
-- For the audit log: what these ids are called. reads: services.institution, services.service
SELECT
    m.id, 'member' AS kind, m.name, i.id AS institution_id, i.name AS institution_name
FROM people.member AS m
INNER JOIN services.institution AS i ON i.id = m.institution_id
WHERE m.id = ANY(:ids::text[])
UNION ALL
SELECT s.id, 'service', s.name, i.id, i.name
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = ANY(:ids::text[])
UNION ALL
SELECT i.id, 'institution', i.name, i.id, i.name
FROM services.institution AS i
WHERE i.id = ANY(:ids::text[]);

-- name: page_of_members
-- For people: a page in the order in which they came.
SELECT m.id, m.login, m.name, m.email, m.role, m.added_at
FROM people.member AS m
WHERE m.institution_id = :institution_id AND m.id > :after
ORDER BY m.id
LIMIT :limit;

-- name: page_of_institutions
-- For operators, who look for a name or a fiscal code: by name, what is behind `after`, an id. What
-- is counted is counted for the page alone. A few ten thousand rows need no index.
-- reads: services.institution, services.service
WITH page AS MATERIALIZED (
    SELECT i.id
    FROM services.institution AS i
    WHERE (
        :after = '' OR (lower(i.name), i.id) > (
            SELECT lower(a.name), a.id FROM services.institution AS a WHERE a.id = :after
        )
    ) AND (strpos(lower(i.name), lower(:search)) > 0 OR starts_with(i.fiscal_code, :search))
      AND (NOT :suspended::boolean OR i.suspended_at IS NOT NULL)
    ORDER BY lower(i.name), i.id
    LIMIT :limit
)
SELECT
    i.id, i.fiscal_code, i.name, i.email, i.suspended_at, i.created_at,
    (
        SELECT count(*) FROM services.service AS s
        WHERE s.institution_id = i.id AND s.state <> 'deleted'
    ) AS services,
    (SELECT count(*) FROM people.member AS m WHERE m.institution_id = i.id) AS people
FROM page
INNER JOIN services.institution AS i ON i.id = page.id
ORDER BY lower(i.name), i.id;

-- name: read_member
-- One of this institution, with what people want to see of them.
SELECT m.id, m.login, m.name, m.email, m.role, m.added_at FROM people.member AS m
WHERE m.id = :id AND m.institution_id = :institution_id;
