-- What store/participants.rs asks for many rooms, for one. Each room's turn comes once all others had theirs, with one of some groups of users.
\set n :n + 1
\set room :first + ((:start + :n * :clients + :client_id) * 7919) % :rooms
\set group random(100, :last_group)
WITH given AS MATERIALIZED (
    SELECT replace(:patched, 'NNN', :group::text)::text[] AS upserts, :patched_roles::text[] AS roles,
           ARRAY[]::text[] AS removals
), seen AS (
    SELECT roster_version, participant_count FROM rooms WHERE resource_id = :resource::uuid AND id = :room::bigint
), turn AS (
    SELECT roster_version, name FROM rooms WHERE resource_id = :resource::uuid AND id = :room::bigint FOR UPDATE
), growth AS (
    SELECT (SELECT cardinality(upserts) FROM given) - count(*) FILTER (WHERE raw_id = ANY ((SELECT upserts FROM given)::text[]))
         - count(*) FILTER (WHERE raw_id = ANY ((SELECT removals FROM given)::text[])) AS by
    FROM participants
    WHERE resource_id = :resource::uuid AND room_id = :room::bigint AND raw_id = ANY ((SELECT upserts || removals FROM given)::text[])
), fresh AS (
    SELECT seen.participant_count + growth.by AS size, growth.by <= 0 OR seen.participant_count + growth.by <= 350 AS fits
    FROM seen JOIN turn USING (roster_version) CROSS JOIN growth
), removed AS (
    DELETE FROM participants USING fresh
    WHERE fits AND resource_id = :resource::uuid AND room_id = :room::bigint AND raw_id = ANY ((SELECT removals FROM given)::text[])
), upserted AS (
    INSERT INTO participants (resource_id, room_id, raw_id, role, position)
    SELECT :resource::uuid, :room::bigint, entry.raw_id, entry.role, 1795223272000000000 + entry.place
    FROM fresh, given, unnest(upserts, roles) WITH ORDINALITY AS entry (raw_id, role, place)
    WHERE fits
    ON CONFLICT (resource_id, room_id, raw_id) DO UPDATE SET role = excluded.role
), counted AS (
    UPDATE rooms SET participant_count = fresh.size, roster_version = rooms.roster_version + 1
    FROM fresh WHERE fits AND resource_id = :resource::uuid AND id = :room::bigint
)
SELECT EXISTS (SELECT FROM turn) AS there, (SELECT fits FROM fresh) AS fits, (SELECT name FROM turn) AS name;
