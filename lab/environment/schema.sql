-- One cluster's database. These first tables are configuration and replicate; those below are the
-- cluster's own (docs/securetransport.md, section 2).
CREATE TABLE account (
    name text PRIMARY KEY, note text, updated timestamptz DEFAULT now(),
    type text DEFAULT 'user', business_unit text
);
CREATE TABLE subscription (
    account text, folder text, application text, PRIMARY KEY (account, folder)
);
CREATE TABLE scheduled_task (name text PRIMARY KEY, every_seconds int);
CREATE TABLE business_unit (name text PRIMARY KEY, base_folder text);
-- A site's name is its account's own; two simple routes may have one name.
CREATE TABLE site (
    account text, name text, protocol text, host text, PRIMARY KEY (account, name)
);
CREATE TABLE route (id int PRIMARY KEY, name text, type text, condition text, account text);
CREATE TABLE application (name text PRIMARY KEY, type text);
CREATE TABLE certificate (alias text PRIMARY KEY, subject text, usage text, expires timestamptz);

CREATE TABLE event (
    id uuid PRIMARY KEY, kind text, account text, path text, node text,
    created timestamptz DEFAULT now(), attempts int DEFAULT 0
);
CREATE TABLE transferdata (
    id uuid PRIMARY KEY, account text, path text, protocol text, direction text, node text,
    status text, sha256 text, bytes bigint, started timestamptz DEFAULT now(), ended timestamptz
);
CREATE TABLE auditlog (
    id uuid PRIMARY KEY, operation_type text, object_type text, object_name text,
    user_name text, at timestamptz DEFAULT now()
);
CREATE TABLE logging_event (
    id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), node text, component text,
    level text, message text
);
CREATE TABLE clusternode (name text PRIMARY KEY, address text);
CREATE TABLE dmz_zone (name text PRIMARY KEY);
CREATE TABLE dmz_edge (name text PRIMARY KEY, zone text, address text);
CREATE TABLE fm_heartbeat (cluster text PRIMARY KEY, node text, beat timestamptz);

CREATE PUBLICATION switchover_pub FOR TABLE
    account, subscription, scheduled_task, business_unit, site, route, application, certificate;
