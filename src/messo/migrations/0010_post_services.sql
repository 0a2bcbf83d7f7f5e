-- What commands of the release before did to services while 0009 was there already.

INSERT INTO services.lifecycle (
    service_id, institution_id, position, status, reason, auto_publish, waits, data, version,
    updated_at
)
SELECT
    s.id, s.institution_id,
    coalesce(p.last, -1)
    + (row_number() OVER (PARTITION BY s.institution_id ORDER BY s.id))::integer,
    CASE s.state WHEN 'draft' THEN 'draft' WHEN 'deleted' THEN 'deleted' ELSE 'approved' END,
    NULL, false, false,
    jsonb_build_object(
        'name', s.name, 'description', s.description, 'department', s.department,
        'require_secure_channel', s.require_secure_channels,
        'authorized_recipients', to_jsonb(s.authorized_recipients),
        'authorized_cidrs', to_jsonb(s.authorized_cidrs),
        'max_allowed_payment_amount', s.max_allowed_payment_amount,
        'metadata', s.metadata
    ),
    1, s.created_at
FROM services.service AS s
LEFT JOIN (
    SELECT l.institution_id, max(l.position) AS last
    FROM services.lifecycle AS l GROUP BY l.institution_id
) AS p ON p.institution_id = s.institution_id
WHERE NOT EXISTS (SELECT FROM services.lifecycle AS l WHERE l.service_id = s.id);

WITH new AS (
    SELECT l.service_id, l.status, l.data, l.updated_at, s.state
    FROM services.lifecycle AS l
    INNER JOIN services.service AS s ON s.id = l.service_id
    WHERE NOT EXISTS (SELECT FROM services.history AS h WHERE h.service_id = l.service_id)
)
INSERT INTO services.history (service_id, number, kind, value, reason, data, at)
SELECT n.service_id, 1, 'lifecycle', n.status, NULL, n.data, n.updated_at FROM new AS n
UNION ALL
SELECT
    n.service_id, 2, 'publication',
    CASE n.state WHEN 'published' THEN 'published' ELSE 'unpublished' END,
    NULL, n.data, n.updated_at
FROM new AS n WHERE n.state IN ('approved', 'published');

UPDATE services.lifecycle AS l SET
    status = 'deleted', waits = false, version = l.version + 1, updated_at = now()
FROM services.service AS s
WHERE s.id = l.service_id AND s.state = 'deleted' AND l.status <> 'deleted';

UPDATE services.lifecycle AS l SET
    data = jsonb_set(
        jsonb_set(l.data, '{description}', to_jsonb(s.description)), '{metadata}', s.metadata
    ),
    version = l.version + 1
FROM services.service AS s
WHERE s.id = l.service_id AND l.status = 'approved' AND NOT l.waits
  AND (l.data ->> 'description' IS DISTINCT FROM s.description
       OR l.data -> 'metadata' IS DISTINCT FROM s.metadata);

-- A draft is live for its authorized recipients, without what a review would not take of it.
UPDATE services.lifecycle AS l SET
    data = l.data || jsonb_build_object(
        'description', s.description,
        'metadata', coalesce(l.data -> 'metadata', '{}') || s.metadata
    ),
    version = l.version + 1
FROM services.service AS s
WHERE s.id = l.service_id AND l.status = 'draft' AND s.state = 'draft'
  AND (coalesce(l.data ->> 'description', '') <> s.description
       OR NOT coalesce(l.data -> 'metadata', '{}') @> s.metadata);

-- A draft again, by a command of the release before: what it says of the live one is so.
UPDATE services.lifecycle AS l SET
    status = 'draft', waits = false, version = l.version + 1, updated_at = now()
FROM services.service AS s
WHERE s.id = l.service_id AND s.state = 'draft' AND l.status = 'approved';
