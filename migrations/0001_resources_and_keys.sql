-- Tenants, the keys that their requests are signed with, and the keys that user tokens are signed with.

CREATE TABLE resources (
    id         uuid        PRIMARY KEY, -- the guid in the raw ids of the resource's users
    name       text        NOT NULL UNIQUE, -- the key names of the Ably surface begin with it
    created_at timestamptz NOT NULL
);

CREATE TABLE access_keys (
    resource_id uuid NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (name IN ('primary', 'secondary')),
    secret      text NOT NULL, -- base64
    PRIMARY KEY (resource_id, name)
);

CREATE TABLE signing_keys (
    resource_id uuid        NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    kid         text        NOT NULL,
    private_pem text        NOT NULL, -- PKCS #8
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (resource_id, kid)
);
