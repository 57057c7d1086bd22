-- store/rooms.rs, insert: a room with three participants, and the answer that is remembered. Ids grow, as ours do.
-- Colons in texts would be variables to pgbench.
WITH given AS MATERIALIZED (
    SELECT gen_random_uuid() AS request, to_timestamp(1795223272) AS now,
           995000000000000000 + ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 1790000000000000) * 16 + :client_id::bigint AS room,
           ARRAY[replace('8;acs;11111111-2222-3333-4444-555555555555_', ';', chr(58)) || gen_random_uuid(),
                 replace('8;acs;11111111-2222-3333-4444-555555555555_', ';', chr(58)) || gen_random_uuid(),
                 replace('8;acs;11111111-2222-3333-4444-555555555555_', ';', chr(58)) || gen_random_uuid()] AS raw_ids,
           ARRAY['Presenter', 'Attendee', 'Attendee'] AS roles
), remembered AS (
    INSERT INTO repeated_requests AS r
        (resource_id, request_id, first_sent, body_digest, room_id, answer, expires_at)
    SELECT :resource::uuid, request, now, decode(repeat('00', 32), 'hex'), room, decode(repeat('00', 196), 'hex'), now + interval '1 day'
    FROM given
    ON CONFLICT (resource_id, request_id) DO UPDATE
    SET first_sent = excluded.first_sent, body_digest = excluded.body_digest,
        room_id = excluded.room_id, answer = excluded.answer, expires_at = excluded.expires_at
    WHERE r.expires_at <= excluded.first_sent
    RETURNING true
), room AS (
    INSERT INTO rooms (resource_id, id, created_at, valid_from, valid_until,
                       pstn_dial_out_enabled, participant_count, roster_version)
    SELECT :resource::uuid, room, now, now, now + interval '180 days', false, cardinality(raw_ids), 0 FROM given, remembered
    RETURNING true
), roster AS (
    INSERT INTO participants (resource_id, room_id, raw_id, role, position)
    SELECT :resource::uuid, room, entry.raw_id, entry.role, 1795223272000000000 + entry.place
    FROM given, remembered, unnest(raw_ids, roles) WITH ORDINALITY AS entry (raw_id, role, place)
)
SELECT EXISTS (SELECT FROM room);
