-- store/rooms.rs, update: another window.
\set n :n + 1
\set room :first + ((:start + :n * :clients + :client_id) * 7919) % :rooms
\set days random(1, 170)
UPDATE rooms
SET valid_from = coalesce(now(), valid_from), valid_until = coalesce(now() + :days::int * interval '1 day', valid_until),
    pstn_dial_out_enabled = coalesce(NULL::boolean, pstn_dial_out_enabled)
WHERE resource_id = :resource::uuid AND id = :room::bigint
RETURNING id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled;
