-- name: lock
-- A hint that spares the second of two processes an error; the key of base.migration guarantees.
SELECT pg_advisory_lock(8480);

-- name: unlock
-- Also after an error, so that the next process need not wait for this one's end.
SELECT pg_advisory_unlock(8480);

-- name: create_base
-- What must be there before the first migration can be recorded.
CREATE SCHEMA IF NOT EXISTS base;
CREATE TABLE IF NOT EXISTS base.migration (
    name text COLLATE "C" PRIMARY KEY,
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS base.database (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    buckets integer NOT NULL CHECK (buckets BETWEEN 1 AND 1024),
    sandbox boolean NOT NULL DEFAULT false
);

-- name: remember_buckets
-- Fixed when the database is created; a later setting changes nothing.
INSERT INTO base.database (buckets) VALUES (:buckets) ON CONFLICT DO NOTHING;

-- name: is_created
-- Whether this database was ever migrated.
SELECT to_regclass('base.migration') IS NOT NULL;

-- name: list_applied
-- What was applied, to be compared with the files.
SELECT m.name, m.digest FROM base.migration AS m;

-- name: record
-- In the transaction of the migration itself.
INSERT INTO base.migration (name, digest) VALUES (:name, :digest);
