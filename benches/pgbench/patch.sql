-- store/participants.rs, apply: one participant more in a room of many.
\set room 994000000000000000 + random(0, :rooms - 1)
WITH given AS MATERIALIZED (
    SELECT ARRAY[replace('8;acs;11111111-2222-3333-4444-555555555555_', ';', chr(58)) || gen_random_uuid()] AS upserts,
           ARRAY['Consumer'] AS roles, ARRAY[]::text[] AS removals
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
