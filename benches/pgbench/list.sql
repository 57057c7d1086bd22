-- store/rooms.rs, list: the first page.
SELECT id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled
FROM rooms WHERE resource_id = :resource::uuid AND id < 9223372036854775807 ORDER BY id DESC LIMIT 31;
