-- name: mark_sandbox
-- Never unmarked: production refuses a database that was a sandbox.
UPDATE base.database AS d SET sandbox = true WHERE d.one;

-- name: is_sandbox
-- Read by production before it starts.
SELECT d.sandbox FROM base.database AS d;

-- name: all_keys
-- The sandbox hands out all its keys. reads: services.key
SELECT k.institution_id, k.service_id, k.slot, k.encrypted FROM services.key AS k;

-- name: all_configurations
-- The sandbox's own of each institution: the oldest, for people make others. reads: content.configuration
SELECT DISTINCT ON (c.institution_id) c.id, c.institution_id FROM content.configuration AS c
ORDER BY c.institution_id, c.id;
