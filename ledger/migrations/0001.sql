-- Roles are made before the first table, so that nothing ever has to be taken away again.
-- daogou_owner cannot log in; worker, api and reader never own anything.
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['daogou_owner', 'daogou_worker', 'daogou_api', 'daogou_reader'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I %s', wanted,
                    CASE wanted WHEN 'daogou_owner' THEN 'NOLOGIN' ELSE 'LOGIN' END);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database of the same cluster is being migrated beside this one
        END;
    END LOOP;
    IF NOT pg_has_role(current_user, 'daogou_owner', 'SET') THEN
        EXECUTE format('GRANT daogou_owner TO %I', current_user);
    END IF;
    -- Whoever migrates may also be the login of the running code, which then works as daogou_worker.
    FOREACH wanted IN ARRAY ARRAY['daogou_worker', 'daogou_api', 'daogou_reader'] LOOP
        IF NOT pg_has_role(current_user, wanted, 'SET') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I WITH SET TRUE', wanted, current_user);
            EXCEPTION WHEN insufficient_privilege THEN
                NULL; -- roles made by somebody else: this login migrates and another one, a member, runs the code
            END;
        END IF;
    END LOOP;
END $$;
-- So that the running code sees for itself that there is nothing to migrate.
GRANT SELECT ON public.daogou_migration TO daogou_worker, daogou_api, daogou_reader;

DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO daogou_owner', current_database());
END $$;
SET ROLE daogou_owner;
CREATE SCHEMA IF NOT EXISTS daogou;
SET LOCAL search_path = daogou;

CREATE TABLE tenant (
    tenant_id   integer PRIMARY KEY,
    name        text NOT NULL
);

-- Whoever reads it can find out whose ids the ids in the ledger are, so only the worker does.
CREATE TABLE tenant_secret (
    tenant_id   integer PRIMARY KEY,
    id_secret   bytea NOT NULL            -- keys the derivation of member and guide ids from the brand's own codes
);

-- ---------------------------------------------------------------------------------------------
-- Ledger
-- ---------------------------------------------------------------------------------------------
CREATE TABLE stream_head (
    tenant_id integer NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    version   integer NOT NULL CHECK (version > 0),
    hash      bytea NOT NULL,
    PRIMARY KEY (tenant_id, stream)
) WITH (fillfactor = 85);

CREATE TABLE event (
    tenant_id      integer NOT NULL,
    stream         text COLLATE "C" NOT NULL,
    version        integer NOT NULL,
    occurred_at    timestamptz NOT NULL,  -- the business's time
    known_at       timestamptz NOT NULL,  -- ours
    actor          text NOT NULL,         -- who entered it
    performed_by   text NOT NULL,         -- who gets the credit
    cause          text NOT NULL,         -- the command id
    type           text NOT NULL,
    schema_version smallint NOT NULL,
    body           bytea NOT NULL,        -- canonical bytes; the chain hashes these
    hash           bytea NOT NULL,        -- SHA-256(previous hash || body)
    payload        jsonb NOT NULL,        -- derived from body, for reading only
    PRIMARY KEY (tenant_id, stream, version, known_at)
) PARTITION BY RANGE (known_at);

CREATE TABLE command (
    tenant_id  integer NOT NULL,
    command_id text COLLATE "C" NOT NULL,
    known_at   timestamptz NOT NULL,
    stream     text COLLATE "C" NOT NULL, -- the first stream it changed
    version    integer NOT NULL,
    PRIMARY KEY (tenant_id, command_id)
);

-- Committed events wait here for their position; the identity keeps the order within a stream.
CREATE TABLE event_pending (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id integer NOT NULL,
    stream    text COLLATE "C" NOT NULL,
    version   integer NOT NULL,
    known_at  timestamptz NOT NULL
);

CREATE TABLE event_position (
    tenant_id integer NOT NULL,
    position  bigint NOT NULL CHECK (position > 0),
    stream    text COLLATE "C" NOT NULL,
    version   integer NOT NULL,
    known_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, position),
    UNIQUE (tenant_id, stream, version)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'DG003', HINT = 'Append a correcting event instead.';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_position
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON command
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Lets one statement roll itself back when its guard matched too little.
CREATE FUNCTION raise_conflict(code text, what text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', what USING ERRCODE = code;
END $$;

-- Monthly partitions; callers hold no grant on them, only on the parent.
CREATE FUNCTION ensure_event_partitions(from_day date, to_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou AS $$
DECLARE
    month date := date_trunc('month', from_day);
    part  text;
    made  integer := 0;
BEGIN
    IF to_day - from_day > 3700 THEN
        RAISE EXCEPTION 'ensure_event_partitions: % to % is longer than ten years', from_day, to_day;
    END IF;
    WHILE month <= to_day LOOP
        part := format('event_%s', to_char(month, 'YYYYMM'));
        IF to_regclass('daogou.' || part) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('daogou.event_partition'));
            -- A query, because to_regclass still answers from its cache that another session's table is not there.
            IF NOT EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'daogou'::regnamespace) THEN
                -- Made apart and attached: attaching lets writers of other months go on.
                EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING ALL)', part);
                EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                    month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
                EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
                made := made + 1;
            END IF;
        END IF;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;

-- ---------------------------------------------------------------------------------------------
-- Imported facts. Codes are the brand's own; ids are derived from them (domain/identifiers.py).
-- ---------------------------------------------------------------------------------------------
CREATE TABLE import_batch (
    tenant_id   integer NOT NULL,
    batch_id    integer NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('stores', 'guides', 'members', 'purchases')),
    root        text COLLATE "C" NOT NULL,  -- over the normalised rows, hex: SHA-256, keyed where they hold codes or names
    rows_read   integer NOT NULL,
    rows_new    integer NOT NULL,
    rows_bad    integer NOT NULL,
    known_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, batch_id),
    UNIQUE (tenant_id, kind, root)
);

CREATE TABLE store (
    tenant_id  integer NOT NULL,
    store_id   uuid NOT NULL,
    code       text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    region     text NOT NULL DEFAULT '',
    dealer     text NOT NULL DEFAULT '',
    latitude   double precision,
    longitude  double precision,
    time_zone  text NOT NULL DEFAULT 'Asia/Shanghai',
    opens_at   time NOT NULL DEFAULT '09:00',
    closes_at  time NOT NULL DEFAULT '21:00',
    batch_id   integer NOT NULL,
    PRIMARY KEY (tenant_id, store_id),
    UNIQUE (tenant_id, code)
);

CREATE TABLE guide (
    tenant_id   integer NOT NULL,
    guide_id    uuid NOT NULL,
    code        text COLLATE "C" NOT NULL,
    store_id    uuid NOT NULL,
    skills      text[] NOT NULL DEFAULT '{}',
    performance integer NOT NULL DEFAULT 0,   -- success rate in basis points, as the brand rates it
    active      boolean NOT NULL DEFAULT true,
    on_leave_from date,
    on_leave_to   date,                       -- inclusive
    batch_id    integer NOT NULL,
    PRIMARY KEY (tenant_id, guide_id),
    UNIQUE (tenant_id, code)
);

CREATE TABLE member (
    tenant_id    integer NOT NULL,
    member_id    uuid NOT NULL,
    home_store_id uuid,
    latitude     double precision,
    longitude    double precision,
    tags         text[] NOT NULL DEFAULT '{}',
    opted_out_at timestamptz,                 -- global do-not-contact, from then on
    batch_id     integer NOT NULL,
    PRIMARY KEY (tenant_id, member_id)
);

-- Everything personal lives here, beside the ledger, and can be erased without touching it.
CREATE TABLE guide_person (
    tenant_id integer NOT NULL,
    guide_id  uuid NOT NULL,
    name      text NOT NULL,
    phone     text,
    PRIMARY KEY (tenant_id, guide_id)
);
CREATE TABLE member_person (
    tenant_id integer NOT NULL,
    member_id uuid NOT NULL,
    code      text COLLATE "C" NOT NULL,
    name      text,
    phone     text,
    PRIMARY KEY (tenant_id, member_id),
    UNIQUE (tenant_id, code)
);
CREATE TABLE member_note (                    -- free text of check-ins; the event holds HMAC(salt, note)
    tenant_id integer NOT NULL,
    note_id   uuid NOT NULL,
    member_id uuid NOT NULL,
    salt      bytea NOT NULL,
    note      text NOT NULL,
    PRIMARY KEY (tenant_id, note_id)
);

CREATE TABLE category (
    tenant_id   integer NOT NULL,
    category_id integer NOT NULL,
    name        text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, category_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE purchase (
    tenant_id   integer NOT NULL,
    basket      text COLLATE "C" NOT NULL,
    product     text COLLATE "C" NOT NULL,
    is_return   boolean NOT NULL,             -- quantity < 0; a return may name its basket again
    member_id   uuid NOT NULL,
    store_id    uuid NOT NULL,
    category_id integer NOT NULL,
    guide_id    uuid,                         -- who served, where the till knows
    occurred_at timestamptz NOT NULL,
    known_at    timestamptz NOT NULL,
    quantity    numeric(12, 3) NOT NULL,
    value_minor bigint NOT NULL,              -- fen, cents
    return_of   text COLLATE "C",             -- basket the return belongs to, where known
    batch_id    integer NOT NULL,
    PRIMARY KEY (tenant_id, basket, product, is_return)
);
CREATE INDEX purchase_by_member ON purchase (tenant_id, member_id, category_id, occurred_at);

-- ---------------------------------------------------------------------------------------------
-- Projections: thrown away and rebuilt from the ledger at will
-- ---------------------------------------------------------------------------------------------
CREATE TABLE plan (
    tenant_id   integer NOT NULL,
    plan_id     text COLLATE "C" NOT NULL,
    status      text NOT NULL CHECK (status IN ('running', 'paused', 'closed')),
    spec        jsonb NOT NULL,               -- the playbook as it stands after every adjustment
    cycle       integer NOT NULL DEFAULT 0,
    version     integer NOT NULL,             -- of the plan's stream
    launched_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, plan_id)
);

CREATE TABLE plan_cycle (
    tenant_id integer NOT NULL,
    plan_id   text COLLATE "C" NOT NULL,
    cycle     integer NOT NULL,
    starts_on date NOT NULL,
    ends_on   date NOT NULL,                  -- inclusive
    time_zone text NOT NULL,
    state     text NOT NULL CHECK (state IN ('running', 'checked', 'settled')),
    days_per_unit jsonb NOT NULL,             -- category id -> the segment's days per unit at the start
    PRIMARY KEY (tenant_id, plan_id, cycle)
);

CREATE TABLE plan_member (
    tenant_id    integer NOT NULL,
    plan_id      text COLLATE "C" NOT NULL,
    cycle        integer NOT NULL,
    member_id    uuid NOT NULL,
    guide_id     uuid,                        -- null: nobody could take the member, why says so
    strategy     text,
    why          text NOT NULL,
    score        integer,                     -- proximity: 100 m units
    runner_up    uuid,
    tried        jsonb NOT NULL DEFAULT '[]', -- [[strategy, reason], ...]
    value_minor  bigint NOT NULL,             -- net spend of the 90 days before the cycle
    quadrant     text NOT NULL,
    grade        text,
    dial_days    integer NOT NULL DEFAULT 0,  -- days on which the member was dialled and not reached
    last_dial_on date,
    last_reached_at timestamptz,
    PRIMARY KEY (tenant_id, plan_id, cycle, member_id)
);
CREATE INDEX plan_member_of_guide ON plan_member (tenant_id, guide_id, plan_id, cycle);

CREATE TABLE task (
    tenant_id   integer NOT NULL,
    task_id     uuid NOT NULL,
    plan_id     text COLLATE "C" NOT NULL,
    cycle       integer NOT NULL,
    member_id   uuid NOT NULL,
    category_id integer NOT NULL,
    guide_id    uuid NOT NULL,
    run_out_on  date NOT NULL,
    due_on      date NOT NULL,                -- where it stands now (carried over, asked again)
    first_due_on date NOT NULL,
    bought_at   timestamptz NOT NULL,         -- the last purchase the estimate rests on
    state       text NOT NULL CHECK (state IN ('open', 'done', 'unreached', 'withdrawn', 'bought', 'expired')),
    reason      text,                         -- why it left the list, where it did
    attempts    integer NOT NULL DEFAULT 0,
    last_attempt_on date,
    known_at    timestamptz NOT NULL,         -- when the item was made
    PRIMARY KEY (tenant_id, task_id)
);
-- Two partial indexes keep the day's work independent of years of closed tasks.
CREATE INDEX task_open_of_guide ON task (tenant_id, guide_id, due_on) WHERE state = 'open';
CREATE INDEX task_open_of_member ON task (tenant_id, member_id) WHERE state = 'open';
CREATE INDEX task_of_plan ON task (tenant_id, plan_id, cycle, member_id);

CREATE TABLE check_in (
    tenant_id    integer NOT NULL,
    task_id      uuid NOT NULL,
    version      integer NOT NULL,            -- of the task's stream
    plan_id      text COLLATE "C" NOT NULL,
    cycle        integer NOT NULL,
    member_id    uuid NOT NULL,
    guide_id     uuid NOT NULL,               -- performed by
    actor        text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    known_at     timestamptz NOT NULL,
    business_date date NOT NULL,
    channel      text NOT NULL,
    outcome      text NOT NULL,
    reached      boolean NOT NULL,
    grade        text,
    products     text[] NOT NULL DEFAULT '{}',
    next_on      date,
    note_id      uuid,
    PRIMARY KEY (tenant_id, task_id, version)
);
CREATE INDEX check_in_of_plan ON check_in (tenant_id, plan_id, cycle, member_id, occurred_at);
CREATE INDEX check_in_of_day ON check_in (tenant_id, guide_id, business_date);

CREATE TABLE guide_day (
    tenant_id    integer NOT NULL,
    guide_id     uuid NOT NULL,
    business_date date NOT NULL,
    time_zone    text NOT NULL,
    state        text NOT NULL CHECK (state IN ('cut', 'published', 'closed')),
    listed       integer NOT NULL,
    done         integer,                     -- recounted at close: items with a check-in that day
    reached      integer,
    carried      integer,
    opens_at     timestamptz NOT NULL,
    closes_at    timestamptz NOT NULL,
    published_at timestamptz,
    closed_at    timestamptz,
    PRIMARY KEY (tenant_id, guide_id, business_date)
);
CREATE INDEX guide_day_open ON guide_day (tenant_id, business_date) WHERE state <> 'closed';

CREATE TABLE list_item (
    tenant_id    integer NOT NULL,
    guide_id     uuid NOT NULL,
    business_date date NOT NULL,
    rank         integer NOT NULL,
    task_id      uuid NOT NULL,
    PRIMARY KEY (tenant_id, guide_id, business_date, rank),
    UNIQUE (tenant_id, business_date, task_id) -- a task is on one list a day, whoever holds it
);

CREATE TABLE plan_check (
    tenant_id integer NOT NULL,
    plan_id   text COLLATE "C" NOT NULL,
    cycle     integer NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('provisional', 'settled')),
    as_of     timestamptz NOT NULL,
    position  bigint NOT NULL,
    figures   jsonb NOT NULL,
    PRIMARY KEY (tenant_id, plan_id, cycle, kind)
);

-- One row an endpoint and message; the purpose makes it unique, the transaction that looked writes it.
CREATE TABLE outbox (
    tenant_id  integer NOT NULL,
    purpose    text COLLATE "C" NOT NULL,     -- e.g. nudge/{guide}/{date}/{slot}
    kind       text NOT NULL,
    guide_id   uuid NOT NULL,
    content    jsonb NOT NULL,                -- ids and counts only
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'unknown', 'dead', 'expired')),
    PRIMARY KEY (tenant_id, purpose)
);
CREATE INDEX outbox_waiting ON outbox (tenant_id, created_at) WHERE state = 'waiting';

-- ---------------------------------------------------------------------------------------------
-- Grants and row-level security: one tenant a connection, set at connect (no round trip)
-- ---------------------------------------------------------------------------------------------
GRANT USAGE ON SCHEMA daogou TO daogou_worker, daogou_api, daogou_reader;
GRANT EXECUTE ON FUNCTION ensure_event_partitions(date, date) TO daogou_worker, daogou_api;
GRANT EXECUTE ON FUNCTION raise_conflict(text, text) TO daogou_worker, daogou_api;
REVOKE EXECUTE ON FUNCTION ensure_event_partitions(date, date), raise_conflict(text, text) FROM PUBLIC;

DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'daogou' AND c.relkind IN ('r', 'p') ORDER BY 1 LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', t);
    END LOOP;
END $$;

-- Reading: the worker everything, the others all but secrets, and the reader no person.
GRANT SELECT ON ALL TABLES IN SCHEMA daogou TO daogou_worker;
GRANT SELECT ON
    tenant, stream_head, command, event_pending, event_position, event, import_batch, store, guide, member, category,
    purchase, plan, plan_cycle, plan_member, task, check_in, guide_day, list_item, plan_check, outbox
    TO daogou_api, daogou_reader;
GRANT SELECT ON guide_person, member_person, member_note TO daogou_api;

-- Writing: what the code does and no more. Facts, reports and notes are never changed; nothing but the queue of
-- positions is ever emptied.
GRANT INSERT ON
    command, event, event_position, plan_check, check_in, member_note, list_item, outbox
    TO daogou_worker, daogou_api;
GRANT INSERT, UPDATE ON
    stream_head, plan, plan_cycle, plan_member, task, guide_day
    TO daogou_worker, daogou_api;
GRANT INSERT, DELETE ON event_pending TO daogou_worker, daogou_api;

-- Brands and their files: the worker's alone.
GRANT INSERT ON tenant, tenant_secret, import_batch, category, purchase TO daogou_worker;
GRANT INSERT, UPDATE ON store, guide, member, guide_person, member_person TO daogou_worker;
RESET ROLE;
RESET search_path;
