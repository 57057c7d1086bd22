-- What store/new_rooms.rs asks for many, for one: a room with a roster, and the answer that is remembered. Ids grow, as ours do.
\set n :n + 1
\set room :newest + :n * :clients + :client_id
WITH given AS MATERIALIZED (
    SELECT gen_random_uuid() AS request, now() AS now, :roster::text[] AS raw_ids, :roster_roles::text[] AS roles
), remembered AS (
    INSERT INTO repeated_requests AS r
        (resource_id, request_id, first_sent, body_digest, room_id, answer, expires_at)
    SELECT :resource::uuid, request, now, decode(repeat('00', 32), 'hex'), :room::bigint,
           decode(repeat('00', 196), 'hex'), now + interval '1 day'
    FROM given WHERE request IS NOT NULL
    ON CONFLICT (resource_id, request_id) DO UPDATE
    SET first_sent = excluded.first_sent, body_digest = excluded.body_digest,
        room_id = excluded.room_id, answer = excluded.answer, expires_at = excluded.expires_at
    WHERE r.expires_at <= excluded.first_sent
    RETURNING true
), turn AS (
    SELECT FROM remembered UNION ALL SELECT FROM given WHERE request IS NULL
), room AS (
    INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until,
                       pstn_dial_out_enabled, participant_count, roster_version)
    SELECT :resource::uuid, :room::bigint, now, now, now + interval '180 days', false, cardinality(raw_ids), 0
    FROM given, turn
    RETURNING true
), roster AS (
    INSERT INTO participants (resource_id, room_id, raw_id, role, position)
    SELECT :resource::uuid, :room::bigint, entry.raw_id, entry.role, 1795223272000000000 + entry.place
    FROM given, turn, unnest(raw_ids, roles) WITH ORDINALITY AS entry (raw_id, role, place)
)
SELECT EXISTS (SELECT FROM room);
