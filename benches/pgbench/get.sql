-- store/rooms.rs, find.
\set room 994000000000000000 + random(0, :rooms - 1)
SELECT id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled
FROM rooms WHERE resource_id = :resource::uuid AND id = :room::bigint;
