-- One list a guide a day: targets, items put off, absence, items that change lists within the day.
-- Safe beside the version before: it adds tables, columns with defaults, and indexes while others write (0019's Python); code that knows none of them cuts,
-- publishes and closes as ever.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- What the brand asks of a guide a day (domain/day_norm.py); no row: the trade's numbers.
CREATE TABLE day_norm (
    tenant_id   integer NOT NULL PRIMARY KEY,
    calls       integer NOT NULL,
    invitations integer NOT NULL,
    invitations_a_visit integer NOT NULL,
    changed_at  timestamptz NOT NULL,
    version     integer NOT NULL
);

-- Who is away for a day although nothing planned said so.
CREATE TABLE guide_absence (
    tenant_id     integer NOT NULL,
    guide_id      uuid NOT NULL,
    business_date date NOT NULL,
    told_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, guide_id, business_date)
);

ALTER TABLE guide_day ADD COLUMN target_calls integer, ADD COLUMN target_invitations integer;

-- An item put off: by whom is in its event. It holds until an attempt of that day or later.
ALTER TABLE task ADD COLUMN snoozes integer NOT NULL DEFAULT 0,
    ADD COLUMN snoozed_on date, ADD COLUMN snoozed_until timestamptz, ADD COLUMN snooze_reason text COLLATE "C";

-- An item that was claimed, or that somebody does who stands in, while the member stays with whoever looks after them.
ALTER TABLE task ADD COLUMN lent boolean NOT NULL DEFAULT false;

-- An item goes from the list of who is absent to another's; it is never on two.
GRANT UPDATE (guide_id, rank) ON list_item TO daogou_worker, daogou_api;

DO $$
DECLARE
    -- Noted for upkeep, once the one who tells it is found to manage the store.
    rules CONSTANT text[][] := ARRAY[
        ['day_norm', '(SELECT asker()) IS NOT NULL', 'false'],
        ['guide_absence', 'guide_id = ANY ((SELECT reach(''days''))::uuid[])
            OR guide_id = ANY ((SELECT reach(''moved''))::uuid[]) AND day_in_reach(guide_id, business_date, ''stores'')', 'false']
    ];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule[1]);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', rule[1]);
        EXECUTE format('CREATE POLICY asker_sees ON %I AS RESTRICTIVE FOR SELECT TO daogou_api '
            'USING ((SELECT sees_all()) OR ' || rule[2] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_adds ON %I AS RESTRICTIVE FOR INSERT TO daogou_api '
            'WITH CHECK ((SELECT changes_all()) OR ' || rule[3] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_changes ON %I AS RESTRICTIVE FOR UPDATE TO daogou_api '
            'USING ((SELECT changes_all()) OR ' || rule[3] || ')', rule[1]);
        EXECUTE format('CREATE POLICY asker_deletes ON %I AS RESTRICTIVE FOR DELETE TO daogou_api '
            'USING ((SELECT changes_all()))', rule[1]);
    END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------
-- Whoever has such an item works on the member's part in that cycle as its own guide does, as long as that one would: while it
-- is open, and for two days after she reported on it. She does so where she got it: from when she is posted elsewhere, what is
-- done stays behind at once, and what is open as soon as she has gone, though nobody has taken it over yet.
-- ---------------------------------------------------------------------------------------------
CREATE FUNCTION lent_parts(setting text) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT t.plan_id || '/' || t.cycle || '/' || t.member_id), '{}')
    FROM ( -- apart, for each has an index that leaves out what lies behind
        SELECT * FROM task WHERE tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND lent
          AND guide_id = ANY (reach(setting)) AND state = 'open'
        UNION ALL
        SELECT * FROM task WHERE tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND lent
          AND guide_id = ANY (reach(setting)) AND state <> 'open'
          AND last_attempt_on >= (asked_at() AT TIME ZONE 'UTC')::date - 2
    ) t
    JOIN plan_cycle c ON c.tenant_id = t.tenant_id AND c.plan_id = t.plan_id AND c.cycle = t.cycle
    JOIN plan l ON l.tenant_id = t.tenant_id AND l.plan_id = t.plan_id
    WHERE c.state <> 'settled' AND (l.ended_at IS NULL OR l.ended_at > asked_at() - interval '2 days')
      AND NOT EXISTS (
          SELECT FROM guide_posting g
          WHERE g.tenant_id = t.tenant_id AND g.guide_id = t.guide_id AND g.superseded_at IS NULL
            AND g.before_store_id IS NOT NULL AND g.from_at <= asked_at()
            AND (g.from_on > c.ends_on OR greatest(g.from_at, g.decided_at) >= l.ended_at OR g.settled_at IS NULL
                 OR t.state <> 'open'
                 AND (greatest(g.from_at, g.decided_at) AT TIME ZONE c.time_zone)::date >= t.last_attempt_on))
$$;
CREATE FUNCTION lent_plans(setting text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = daogou, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT split_part(part, '/', 1)), '{}') FROM unnest(lent_parts(setting)) part
$$;
CREATE FUNCTION lent_to(wanted uuid, setting text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = daogou, pg_temp AS $$
    SELECT EXISTS (SELECT FROM unnest(lent_parts(setting)) part WHERE split_part(part, '/', 3)::uuid = wanted)
$$;
CREATE OR REPLACE FUNCTION sees_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('stores')))
        OR served_by(wanted, 'guides') OR lent_to(wanted, 'guides');
END $$;
CREATE OR REPLACE FUNCTION acts_for_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('binds')))
        OR served_by(wanted, 'acts_for') OR lent_to(wanted, 'acts_for');
END $$;

-- The rules as they are, and one way in more; whatever they were, nothing is taken back.
DO $$
DECLARE
    part  CONSTANT text := 'plan_id || ''/'' || cycle || ''/'' || member_id = ANY ((SELECT lent_parts(%L))::text[])';
    wider CONSTANT text[][] := ARRAY[
        ['member', 'asker_sees', 'lent_to(member_id, ''guides'')'],
        ['plan', 'asker_sees', 'plan_id = ANY ((SELECT lent_plans(''days''))::text[])'],
        ['plan_member', 'asker_sees', format(part, 'days')],
        ['plan_member', 'asker_changes', format(part, 'acts_for')]
    ];
    rule text[];
    standing text;
BEGIN
    FOREACH rule SLICE 1 IN ARRAY wider LOOP
        SELECT pg_get_expr(polqual, polrelid) INTO STRICT standing FROM pg_policy
        WHERE polrelid = rule[1]::regclass AND polname = rule[2];
        EXECUTE format('ALTER POLICY %I ON %I USING (%s OR %s)', rule[2], rule[1], standing, rule[3]);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION lent_parts, lent_plans, lent_to FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lent_parts, lent_plans, lent_to TO daogou_api, daogou_worker;
GRANT SELECT ON day_norm, guide_absence TO daogou_worker, daogou_api, daogou_reader;
GRANT INSERT, UPDATE ON day_norm TO daogou_worker, daogou_api;
GRANT INSERT ON guide_absence TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
