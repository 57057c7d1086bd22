-- store/rooms.rs, delete: each room once, with its roster.
\set n :n + 1
\set room :doomed + :n * :clients + :client_id
DELETE FROM rooms WHERE resource_id = :resource::uuid AND id = :room::bigint
RETURNING id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled;
