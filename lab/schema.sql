-- One cluster's database. The first three tables are configuration and replicate; the others are
-- the cluster's own (securetransport.md, section 2).
CREATE TABLE account (name text PRIMARY KEY, note text, updated timestamptz DEFAULT now());
CREATE TABLE subscription (account text, folder text, PRIMARY KEY (account, folder));
CREATE TABLE scheduled_task (name text PRIMARY KEY, every_seconds int);

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

CREATE PUBLICATION switchover_pub FOR TABLE account, subscription, scheduled_task;
