-- name: bump_version
-- Every process polls this row; a change is seen within a second.
UPDATE services.version AS v SET number = v.number + 1 WHERE v.one;

-- name: read_version
-- The poll: one row, one page.
SELECT v.number FROM services.version AS v WHERE v.one;

-- name: find_key
-- A suspended or deleted service's key does not exist, and the same for its institution.
SELECT
    k.digest, k.institution_id, i.permissions, i.email,
    i.name AS organization_name, i.fiscal_code AS organization_fiscal_code,
    s.id AS service_id, s.name, s.department, s.category, s.state, s.require_secure_channels,
    s.authorized_recipients, s.authorized_cidrs, s.max_allowed_payment_amount,
    k.group_id, coalesce(g.authorized_cidrs, i.authorized_cidrs) AS manage_cidrs
FROM services.key AS k
INNER JOIN services.institution AS i ON i.id = k.institution_id
LEFT JOIN services.service AS s ON s.id = k.service_id
LEFT JOIN services.service_group AS g ON g.id = k.group_id
WHERE k.digest = :digest
  AND i.suspended_at IS NULL
  AND (k.service_id IS NULL OR (s.suspended_at IS NULL AND s.state <> 'deleted'));

-- name: create_institution
-- One institution per organisation fiscal code: the mass guard counts by it.
INSERT INTO services.institution (id, fiscal_code, name, email, permissions, created_at)
VALUES (:id, :fiscal_code, :name, :email, :permissions, :now)
ON CONFLICT (fiscal_code) DO NOTHING;

-- name: grant
-- A set: granting twice changes nothing.
UPDATE services.institution AS i SET permissions = ARRAY(
    SELECT DISTINCT p FROM unnest(i.permissions || :permissions::text[]) AS p ORDER BY p
) WHERE i.id = :id;

-- name: revoke
-- What it did not have is not missed.
UPDATE services.institution AS i SET permissions = ARRAY(
    SELECT p FROM unnest(i.permissions) AS p WHERE p <> ALL(:permissions::text[]) ORDER BY p
) WHERE i.id = :id;

-- name: suspend_institution
-- A null restores.
UPDATE services.institution AS i SET suspended_at = :at WHERE i.id = :id;

-- name: create_service
-- Selected from the institution, so that an unknown one creates nothing; it is held, and so is the
-- next position in the group.
INSERT INTO services.service (
    id, institution_id, name, department, category, state, require_secure_channels,
    authorized_recipients, authorized_cidrs, max_allowed_payment_amount, description, metadata,
    topic_id, suitable_for_minors, group_id, group_position, created_at, updated_at
)
SELECT
    :id, i.id, :name, :department, :category, :state, :require_secure_channels,
    :authorized_recipients, :authorized_cidrs, :max_allowed_payment_amount, :description,
    :metadata::text::jsonb, :topic_id, :suitable_for_minors, :group_id,
    (
        SELECT coalesce(max(m.group_position), -1) + 1 FROM services.service AS m
        WHERE m.group_id = :group_id HAVING :group_id IS NOT NULL
    ),
    :now, :now
FROM services.institution AS i WHERE i.id = :institution_id;

-- name: set_postal_account
-- A null takes it away.
UPDATE services.service AS s SET postal_account = :account WHERE s.id = :id;

-- name: suspend_service
-- A null restores.
UPDATE services.service AS s SET suspended_at = :at WHERE s.id = :id;

-- name: set_status
-- The working version follows what a command makes of the live one, where it has to.
UPDATE services.lifecycle AS l SET
    status = CASE WHEN :state IN ('deleted', 'draft') THEN :state ELSE 'approved' END,
    reason = NULL, waits = false, version = l.version + 1, updated_at = :now
WHERE l.service_id = :id AND (:state IN ('deleted', 'draft') OR :before = 'draft')
RETURNING l.status;

-- name: list_institutions
-- For operators; a few thousand rows at most.
SELECT
    i.id, i.fiscal_code, i.name, i.email, i.permissions, i.suspended_at,
    (SELECT count(*) FROM services.service AS s WHERE s.institution_id = i.id) AS services
FROM services.institution AS i ORDER BY i.name;

-- name: list_services
-- The optional filter is fine here: no hot path lists services.
SELECT s.id, s.institution_id, s.name, s.state, s.category, s.suspended_at
FROM services.service AS s
WHERE :institution_id::text IS NULL OR s.institution_id = :institution_id
ORDER BY s.name;

-- name: institution_of_service
-- Whom a service belongs to.
SELECT s.institution_id FROM services.service AS s WHERE s.id = :id;

-- name: create_keys
-- Both at once: a service, a group or an institution has two equal keys or none.
INSERT INTO services.key (
    digest, institution_id, service_id, group_id, slot, encrypted, created_at
)
SELECT u.digest, :institution_id, :service_id, :group_id, u.slot, u.encrypted, :now
FROM unnest(:digests::bytea[], :slots::text[], :encrypted::text[]) AS u (digest, slot, encrypted);

-- name: replace_key
-- The old digest is gone with this statement. The owner is a service, a group, or an institution.
UPDATE services.key AS k SET digest = :digest, encrypted = :encrypted, created_at = :now
WHERE k.slot = :slot AND (
    k.service_id = :owner OR k.group_id = :owner
    OR (k.institution_id = :owner AND k.service_id IS NULL AND k.group_id IS NULL)
);

-- name: read_keys
-- Given back to their owner, as the contract says.
SELECT k.slot, k.encrypted FROM services.key AS k
WHERE k.service_id = :owner OR k.group_id = :owner
   OR (k.institution_id = :owner AND k.service_id IS NULL AND k.group_id IS NULL)
ORDER BY k.slot;

-- name: describe_service
-- What is not named stays; an emptied member goes. The version tells clients that something changed.
UPDATE services.service AS s SET
    description = coalesce(:description, s.description),
    topic_id = coalesce(:topic_id::integer, s.topic_id),
    metadata = (s.metadata || :metadata::text::jsonb) - :emptied::text[],
    version = s.version + 1, updated_at = :now
WHERE s.id = :id AND s.state <> 'deleted';

-- name: describe_working
-- The same for the version that its institution works at, so that its next release keeps it.
UPDATE services.lifecycle AS l SET
    data = jsonb_set(
        jsonb_set(
            l.data, '{description}',
            to_jsonb(coalesce(:description, l.data ->> 'description', ''))
        ),
        '{metadata}',
        (coalesce(l.data -> 'metadata', '{}') || :metadata::text::jsonb) - :emptied::text[]
    ) || jsonb_strip_nulls(jsonb_build_object('topic_id', :topic_id::integer)),
    version = l.version + 1, updated_at = :now
WHERE l.service_id = :id;

-- name: read_service
-- For citizens: in any state but deleted, since a message of it may be in front of them. A draft,
-- which nobody has reviewed, is for its authorized recipients.
SELECT
    s.id, s.name, s.description, s.department, s.category, s.metadata, s.version, s.topic_id,
    i.id AS institution_id, i.name AS institution_name, i.fiscal_code
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :id AND s.state <> 'deleted' AND s.suspended_at IS NULL AND i.suspended_at IS NULL
  AND (:reader::text IS NULL OR s.state <> 'draft' OR :reader = ANY(s.authorized_recipients));

-- name: search_institutions
-- Those with something to offer. What begins with the words comes first.
SELECT i.fiscal_code, i.name
FROM services.institution AS i
WHERE i.suspended_at IS NULL AND strpos(lower(i.name), lower(:search)) > 0 AND EXISTS (
    SELECT FROM services.service AS s
    WHERE s.institution_id = i.id AND s.state = 'published' AND s.suspended_at IS NULL
)
ORDER BY strpos(lower(i.name), lower(:search)), lower(i.name), i.fiscal_code
OFFSET :offset LIMIT :limit;

-- name: count_institutions
-- All that `search_institutions` would find.
SELECT count(*) FROM services.institution AS i
WHERE i.suspended_at IS NULL AND strpos(lower(i.name), lower(:search)) > 0 AND EXISTS (
    SELECT FROM services.service AS s
    WHERE s.institution_id = i.id AND s.state = 'published' AND s.suspended_at IS NULL
);

-- name: list_published
-- One institution's services, by name. All of it is in the index `service_published`, so that the
-- last page of ten thousand services costs hardly more than the first.
SELECT s.id, s.name, s.version
FROM services.service AS s
WHERE s.institution_id = (
    SELECT i.id FROM services.institution AS i
    WHERE i.fiscal_code = :fiscal_code AND i.suspended_at IS NULL
) AND s.state = 'published' AND s.suspended_at IS NULL
ORDER BY lower(s.name), s.id
OFFSET :offset LIMIT :limit;

-- name: count_published
-- All that `list_published` would find.
SELECT count(*) FROM services.service AS s
WHERE s.institution_id = (
    SELECT i.id FROM services.institution AS i
    WHERE i.fiscal_code = :fiscal_code AND i.suspended_at IS NULL
) AND s.state = 'published' AND s.suspended_at IS NULL;

-- name: feature_services
-- What concerns everybody comes first, then what is new.
SELECT s.id, s.name, s.version, i.name AS institution_name, i.fiscal_code
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.suspended_at IS NULL AND s.state = 'published' AND s.suspended_at IS NULL
ORDER BY (s.metadata ->> 'scope') IS NOT DISTINCT FROM 'NATIONAL' DESC, s.id DESC
LIMIT :limit;

-- name: search_services
-- Each word, in which the signs of LIKE are escaped, somewhere in the names. What is not sorted by is
-- read for the page alone. Tens of thousands of rows need no index.
WITH page AS MATERIALIZED (
    SELECT s.id, lower(i.name) AS institution, lower(s.name) AS name
    FROM services.service AS s
    INNER JOIN services.institution AS i ON i.id = s.institution_id
    WHERE i.suspended_at IS NULL AND s.state = 'published' AND s.suspended_at IS NULL
      AND (:topic::smallint IS NULL OR coalesce(s.topic_id, 0) = :topic)
      AND lower(concat_ws(' ', i.name, s.name, s.department)) LIKE ALL(ARRAY(
          SELECT '%' || lower(w.word) || '%' FROM unnest(:words::text[]) AS w (word)
      ))
    ORDER BY lower(i.name), i.fiscal_code, lower(s.name), s.id
    OFFSET :offset LIMIT :limit
)
SELECT
    s.id AS service_id, s.name, s.department, s.category, s.version, s.topic_id,
    i.id AS institution_id, i.name AS institution_name, i.fiscal_code
FROM page
INNER JOIN services.service AS s ON s.id = page.id
INNER JOIN services.institution AS i ON i.id = s.institution_id
ORDER BY page.institution, i.fiscal_code, page.name, s.id;

-- name: count_by_topic
-- All that `search_services` would find. Who never named a topic is with the others.
SELECT coalesce(s.topic_id, 0) AS topic_id, count(*) AS services
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE i.suspended_at IS NULL AND s.state = 'published' AND s.suspended_at IS NULL
  AND lower(concat_ws(' ', i.name, s.name, s.department)) LIKE ALL(ARRAY(
      SELECT '%' || lower(w.word) || '%' FROM unnest(:words::text[]) AS w (word)
  ))
GROUP BY coalesce(s.topic_id, 0)
ORDER BY coalesce(s.topic_id, 0);

-- name: lock_institution
-- Whoever changes it waits here, and then sees what is. Messages that refer to it do not wait.
SELECT i.permissions, i.suspended_at FROM services.institution AS i WHERE i.id = :id
FOR NO KEY UPDATE;

-- name: set_permissions
-- The whole set at once.
UPDATE services.institution AS i SET permissions = :permissions WHERE i.id = :id;

-- name: lock_service
-- As `lock_institution`: suspending twice at once must not be recorded twice.
SELECT s.suspended_at FROM services.service AS s WHERE s.id = :id
FOR NO KEY UPDATE;

-- name: lock_groups
-- Whoever changes the groups of an institution waits here for whoever does: names stay unique, and
-- there are not too many. Not FOR UPDATE: services and keys may be created meanwhile.
SELECT i.authorized_cidrs FROM services.institution AS i
WHERE i.id = :id FOR NO KEY UPDATE;

-- name: manage_networks
-- Where the master keys of an institution are taken from.
SELECT i.authorized_cidrs FROM services.institution AS i WHERE i.id = :id;

-- name: put_manage_networks
-- The whole list: the ones that are left out are gone.
UPDATE services.institution AS i SET authorized_cidrs = :authorized_cidrs WHERE i.id = :id;

-- name: list_groups
-- All of an institution, or one of them; the services that are deleted do not count.
SELECT
    g.id, g.name, g.authorized_cidrs, g.created_at,
    (
        SELECT count(*) FROM services.service AS s
        WHERE s.group_id = g.id AND s.state <> 'deleted'
    ) AS services
FROM services.service_group AS g
WHERE g.institution_id = :institution_id AND (:id::text IS NULL OR g.id = :id::text)
ORDER BY lower(g.name), g.id;

-- name: create_group
-- The institution is locked: the number is right, and a name that is taken writes nothing.
INSERT INTO services.service_group (id, institution_id, name, authorized_cidrs, created_at)
SELECT :id, i.id, :name, :authorized_cidrs, :now
FROM services.institution AS i
WHERE i.id = :institution_id AND :most > (
    SELECT count(*) FROM services.service_group AS g WHERE g.institution_id = i.id
)
ON CONFLICT (institution_id, lower(name)) DO NOTHING;

-- name: has_group_named
-- Why a group was not created, or may not be renamed.
SELECT EXISTS (
    SELECT FROM services.service_group AS g
    WHERE g.institution_id = :institution_id AND lower(g.name) = lower(:name)
      AND g.id IS DISTINCT FROM :except_id::text
);

-- name: change_group
-- All of it but its keys and its services.
UPDATE services.service_group AS g SET name = :name, authorized_cidrs = :authorized_cidrs
WHERE g.id = :id;

-- name: lock_group
-- Nothing comes into a group while it is deleted: what refers to it holds it, too.
SELECT g.id FROM services.service_group AS g
WHERE g.id = :id AND g.institution_id = :institution_id FOR UPDATE;

-- name: hold_group
-- It is not deleted before the service that comes into it is there.
SELECT g.id FROM services.service_group AS g
WHERE g.id = :id AND g.institution_id = :institution_id FOR KEY SHARE;

-- name: forget_group_of_deleted
-- Deleted services are kept, and hold no group.
UPDATE services.service AS s SET group_id = NULL, group_position = NULL
WHERE s.group_id = :id AND s.state = 'deleted';

-- name: delete_group_keys
-- Before the group, which they refer to.
DELETE FROM services.key AS k WHERE k.group_id = :id;

-- name: delete_group
-- It is locked, and no service is in it.
DELETE FROM services.service_group AS g WHERE g.id = :id;

-- name: put_group_of_service
-- A null takes it out of its group.
UPDATE services.service AS s SET
    group_id = :group_id,
    group_position = (
        SELECT coalesce(max(m.group_position), -1) + 1 FROM services.service AS m
        WHERE m.group_id = :group_id HAVING :group_id IS NOT NULL
    )
WHERE s.id = :id AND s.state <> 'deleted';

-- name: close_gap_in_group
-- Those behind it move up, so that positions have no gaps; the institution is held.
UPDATE services.service AS s SET group_position = s.group_position - 1
WHERE s.group_id = :group_id AND s.group_position > :position;

-- name: services_in_group
-- Which of these a group's key may see.
SELECT s.id FROM services.service AS s WHERE s.id = ANY(:ids::text[]) AND s.group_id = :group_id;

-- name: find_service
-- Both versions of a service, deleted or not, whoever owns it.
SELECT
    s.id, s.institution_id, i.name AS institution_name, i.fiscal_code, s.group_id,
    s.group_position, l.status, l.reason, l.data, l.version, l.updated_at AS changed_at, l.auto_publish, l.waits,
    s.state, s.suspended_at, s.category, coalesce(s.updated_at, s.created_at) AS live_at, s.name, s.department, s.description,
    s.require_secure_channels, s.authorized_recipients, s.authorized_cidrs,
    s.max_allowed_payment_amount, s.suitable_for_minors, s.topic_id, s.metadata
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
INNER JOIN services.institution AS i ON i.id = l.institution_id
WHERE l.service_id = :id;

-- name: hold_service
-- Both rows, until the transaction ends: whoever comes second reads what the first has made of them.
SELECT l.service_id
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
WHERE l.service_id = :id
FOR NO KEY UPDATE;

-- name: hold_institution
-- Held by whoever makes a service or compares names, one after the other.
SELECT i.id FROM services.institution AS i WHERE i.id = :id FOR NO KEY UPDATE;

-- name: hold_institution_of
-- The same for whoever knows the service alone.
SELECT i.id
FROM services.institution AS i
WHERE i.id = (SELECT s.institution_id FROM services.service AS s WHERE s.id = :id)
FOR NO KEY UPDATE;

-- name: enter_lifecycle
-- Under the lock of the institution: the next position is free.
INSERT INTO services.lifecycle (
    service_id, institution_id, position, status, auto_publish, waits, data, version, updated_at,
    idempotency_key, idempotency_digest
)
SELECT
    s.id, s.institution_id,
    (
        SELECT coalesce(max(l.position), -1) + 1 FROM services.lifecycle AS l
        WHERE l.institution_id = s.institution_id
    ),
    :status, false, false, :data::text::jsonb, 1, :now, :idempotency_key, :idempotency_digest
FROM services.service AS s WHERE s.id = :id;

-- name: find_repeated
-- What was made under this Idempotency-Key, as it was then: the first item of its history.
SELECT
    l.idempotency_digest, s.id, i.name AS institution_name, i.fiscal_code, s.group_id,
    h.value AS status, h.reason, h.data, h.at AS changed_at, 1 AS version
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
INNER JOIN services.institution AS i ON i.id = l.institution_id
INNER JOIN services.history AS h ON h.service_id = l.service_id AND h.number = 1
WHERE l.institution_id = :institution_id AND l.idempotency_key = :idempotency_key;

-- name: move
-- Its row is held, and the transition was looked up.
UPDATE services.lifecycle AS l SET
    status = :status, data = :data::text::jsonb, reason = :reason, auto_publish = :auto_publish,
    waits = :waits, version = l.version + 1, updated_at = :now
WHERE l.service_id = :id;

-- name: wait_no_more
-- What was approved is released; the version stays, since nothing of it has changed.
UPDATE services.lifecycle AS l SET waits = false WHERE l.service_id = :id;

-- name: append_history
-- The row of the working version is held, so that the next numbers are free. Without data: what it has.
INSERT INTO services.history (service_id, number, kind, value, reason, data, at, actor)
SELECT
    l.service_id,
    (SELECT coalesce(max(h.number), 0) FROM services.history AS h WHERE h.service_id = :id)
    + u.place,
    u.kind, u.value, :reason, coalesce(:data::text::jsonb, l.data), :at, :actor
FROM services.lifecycle AS l
CROSS JOIN unnest(:kinds::text[], :values::text[]) WITH ORDINALITY AS u (kind, value, place)
WHERE l.service_id = :id;

-- name: write_live
-- The version tells citizens' clients that something changed.
UPDATE services.service AS s SET
    name = :name, department = :department, state = :state, description = :description,
    require_secure_channels = :require_secure_channels,
    authorized_recipients = :authorized_recipients, authorized_cidrs = :authorized_cidrs,
    max_allowed_payment_amount = :max_allowed_payment_amount,
    metadata = :metadata::text::jsonb, topic_id = :topic_id,
    suitable_for_minors = :suitable_for_minors, version = s.version + 1, updated_at = :now
WHERE s.id = :id AND s.state <> 'deleted';

-- name: set_live_state
-- All else of it stays; a deleted service stays so, whoever asks.
UPDATE services.service AS s SET state = :state, version = s.version + 1, updated_at = :now
WHERE s.id = :id AND s.state <> 'deleted';

-- name: list_services_of_institution
-- Positions have no gaps: any page costs what the first costs.
SELECT
    s.id, i.name AS institution_name, i.fiscal_code, s.group_id,
    l.status, l.reason, l.data, l.updated_at AS changed_at
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
INNER JOIN services.institution AS i ON i.id = l.institution_id
WHERE l.institution_id = :institution_id
  AND l.position >= :first::bigint AND l.position < :end::bigint
ORDER BY l.position;

-- name: list_services_of_group
-- The same within a group.
SELECT
    s.id, i.name AS institution_name, i.fiscal_code, s.group_id,
    l.status, l.reason, l.data, l.updated_at AS changed_at
FROM services.service AS s
INNER JOIN services.lifecycle AS l ON l.service_id = s.id
INNER JOIN services.institution AS i ON i.id = :institution_id
WHERE s.group_id = :group_id
  AND s.group_position >= :first::bigint AND s.group_position < :end::bigint
ORDER BY s.group_position;

-- name: history_down
-- The newest first, from below a number or from the end.
SELECT h.number, h.kind, h.value, h.reason, h.data, h.at, h.actor
FROM services.history AS h
WHERE h.service_id = :id AND h.number < coalesce(:beyond::integer, 2147483647)
ORDER BY h.number DESC LIMIT :limit;

-- name: history_up
-- The oldest first, from above a number or from the beginning.
SELECT h.number, h.kind, h.value, h.reason, h.data, h.at, h.actor
FROM services.history AS h
WHERE h.service_id = :id AND h.number > coalesce(:beyond::integer, 0)
ORDER BY h.number LIMIT :limit;

-- name: find_same_name
-- Approved, or approved and waiting: both are compared under the lock of the institution.
SELECT s.id
FROM services.service AS s
INNER JOIN services.lifecycle AS l ON l.service_id = s.id
WHERE s.institution_id = :institution_id AND s.id <> :id
  AND s.state IN ('approved', 'published')
  AND (
      lower(normalize(s.name, NFKC)) = lower(normalize(:name, NFKC))
      OR (l.waits AND lower(normalize(l.data ->> 'name', NFKC)) = lower(normalize(:name, NFKC)))
  )
ORDER BY s.id LIMIT 1;

-- name: list_reviews
-- Whoever waits longest comes first; decided ones are gone from the index.
SELECT
    s.id, i.name AS institution_name, i.fiscal_code, l.data ->> 'name' AS name,
    l.updated_at AS changed_at, l.version, s.state
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
INNER JOIN services.institution AS i ON i.id = l.institution_id
WHERE l.status = 'submitted' AND (l.updated_at, l.service_id) > (:at, :id)
ORDER BY l.updated_at, l.service_id LIMIT :limit;

-- name: put_logo
-- The last one counts, whoever sent it.
INSERT INTO services.logo (owner_id, png, digest, updated_at)
VALUES (:owner_id, :png, :digest, :now)
ON CONFLICT (owner_id) DO UPDATE
SET png = excluded.png, digest = excluded.digest, updated_at = excluded.updated_at;

-- name: read_service_logo
-- In any state but deleted: a message of a service that is suspended is still read.
SELECT l.png, l.digest
FROM services.logo AS l
INNER JOIN services.service AS s ON s.id = l.owner_id
WHERE l.owner_id = :service_id AND s.state <> 'deleted';

-- name: read_institution_logo
-- By what its address has: the fiscal code.
SELECT l.png, l.digest
FROM services.institution AS i
INNER JOIN services.logo AS l ON l.owner_id = i.id
WHERE i.fiscal_code = :fiscal_code;

-- name: list_logos
-- For pages: which of them to show.
SELECT l.owner_id, l.digest FROM services.logo AS l WHERE l.owner_id = ANY(:owner_ids::text []);

-- name: find_sender
-- As `find_key`, for somebody who is logged in at the institution: no key, and no list of addresses.
SELECT
    i.id AS institution_id, i.permissions, i.email,
    i.name AS organization_name, i.fiscal_code AS organization_fiscal_code,
    s.id AS service_id, s.name, s.department, s.category, s.state, s.require_secure_channels,
    s.authorized_recipients, s.max_allowed_payment_amount
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :service_id AND s.institution_id = :institution_id
  AND s.suspended_at IS NULL AND s.state <> 'deleted' AND i.suspended_at IS NULL;

-- name: names_of_services
-- For people who choose among them; also the deleted, whose messages are still there.
SELECT s.id, s.name, s.state FROM services.service AS s
WHERE s.institution_id = :institution_id
ORDER BY lower(s.name), s.id LIMIT :limit;

-- name: name_of_service
-- One of an institution's own, by its key: lists ask for it on every page.
SELECT s.id, s.name, s.state FROM services.service AS s
WHERE s.id = :id AND s.institution_id = :institution_id;

-- name: services_named
-- Of one institution, which has some thousands at the most: its index is enough.
SELECT s.id, s.name, s.state FROM services.service AS s
WHERE s.institution_id = :institution_id
  AND (s.id = :id OR (:words::text[] <> '{}' AND lower(s.name) LIKE ALL(:words::text[])))
ORDER BY s.id = :id DESC, lower(s.name), s.id LIMIT :limit;

-- name: standing_of_services
-- One look at each service of one institution.
SELECT
    count(*) AS services,
    count(*) FILTER (WHERE l.status = 'draft') AS drafts,
    count(*) FILTER (WHERE l.status = 'submitted') AS submitted,
    count(*) FILTER (WHERE l.status = 'rejected') AS rejected,
    count(*) FILTER (WHERE l.waits) AS waiting,
    count(*) FILTER (WHERE s.suspended_at IS NOT NULL) AS suspended,
    count(*) FILTER (WHERE s.state IN ('approved', 'published')) AS live,
    count(*) FILTER (WHERE cardinality(s.authorized_cidrs) > 0) AS with_networks,
    coalesce(max(s.max_allowed_payment_amount), 0) AS largest_amount
FROM services.lifecycle AS l
INNER JOIN services.service AS s ON s.id = l.service_id
WHERE l.institution_id = :institution_id AND l.status <> 'deleted';

-- name: note_key_uses
-- Only of keys that there are: one may have been renewed meanwhile. In one order for all processes.
INSERT INTO services.key_use (digest, used_at)
SELECT k.digest, u.used_at
FROM unnest(:digests::bytea[], :times::timestamptz[]) AS u (digest, used_at)
INNER JOIN services.key AS k ON k.digest = u.digest
ORDER BY k.digest
ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at
WHERE key_use.used_at < excluded.used_at;

-- name: forget_key_uses
-- Before the keys go: of a service, of a group, or of an institution itself; of one slot or of both.
DELETE FROM services.key_use AS u WHERE u.digest = ANY(ARRAY(
    SELECT k.digest FROM services.key AS k
    WHERE (:slot::text IS NULL OR k.slot = :slot) AND (
        k.service_id = :owner OR k.group_id = :owner
        OR (k.institution_id = :owner AND k.service_id IS NULL AND k.group_id IS NULL)
    )
));

-- name: list_keys
-- Nothing of the keys themselves: whose they are, and when they were made and used last.
SELECT
    coalesce(k.service_id, k.group_id, k.institution_id) AS owner, k.slot, k.created_at, u.used_at
FROM services.key AS k
LEFT JOIN services.key_use AS u ON u.digest = k.digest
WHERE k.service_id = ANY(:owners::text[]) OR k.group_id = ANY(:owners::text[])
   OR (k.institution_id = ANY(:owners::text[]) AND k.service_id IS NULL AND k.group_id IS NULL)
ORDER BY owner, k.slot;

-- name: list_services_by_name
-- For people, who look for a name. `after_name` and `after_id`: the last one of the page before.
-- Ten thousand rows at most are looked at where few of them are wanted.
SELECT
    s.id, s.name, s.state, s.suspended_at, s.group_id, g.name AS group_name,
    l.status, l.waits, l.reason, l.updated_at AS changed_at
FROM services.service AS s
INNER JOIN services.lifecycle AS l ON l.service_id = s.id
LEFT JOIN services.service_group AS g ON g.id = s.group_id
WHERE s.institution_id = :institution_id AND l.institution_id = :institution_id
  AND (lower(s.name), s.id) > (:after_name, :after_id)
  -- In two parts, so that what is about one of the rows needs no look at the other.
  AND CASE :chosen::text
      WHEN 'published' THEN s.state = 'published' AND s.suspended_at IS NULL
      WHEN 'unpublished' THEN s.state = 'approved' AND s.suspended_at IS NULL
      WHEN 'suspended' THEN s.suspended_at IS NOT NULL AND s.state <> 'deleted'
      WHEN 'deleted' THEN s.state = 'deleted'
      ELSE s.state <> 'deleted'
  END
  AND CASE :chosen::text
      WHEN 'yours' THEN l.status = 'rejected' OR l.waits
      WHEN 'draft' THEN l.status = 'draft'
      WHEN 'submitted' THEN l.status = 'submitted'
      ELSE true
  END
  AND (:group_id::text IS NULL OR s.group_id = :group_id)
  AND (strpos(lower(s.name), lower(:words)) > 0 OR s.id = upper(:words))
ORDER BY lower(s.name), s.id LIMIT :limit;

-- name: sorted_as
-- Where a service stands in that list.
SELECT lower(s.name) FROM services.service AS s
WHERE s.id = :id AND s.institution_id = :institution_id;

-- name: count_waiting
-- What waits for the institution itself, of all that it has.
SELECT count(*) AS "all", count(*) FILTER (WHERE l.status = 'rejected' OR l.waits) AS yours
FROM services.lifecycle AS l
WHERE l.institution_id = :institution_id AND l.status <> 'deleted';

-- name: count_suspended
-- For operators, who are reminded of them: what is suspended should not be forgotten.
SELECT
    (SELECT count(*) FROM services.institution AS i WHERE i.suspended_at IS NOT NULL)
    AS institutions,
    (
        SELECT count(*) FROM services.service AS s
        WHERE s.suspended_at IS NOT NULL AND s.state <> 'deleted'
    ) AS services;

-- name: look_at_service
-- For operators: what `find_service` does not say of a service, deleted or not.
SELECT s.suspended_at, i.suspended_at AS institution_suspended_at
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.id = :id;

-- name: services_that_write
-- Of one institution: what `find_sender` would find, without drafts that may write to nobody.
SELECT s.id, s.name, s.state
FROM services.service AS s
INNER JOIN services.institution AS i ON i.id = s.institution_id
WHERE s.institution_id = :institution_id
  AND s.suspended_at IS NULL AND s.state <> 'deleted' AND i.suspended_at IS NULL
  AND (s.state <> 'draft' OR s.authorized_recipients <> '{}')
ORDER BY lower(s.name), s.id LIMIT :limit;

-- name: list_history
-- As `history_down`, for people: without the versions themselves, and with who did it.
SELECT h.number, h.kind, h.value, h.reason, h.at, h.actor
FROM services.history AS h
WHERE h.service_id = :id AND h.number < coalesce(:beyond::integer, 2147483647)
ORDER BY h.number DESC LIMIT :limit;

-- name: any_key_used
-- Of a new institution, which has few services.
SELECT EXISTS (
    SELECT 1 FROM services.service AS s
    INNER JOIN services.key AS k ON k.service_id = s.id
    INNER JOIN services.key_use AS u ON u.digest = k.digest
    WHERE s.institution_id = :institution_id
) AS used;
