-- What store/rooms.rs asks for many, for one. The rooms are walked over as requests.rs does it.
\set n :n + 1
\set room :first + ((:start + :n * :clients + :client_id) * 7919) % :rooms
SELECT id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled
FROM rooms WHERE resource_id = :resource::uuid AND id = :room::bigint;
