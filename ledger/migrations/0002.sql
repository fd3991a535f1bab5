-- The engine stands: recall and canary of plans, when a zone's lists were cut, messages to endpoints and their stop.
-- Safe beside the version before: it adds columns with defaults, tables, indexes and wider checks. It holds `plan`,
-- `check_in` and `outbox` while it runs: check-ins wait for it, on a big ledger some seconds.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

ALTER TABLE plan DROP CONSTRAINT plan_status_check;
ALTER TABLE plan ADD CONSTRAINT plan_status_check
    CHECK (status IN ('running', 'paused', 'closed', 'recalled')) NOT VALID;
ALTER TABLE plan VALIDATE CONSTRAINT plan_status_check;
-- Store codes the plan is tried in before it goes everywhere; null: everywhere.
ALTER TABLE plan ADD COLUMN canary text[];
-- When the plan was paused, so that a check-in of that time is known for what it is whenever it arrives.
ALTER TABLE plan ADD COLUMN paused tstzmultirange NOT NULL DEFAULT '{}';

UPDATE plan p SET paused = tstzmultirange(tstzrange(e.occurred_at, NULL))
FROM event e
WHERE p.status = 'paused' AND e.tenant_id = p.tenant_id AND e.stream = 'plan/' || p.plan_id
  AND e.type = 'plan_status_changed'
  AND e.version = (SELECT max(version) FROM event l WHERE l.tenant_id = e.tenant_id AND l.stream = e.stream
                   AND l.type = 'plan_status_changed');
-- When it was closed or recalled: a report of something that occurred before still counts.
ALTER TABLE plan ADD COLUMN ended_at timestamptz;

ALTER TABLE guide_day ADD COLUMN clocked_in_at timestamptz;

-- Why a check-in stands against the plan's state (e.g. plan_paused); null: nothing does.
ALTER TABLE check_in ADD COLUMN conflict text;
-- For check-ins a second: append-only and in the order of known_at, so a block range index is tiny and cheap to keep.
CREATE INDEX check_in_known ON check_in USING brin (known_at) WITH (autosummarize = on, pages_per_range = 32);

-- When its members were selected; lists cut before that do not hold its items.
ALTER TABLE plan_cycle ADD COLUMN started_at timestamptz NOT NULL DEFAULT '-infinity';

-- A zone's lists of a day are cut once a release hour, whether by its workflow or at the first clock-in.
CREATE TABLE zone_day (
    tenant_id     integer NOT NULL,
    time_zone     text COLLATE "C" NOT NULL,
    business_date date NOT NULL,
    release       text COLLATE "C" NOT NULL,   -- HH:MM
    cut_at        timestamptz NOT NULL,
    lists         integer NOT NULL,            -- guides with a list after it
    PRIMARY KEY (tenant_id, business_date, time_zone, release)
);

-- Where messages go: a robot, mailbox or webhook of the brand, a region, a store or one guide. The address holds
-- its secret, so only the worker reads it, and it is in no event.
CREATE TABLE endpoint (
    tenant_id   integer NOT NULL,
    endpoint_id integer NOT NULL CHECK (endpoint_id > 0),
    scope       text NOT NULL CHECK (scope IN ('brand', 'region', 'store', 'guide')),
    code        text COLLATE "C" NOT NULL,     -- region name, store code or guide code; empty for the brand
    kind        text NOT NULL,                 -- wecom, dingtalk, feishu, mail, webhook
    address     text NOT NULL,
    per_minute  integer NOT NULL CHECK (per_minute > 0),
    active      boolean NOT NULL DEFAULT true,
    PRIMARY KEY (tenant_id, endpoint_id),
    UNIQUE (tenant_id, scope, code, kind, address)
);

-- One switch a brand for everything that leaves the house.
CREATE TABLE message_stop (
    tenant_id  integer PRIMARY KEY,
    stopped    boolean NOT NULL,
    reason     text NOT NULL,
    changed_at timestamptz NOT NULL,
    version    integer NOT NULL                -- of the stream messages
);

-- One row an endpoint and message; 0 is nobody's: no endpoint serves the guide.
ALTER TABLE outbox ADD COLUMN endpoint_id integer NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN claimed_at timestamptz;  -- marked as being sent, before it is sent
ALTER TABLE outbox ADD COLUMN ended_at timestamptz;
ALTER TABLE outbox ADD COLUMN not_before timestamptz;  -- known not to have been sent: tried again then
ALTER TABLE outbox ADD COLUMN attempts smallint NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN why text;                -- a code: why it ended as it did
ALTER TABLE outbox ADD COLUMN claimed_by text COLLATE "C"; -- the claim's own token: only its holder ends it
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
ALTER TABLE outbox ADD PRIMARY KEY (tenant_id, purpose, endpoint_id);
ALTER TABLE outbox DROP CONSTRAINT outbox_state_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_state_check
    CHECK (state IN ('waiting', 'sending', 'sent', 'unknown', 'dead', 'expired', 'unrouted')) NOT VALID;
ALTER TABLE outbox VALIDATE CONSTRAINT outbox_state_check;
CREATE INDEX outbox_claimed ON outbox (tenant_id, endpoint_id, claimed_at) WHERE claimed_at IS NOT NULL;
-- What a sender looks for, and what people page through; years of what was sent are never read for either.
CREATE INDEX outbox_due ON outbox (tenant_id, endpoint_id, created_at, purpose) WHERE state = 'waiting';
CREATE INDEX outbox_sending ON outbox (tenant_id, claimed_at) WHERE state = 'sending';
CREATE INDEX outbox_by_time ON outbox (tenant_id, created_at, purpose, endpoint_id);
CREATE INDEX outbox_by_state ON outbox (tenant_id, state, created_at, purpose, endpoint_id);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['zone_day', 'endpoint', 'message_stop'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', t);
    END LOOP;
END $$;
GRANT SELECT ON zone_day, message_stop TO daogou_worker, daogou_api, daogou_reader;
GRANT INSERT, UPDATE ON zone_day, message_stop TO daogou_worker, daogou_api;
GRANT SELECT, INSERT, UPDATE ON endpoint TO daogou_worker;
-- Where a message stands may change; to whom it goes and what it says may not.
GRANT UPDATE (state, claimed_at, claimed_by, ended_at, not_before, attempts, why) ON outbox TO daogou_worker;
RESET ROLE;
RESET search_path;
