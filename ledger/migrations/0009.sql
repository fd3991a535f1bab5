-- Three grades of fact: what a guide claims, what a system of record says of it, what came of it.
-- Safe beside the version before: it adds tables, columns with defaults and functions, and widens one check. Check-ins
-- wait while `check_in` gets its two columns, which takes no rewriting.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

ALTER TABLE import_batch DROP CONSTRAINT import_batch_kind_check;
ALTER TABLE import_batch ADD CONSTRAINT import_batch_kind_check CHECK (kind IN (
    'stores', 'guides', 'members', 'purchases', 'calls', 'friends', 'redemptions', 'visits', 'returns')) NOT VALID;
ALTER TABLE import_batch VALIDATE CONSTRAINT import_batch_kind_check;

-- On which phone a report was made, where that is a bound one; and the digest of what proves it, where something does.
ALTER TABLE check_in ADD COLUMN device_id uuid, ADD COLUMN evidence text COLLATE "C";
CREATE INDEX check_in_by_evidence ON check_in (tenant_id, evidence) WHERE evidence IS NOT NULL;
-- A member's contacts, and a span's: the rows stand nearly in the order in which they occurred.
CREATE INDEX check_in_of_member ON check_in (tenant_id, member_id, occurred_at);
CREATE INDEX check_in_occurred ON check_in USING brin (occurred_at) WITH (autosummarize = on, pages_per_range = 32);

-- ---------------------------------------------------------------------------------------------
-- What systems of record say. Rows are only ever added: of one key the highest revision holds, in whatever order they
-- came (`valid_records`), so a correction is a row and what it corrects stays.
-- ---------------------------------------------------------------------------------------------
CREATE TABLE system_record (
    tenant_id   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,    -- which system: pbx, wecom, till …
    kind        text NOT NULL CHECK (kind IN ('calls', 'friends', 'redemptions', 'visits')),
    key         text COLLATE "C" NOT NULL,    -- the system's own name of it
    revision    bigint NOT NULL,              -- the system's own count or instant of what it says of it
    voided      boolean NOT NULL,             -- the system takes it back
    guide_id    uuid,
    member_id   uuid NOT NULL,
    also        uuid[] NOT NULL DEFAULT '{}', -- other members of the same number: it may be of any of them
    store_id    uuid,
    occurred_at timestamptz NOT NULL,         -- dialled, added, redeemed, came
    ended_at    timestamptz,                  -- friends: removed
    seconds     integer,                      -- calls
    answered    boolean,                      -- calls
    code        bytea,                        -- redemptions: keyed digest of the voucher's code
    value_minor bigint,                       -- redemptions
    known_at    timestamptz NOT NULL,
    batch_id    integer,                      -- the import it came with, or
    message     text COLLATE "C",             -- the feed's message
    PRIMARY KEY (tenant_id, source, kind, key, revision),
    CHECK (kind NOT IN ('calls', 'friends') OR guide_id IS NOT NULL),
    CHECK (kind <> 'calls' OR (seconds IS NOT NULL AND answered IS NOT NULL)),
    CHECK ((batch_id IS NULL) <> (message IS NULL))
);
CREATE INDEX system_record_of_guide ON system_record (tenant_id, guide_id, kind, occurred_at);
CREATE INDEX system_record_of_member ON system_record (tenant_id, member_id, kind, occurred_at);
CREATE INDEX system_record_of_also ON system_record USING gin (also) WHERE also <> '{}';
CREATE INDEX system_record_by_time ON system_record (tenant_id, kind, occurred_at);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON system_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What held at an instant: of each key the highest revision known by then, unless it takes the record back. A plain SQL
-- function, so that it is planned as part of whatever asks, and row-level security holds as on the table.
CREATE FUNCTION valid_records(as_of timestamptz) RETURNS SETOF system_record LANGUAGE sql STABLE AS $$
    SELECT r.* FROM system_record r
    WHERE NOT r.voided AND r.known_at <= as_of AND NOT EXISTS (
        SELECT FROM system_record l WHERE l.tenant_id = r.tenant_id AND l.source = r.source AND l.kind = r.kind
          AND l.key = r.key AND l.revision > r.revision AND l.known_at <= as_of)
$$;

-- Who may send. The secret itself is the key of `secret_id` in the key store, never in this database.
CREATE TABLE feed (
    tenant_id  integer NOT NULL,
    source     text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at   timestamptz,                   -- nothing is waited for from it any more
    PRIMARY KEY (tenant_id, source)
);
CREATE TABLE feed_secret (
    tenant_id  integer NOT NULL,
    secret_id  uuid NOT NULL,
    source     text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    ends_at    timestamptz,                   -- a rotated one works on for a while
    PRIMARY KEY (tenant_id, secret_id)
);
CREATE INDEX feed_secret_of_source ON feed_secret (tenant_id, source);

-- Messages that were taken: the same one again gets the same answer.
CREATE TABLE feed_message (
    tenant_id integer NOT NULL,
    source    text COLLATE "C" NOT NULL,
    message   text COLLATE "C" NOT NULL,      -- SHA-256 of its webhook-id, hex
    body      text COLLATE "C" NOT NULL,      -- SHA-256 of its body, hex
    root      text COLLATE "C" NOT NULL,      -- SHA-256 over its normalised rows that were new, hex
    answer    jsonb NOT NULL,
    known_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, source, message)
);

-- Up to when a source has told everything of a kind, and since when we know: it only ever moves on.
CREATE TABLE feed_watermark (
    tenant_id      integer NOT NULL,
    source         text COLLATE "C" NOT NULL,
    kind           text NOT NULL,
    complete_until timestamptz NOT NULL,
    known_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, source, kind, complete_until)
);

-- ---------------------------------------------------------------------------------------------
-- Whose number is it? Digests under a key of the key store, in a table that no backup and no log holds (UNLOGGED): made
-- again from the sealed numbers whenever it is empty. The row of nobody (nil uuid) says that nothing is missing.
-- ---------------------------------------------------------------------------------------------
CREATE UNLOGGED TABLE phone_index (
    tenant_id integer NOT NULL,
    member_id uuid NOT NULL,
    digest    bytea,                          -- null: there is no number, or it cannot be read
    PRIMARY KEY (tenant_id, member_id)
);
CREATE INDEX phone_index_by_digest ON phone_index (tenant_id, digest);

CREATE FUNCTION forget_phones() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    -- Whoever is making the index again is waited for, and sees nothing of before this.
    PERFORM pg_advisory_xact_lock_shared(hashtext('daogou.phones'), o.tenant_id)
    FROM (SELECT DISTINCT tenant_id FROM touched) o;
    DELETE FROM phone_index i USING touched t WHERE i.tenant_id = t.tenant_id AND i.member_id = t.member_id;
    DELETE FROM phone_index i WHERE i.member_id = '00000000-0000-0000-0000-000000000000'
        AND i.tenant_id IN (SELECT DISTINCT t.tenant_id FROM touched t);
    RETURN NULL;
END $$;
CREATE FUNCTION forget_phone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    -- Whoever is making the index again is waited for, and sees nothing of before this.
    PERFORM pg_advisory_xact_lock_shared(hashtext('daogou.phones'), o.tenant_id)
    FROM (SELECT DISTINCT tenant_id FROM touched) o;
    DELETE FROM phone_index i USING touched t WHERE i.tenant_id = t.tenant_id AND i.member_id = t.member_id;
    RETURN NULL;
END $$;
CREATE TRIGGER phones_added AFTER INSERT ON member_person
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION forget_phones();
CREATE TRIGGER phones_changed AFTER UPDATE ON member_person
    REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION forget_phones();
CREATE TRIGGER phones_gone AFTER DELETE ON member_person
    REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION forget_phone();

-- Whether what a system says of a guide is in reach: by where she stood on that day.
CREATE FUNCTION record_in_reach(of_guide uuid, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT day_in_reach(of_guide, (
        SELECT (at AT TIME ZONE s.time_zone)::date FROM guide g
        JOIN store s ON s.tenant_id = g.tenant_id AND s.store_id = g.store_id
        WHERE g.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND g.guide_id = of_guide), 'stores')
$$;

DO $$
DECLARE
    rules CONSTANT text[][] := ARRAY[
        ['system_record', 'guide_id = ANY ((SELECT reach(''days''))::uuid[]) OR EXISTS (SELECT FROM member m
            WHERE m.tenant_id = system_record.tenant_id AND m.member_id = system_record.member_id) OR guide_id = ANY ((SELECT reach(''moved''))::uuid[])
            AND record_in_reach(guide_id, occurred_at)'],
        ['feed', '(SELECT asker()) IS NOT NULL'],
        ['feed_secret', 'false'],
        ['feed_message', 'false'],
        ['feed_watermark', '(SELECT asker()) IS NOT NULL'],
        ['phone_index', 'false']
    ];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule[1]);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', rule[1]);
        EXECUTE format('CREATE POLICY asker_sees ON %I AS RESTRICTIVE FOR SELECT TO daogou_api '
            'USING ((SELECT sees_all()) OR ', rule[1]) || rule[2] || ')';
        EXECUTE format('CREATE POLICY asker_adds ON %I AS RESTRICTIVE FOR INSERT TO daogou_api '
            'WITH CHECK ((SELECT changes_all()))', rule[1]);
        EXECUTE format('CREATE POLICY asker_changes ON %I AS RESTRICTIVE FOR UPDATE TO daogou_api '
            'USING ((SELECT changes_all()))', rule[1]);
        EXECUTE format('CREATE POLICY asker_deletes ON %I AS RESTRICTIVE FOR DELETE TO daogou_api '
            'USING ((SELECT changes_all()))', rule[1]);
    END LOOP;
END $$;

-- Returns that a feed tells of. The API imports nothing, so this is all it may add: a return of a purchase that is known,
-- which says who, where and which category, and nothing of a member who was erased. Answers what was not there before.
CREATE FUNCTION add_returns(keys text[], returns_of text[], products text[], quantities numeric[], amounts bigint[],
                            occurred timestamptz[], at timestamptz)
RETURNS TABLE (basket text, product text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    PERFORM check_may_change_members();
    RETURN QUERY
    INSERT INTO purchase AS p (tenant_id, basket, product, is_return, member_id, store_id, category_id, guide_id,
                               occurred_at, known_at, quantity, value_minor, return_of, batch_id)
    SELECT tenant, s.key, s.product, true, o.member_id, o.store_id, o.category_id, o.guide_id, s.occurred_at, at,
           -s.quantity, -s.amount, s.return_of, 0
    FROM unnest(keys, returns_of, products, quantities, amounts, occurred)
        AS s(key, return_of, product, quantity, amount, occurred_at)
    JOIN purchase o ON o.tenant_id = tenant AND o.basket = s.return_of AND o.product = s.product AND NOT o.is_return
    JOIN member m ON m.tenant_id = tenant AND m.member_id = o.member_id AND m.erased_at IS NULL
    WHERE s.quantity > 0 AND s.amount >= 0
    ORDER BY s.key, s.product
    ON CONFLICT DO NOTHING
    RETURNING p.basket, p.product;
END $$;

-- Cut to the asker's stores and guides as before; what is said of claims is cut the same way, and how far the data is
-- complete is nobody's secret.
CREATE OR REPLACE FUNCTION check_in_reach(wanted_plan text, wanted_cycle integer, wanted_kind text)
RETURNS TABLE (as_of timestamptz, "position" bigint, figures jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    everything boolean := coalesce(sees_all(), false) OR wanted_plan = ANY (reach_plans('plans'));
    seen uuid[] := reach('stores');
    seen_guides uuid[] := reach('days') || ARRAY(
        SELECT g FROM unnest(reach('moved')) g WHERE cycle_in_reach(g, wanted_plan, wanted_cycle, 'stores'));
BEGIN
    RETURN QUERY
    SELECT c.as_of, c.position,
           CASE WHEN everything THEN c.figures ELSE jsonb_build_object(
               'stores', coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements(c.figures->'stores') r
                                   WHERE nullif(r->>'store', '')::uuid = ANY (seen)), '[]'),
               'guides', coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements(c.figures->'guides') r
                                   WHERE nullif(r->>'guide', '')::uuid = ANY (seen_guides)), '[]'),
               'claims', jsonb_build_object(
                   'stores', coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements(c.figures->'claims'->'stores') r
                                       WHERE nullif(r->>'store', '')::uuid = ANY (seen)), '[]'),
                   'guides', coalesce((SELECT jsonb_agg(r) FROM jsonb_array_elements(c.figures->'claims'->'guides') r
                                       WHERE nullif(r->>'guide', '')::uuid = ANY (seen_guides)), '[]')),
               'complete_until', coalesce(c.figures->'complete_until', '{}')) END
    FROM plan_check c
    WHERE c.tenant_id = tenant AND c.plan_id = wanted_plan AND c.cycle = wanted_cycle AND c.kind = wanted_kind
      AND (everything OR cardinality(seen) > 0);
END $$;

REVOKE EXECUTE ON FUNCTION valid_records, forget_phones, forget_phone, add_returns, record_in_reach FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_returns, record_in_reach TO daogou_worker, daogou_api;
GRANT EXECUTE ON FUNCTION valid_records TO daogou_worker, daogou_api, daogou_reader;
GRANT SELECT ON system_record, feed, feed_watermark TO daogou_worker, daogou_api, daogou_reader;
GRANT SELECT ON feed_secret, feed_message, phone_index TO daogou_worker, daogou_api;
GRANT INSERT ON system_record, feed_message, feed_watermark TO daogou_worker, daogou_api;
GRANT INSERT, UPDATE ON feed TO daogou_worker;
GRANT INSERT, UPDATE (ends_at) ON feed_secret TO daogou_worker;
GRANT INSERT ON phone_index TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
