-- store/pages.rs, find: a page that begins before a room.
SELECT id, name, created_at, valid_from, valid_until, pstn_dial_out_enabled
FROM rooms WHERE resource_id = :resource::uuid AND id < :before::bigint ORDER BY id DESC LIMIT :page::bigint;
