-- Rights follow the calendar: what a guide did stays with the store where she stood when she did it, and a member is hers
-- while she serves them. Functions and policies of 0003 and 0004 in their newest form, for databases made before it, too.
-- Safe beside the version before: settings and columns are added, and every function keeps its name and its answer.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- What 0003 and 0004 had not from the beginning.
ALTER TABLE account ADD COLUMN IF NOT EXISTS pin_failures integer NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN IF NOT EXISTS pin_locked_until timestamptz;
ALTER TABLE guide_posting ADD COLUMN IF NOT EXISTS superseded_at timestamptz;
-- What whoever gave the one-time password may do; null: everything, or there is none. A role that gives more makes it void.
ALTER TABLE account ADD COLUMN password_given_with text[];
-- The token that issued a token, with which it ends; null: a person or the command line did.
ALTER TABLE credential ADD COLUMN issued_by uuid;
CREATE INDEX credential_issued_by ON credential (tenant_id, issued_by) WHERE issued_by IS NOT NULL;
DROP INDEX guide_posting_ahead;
CREATE INDEX guide_posting_ahead ON guide_posting (tenant_id, from_at)
    WHERE applied_at IS NULL AND superseded_at IS NULL;
DROP INDEX guide_posting_unsettled;
CREATE INDEX guide_posting_unsettled ON guide_posting (tenant_id) WHERE settled_at IS NULL AND superseded_at IS NULL;
GRANT UPDATE (settled_at, superseded_at) ON guide_posting TO daogou_worker, daogou_api;
-- Who came to a store or went from it: asked when somebody with stores signs on.
CREATE INDEX guide_posting_into ON guide_posting (tenant_id, store_id) WHERE superseded_at IS NULL;
CREATE INDEX guide_posting_out_of ON guide_posting (tenant_id, before_store_id) WHERE superseded_at IS NULL;

-- ---------------------------------------------------------------------------------------------
-- Who asks
-- ---------------------------------------------------------------------------------------------
-- Besides the settings of 0003, where daogou.guides are the guides who stand in reach now:
-- daogou.days    of them, those all of whose days are in reach: oneself, and who never stood elsewhere
-- daogou.moved   guides some of whose days are in reach, wherever they stand now: each row is held against its day
-- daogou.known   guides and moved together: who is known by name
CREATE OR REPLACE FUNCTION stand_as(account text, sees text, changes text, guides text, acts_for text, stores text,
                                    binds text, plans text, steers text)
RETURNS void LANGUAGE sql AS $$
    SELECT set_config('daogou.account', account, false), set_config('daogou.sees', sees, false),
           set_config('daogou.changes', changes, false), set_config('daogou.guides', guides, false),
           set_config('daogou.acts_for', acts_for, false), set_config('daogou.stores', stores, false),
           set_config('daogou.binds', binds, false), set_config('daogou.plans', plans, false),
           set_config('daogou.steers', steers, false),
           set_config('daogou.days', guides, false), set_config('daogou.known', guides, false),
           set_config('daogou.moved', '{}', false),
           set_config('daogou.writes', '', false),
           set_config('daogou.stood', coalesce(current_setting('daogou.tenant', true), ''), false);
$$;

-- The instant of the request; before everything where nobody is signed on.
CREATE FUNCTION asked_at() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce(nullif(current_setting('daogou.at', true), '')::timestamptz, '-infinity') $$;

-- apply_staff_changes for whoever passes by: where somebody holds the staff just now, an import or a transfer, nobody waits;
-- sign_on() then reckons with what is due itself.
CREATE FUNCTION apply_staff_changes_in_passing(at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF (EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = tenant AND p.applied_at IS NULL
                AND p.superseded_at IS NULL AND p.from_at <= at)
        OR EXISTS (SELECT FROM store_closing c WHERE c.tenant_id = tenant AND c.applied_at IS NULL AND c.from_at <= at))
       AND pg_try_advisory_xact_lock(hashtext('daogou.staff'), tenant) THEN
        PERFORM apply_staff_changes(at);
    END IF;
    RETURN at;
END $$;

-- Where guides stand by what is due and not in force yet; null: she has left.
CREATE FUNCTION guides_due(tenant integer, at timestamptz) RETURNS TABLE (guide_id uuid, store_id uuid)
LANGUAGE sql STABLE SET search_path = daogou, pg_temp AS $$
    SELECT DISTINCT ON (p.guide_id) p.guide_id, p.store_id FROM guide_posting p
    WHERE p.tenant_id = guides_due.tenant AND p.applied_at IS NULL AND p.superseded_at IS NULL AND p.from_at <= at
    ORDER BY p.guide_id, p.from_at DESC, p.version DESC
$$;

CREATE OR REPLACE FUNCTION sign_on(shown bytea, at timestamptz, changing text[])
RETURNS TABLE (account_id uuid, guide_id uuid, credential_id uuid, kind text, rights text[], csrf bytea,
               must_change boolean, device_id uuid, roles text[], sees_all boolean, changes_all boolean,
               guides uuid[], acts_for uuid[], stores uuid[], binds uuid[], plans text[], steers text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    writes boolean;
    myself uuid;
    moved uuid[] := '{}';
    due_guides uuid[] := '{}';
    due_stores uuid[] := '{}';
    phone_store uuid;
    on_phone CONSTANT text[] := ARRAY['guide', 'service_agent', 'store_manager'];
BEGIN
    PERFORM stand_as('', '', '', '{}', '{}', '{}', '{}', '{}', '{}');
    SELECT c.account_id, a.guide_id, c.credential_id, c.kind, c.rights, c.csrf,
           -- A token proves itself; it was not given with the password that has to be changed.
           c.kind = 'session' AND CASE WHEN c.device_id IS NULL THEN a.must_change ELSE a.pin_must_change END, c.device_id
    INTO account_id, guide_id, credential_id, kind, rights, csrf, must_change, device_id
    FROM credential c JOIN account a ON a.tenant_id = c.tenant_id AND a.account_id = c.account_id
    LEFT JOIN device d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
    WHERE c.tenant_id = tenant AND c.hash = shown AND c.ended_at IS NULL AND c.expires_at > at AND a.active
      AND (c.device_id IS NULL OR d.ended_at IS NULL AND d.bound_at > at - interval '180 days');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- What is due is in force already but for the time somebody else holds the staff: then it counts as if it were.
    SELECT coalesce(array_agg(d.guide_id), '{}'), coalesce(array_agg(d.store_id), '{}') INTO due_guides, due_stores
    FROM guides_due(tenant, at) d;
    IF device_id IS NOT NULL OR due_guides <> '{}' THEN
        SELECT d.store_id INTO phone_store FROM device d WHERE d.tenant_id = tenant AND d.device_id = sign_on.device_id;
        IF EXISTS (SELECT FROM unnest(due_guides, due_stores) AS d (guide, store) WHERE d.guide = guide_id
                   AND (d.store IS NULL OR d.store <> phone_store))
           OR EXISTS (SELECT FROM store_closing c WHERE c.tenant_id = tenant AND c.store_id = phone_store
                      AND c.applied_at IS NULL AND c.from_at <= at) THEN
            RETURN;
        END IF;
    END IF;
    PERFORM set_config('daogou.at', at::text, false);
    SELECT coalesce(array_agg(DISTINCT g.role ORDER BY g.role), '{}'),
           coalesce(bool_or(g.role IN ('hq', 'owner', 'auditor')), false),
           coalesce(bool_or(g.role = 'hq'), false),
           coalesce(array_agg(DISTINCT g.place) FILTER (WHERE g.role = 'organiser'), '{}')
    INTO roles, sees_all, changes_all, plans
    FROM role_grant g WHERE g.tenant_id = tenant AND g.account_id = sign_on.account_id
      AND g.starts_at <= at AND (g.ends_at IS NULL OR g.ends_at > at)
      AND (device_id IS NULL OR g.role = ANY (on_phone));
    writes := rights IS NULL OR rights && changing;
    changes_all := changes_all AND writes;
    SELECT coalesce(array_agg(DISTINCT s.store_id), '{}'),
           coalesce(array_agg(DISTINCT s.store_id) FILTER (WHERE g.role = 'store_manager'), '{}')
    INTO stores, binds
    FROM role_grant g JOIN store s ON s.tenant_id = tenant AND CASE g.role WHEN 'supervisor' THEN s.region = g.place
        WHEN 'dealer' THEN s.dealer = g.place WHEN 'store_manager' THEN s.code = g.place END
    WHERE g.tenant_id = tenant AND g.account_id = sign_on.account_id
      AND g.starts_at <= at AND (g.ends_at IS NULL OR g.ends_at > at)
      AND (device_id IS NULL OR g.role = ANY (on_phone));
    myself := CASE WHEN roles && ARRAY['guide', 'service_agent'] THEN guide_id END;
    SELECT coalesce(array_agg(u.guide_id), '{}'), coalesce(array_agg(u.guide_id) FILTER (WHERE u.acts), '{}')
    INTO guides, acts_for
    FROM (
        SELECT g.guide_id, g.active AND g.store_id = ANY(binds) AS acts FROM guide g
        WHERE cardinality(stores) > 0 AND g.tenant_id = tenant AND g.store_id = ANY(stores)
          AND g.guide_id IS DISTINCT FROM myself AND g.guide_id <> ALL (due_guides)
        UNION ALL
        SELECT g.guide_id, d.store IS NOT NULL AND d.store = ANY(binds)
        FROM unnest(due_guides, due_stores) AS d (guide, store)
        JOIN guide g ON g.tenant_id = tenant AND g.guide_id = d.guide
        WHERE coalesce(d.store, g.store_id) = ANY(stores) AND g.guide_id IS DISTINCT FROM myself
        UNION ALL
        SELECT g.guide_id, true FROM guide g WHERE g.tenant_id = tenant AND g.guide_id = myself
          AND (g.active OR g.guide_id = ANY (due_guides))
    ) u;
    steers := plans;
    IF NOT writes THEN
        acts_for := '{}'; binds := '{}'; steers := '{}';
    END IF;
    PERFORM stand_as(account_id::text, CASE WHEN sees_all THEN 'all' ELSE '' END,
        CASE WHEN changes_all THEN 'all' ELSE '' END, guides::text, acts_for::text, stores::text, binds::text,
        plans::text, steers::text);
    PERFORM set_config('daogou.writes', CASE WHEN writes THEN 'yes' ELSE '' END, false);
    IF cardinality(stores) > 0 THEN
        SELECT coalesce(array_agg(g.guide_id), '{}') INTO moved
        FROM guide g
        WHERE g.tenant_id = tenant AND g.guide_id IS DISTINCT FROM myself AND g.guide_id IN (
            SELECT p.guide_id FROM guide_posting p WHERE p.tenant_id = tenant AND p.superseded_at IS NULL
              AND p.store_id = ANY(stores) AND p.from_at <= at
            UNION SELECT p.guide_id FROM guide_posting p WHERE p.tenant_id = tenant AND p.superseded_at IS NULL
              AND p.before_store_id = ANY(stores) AND p.from_at <= at)
          AND EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = tenant AND p.guide_id = g.guide_id
              AND p.superseded_at IS NULL AND p.from_at <= at
              AND (p.store_id <> g.store_id OR p.before_store_id <> g.store_id));
        IF moved <> '{}' THEN
            PERFORM set_config('daogou.moved', moved::text, false),
                    set_config('daogou.days', ARRAY(SELECT unnest(guides) EXCEPT SELECT unnest(moved))::text, false);
            guides := ARRAY(SELECT unnest(guides) UNION SELECT unnest(moved));
            PERFORM set_config('daogou.known', guides::text, false);
        END IF;
    END IF;
    RETURN NEXT;
END $$;

-- Whether the asker may give this account of a guide a PIN: it is a guide of a store whose phones the asker binds, and
-- the account is nothing else besides, so that nobody gets more by it than a guide has.
CREATE OR REPLACE FUNCTION gives_pin(of_account uuid, of_guide uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM guide g WHERE g.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
        AND g.guide_id = of_guide AND g.active AND g.store_id = ANY (reach('binds'))
        -- She may have left or gone by a change that is due, while somebody holds the staff.
        AND NOT EXISTS (SELECT FROM guides_due(g.tenant_id, asked_at()) d WHERE d.guide_id = of_guide)
    ) AND NOT EXISTS (
        SELECT FROM role_grant r WHERE r.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
        AND r.account_id = of_account AND r.role NOT IN ('guide', 'service_agent') AND (r.ends_at IS NULL
            OR r.ends_at > asked_at())
    )
$$;

-- ---------------------------------------------------------------------------------------------
-- Where a guide stood. Asked of those who moved only.
-- ---------------------------------------------------------------------------------------------
-- The store a day of a guide belongs to. A day that had begun when the transfer was decided is the old store's whole: what
-- is written of it was begun there. Before her first posting she stood where that took her from.
CREATE FUNCTION stood_in(of_guide uuid, on_day date) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    found_store uuid;
BEGIN
    SELECT coalesce(p.store_id, p.before_store_id) INTO found_store FROM guide_posting p
    WHERE p.tenant_id = tenant AND p.guide_id = of_guide AND p.superseded_at IS NULL AND p.from_at <= asked_at()
      AND p.from_on <= on_day AND p.from_at + (on_day - p.from_on) * interval '1 day' >= p.decided_at
    ORDER BY p.from_on DESC, p.version DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT coalesce(p.before_store_id, p.store_id) INTO found_store FROM guide_posting p
        WHERE p.tenant_id = tenant AND p.guide_id = of_guide AND p.superseded_at IS NULL AND p.from_at <= asked_at()
        ORDER BY p.from_on, p.version LIMIT 1;
    END IF;
    IF found_store IS NULL THEN
        SELECT g.store_id INTO found_store FROM guide g WHERE g.tenant_id = tenant AND g.guide_id = of_guide;
    END IF;
    RETURN found_store;
END $$;

-- Whether a day of a guide is in reach; `setting` is stores or binds.
CREATE FUNCTION day_in_reach(of_guide uuid, on_day date, setting text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS
    $$ SELECT stood_in(of_guide, on_day) = ANY (reach(setting)) $$;

-- Where a guide who moved stands now: once what has to move has moved.
CREATE FUNCTION stands_in(of_guide uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT CASE WHEN p.settled_at IS NULL THEN coalesce(p.before_store_id, p.store_id)
                ELSE coalesce(p.store_id, p.before_store_id) END
    FROM guide_posting p
    WHERE p.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND p.guide_id = of_guide
      AND p.superseded_at IS NULL AND p.from_at <= asked_at()
    ORDER BY p.from_on DESC, p.version DESC LIMIT 1
$$;

-- Whether an item of a guide is. An open one of a plan that goes on is where she stands; another one where she stood when
-- it was last reported, or else made.
CREATE FUNCTION item_in_reach(of_guide uuid, of_plan text, state text, last_attempt_on date, known_at timestamptz,
                              setting text)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF state = 'open' AND EXISTS (SELECT FROM plan p WHERE p.tenant_id = tenant AND p.plan_id = of_plan
                                  AND p.ended_at IS NULL) THEN
        RETURN coalesce(stands_in(of_guide) = ANY (reach(setting)), false);
    END IF;
    RETURN day_in_reach(of_guide, coalesce(last_attempt_on, (
        SELECT (item_in_reach.known_at AT TIME ZONE s.time_zone)::date FROM guide g
        JOIN store s ON s.tenant_id = tenant AND s.store_id = g.store_id
        WHERE g.tenant_id = tenant AND g.guide_id = of_guide)), setting);
END $$;

-- Whether a guide's part in a cycle is: where she stands while it runs, or stood when it or its plan ended.
CREATE FUNCTION cycle_in_reach(of_guide uuid, of_plan text, of_cycle integer, setting text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT coalesce((
        SELECT CASE WHEN p.ended_at IS NULL AND c.ends_on >= (asked_at() AT TIME ZONE c.time_zone)::date
               THEN stands_in(of_guide) = ANY (reach(setting))
               ELSE day_in_reach(of_guide, least(c.ends_on, (p.ended_at AT TIME ZONE c.time_zone)::date), setting) END
        FROM plan_cycle c JOIN plan p ON p.tenant_id = c.tenant_id AND p.plan_id = c.plan_id
        WHERE c.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
          AND c.plan_id = of_plan AND c.cycle = of_cycle), false)
$$;

-- Whether one of these guides serves a member: in a cycle that is not settled, of a plan that has not ended; two days more,
-- for what is reported late (domain/check_in.py: LATE_GRACE after the day's close). Whoever stands elsewhere since does not
-- bring them along: not those of a cycle that was over before, nor those who stay with the store and have not moved yet.
CREATE FUNCTION served_by(wanted uuid, setting text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    at timestamptz := asked_at();
BEGIN
    RETURN EXISTS (
        SELECT FROM plan_member p
        JOIN plan_cycle c ON c.tenant_id = tenant AND c.plan_id = p.plan_id AND c.cycle = p.cycle
        JOIN plan l ON l.tenant_id = tenant AND l.plan_id = p.plan_id
        WHERE p.tenant_id = tenant AND p.member_id = wanted AND p.guide_id = ANY (reach(setting))
          AND c.state <> 'settled' AND (l.ended_at IS NULL OR l.ended_at > at - interval '2 days')
          AND NOT EXISTS (
              SELECT FROM guide_posting g
              WHERE g.tenant_id = tenant AND g.guide_id = p.guide_id AND g.superseded_at IS NULL
                AND g.before_store_id IS NOT NULL AND g.from_at <= at
                AND (g.from_on > c.ends_on OR greatest(g.from_at, g.decided_at) >= l.ended_at
                     OR g.settled_at IS NULL AND g.before_store_id = (
                         SELECT m.home_store_id FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted))));
END $$;

-- Whether a member is the asker's: at home in a store in reach, or served by a guide in reach.
CREATE OR REPLACE FUNCTION sees_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('stores')))
        OR served_by(wanted, 'guides');
END $$;

-- Whether the asker works on a member: at home in a store they manage, or served by a guide they act for. Who sees every
-- member and manages one store works on those of that store.
CREATE OR REPLACE FUNCTION acts_for_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('binds')))
        OR served_by(wanted, 'acts_for');
END $$;

-- The rules of the streams, as the rules of the tables below.
CREATE OR REPLACE FUNCTION sees_stream(stream text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    part text[] := string_to_array(stream, '/');
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF part[1] = 'task' THEN
        RETURN EXISTS (SELECT FROM task t WHERE t.tenant_id = tenant AND t.task_id = part[2]::uuid
            AND (t.guide_id = ANY (reach('days')) OR t.plan_id = ANY (reach_plans('plans'))
                 OR t.guide_id = ANY (reach('moved'))
                    AND item_in_reach(t.guide_id, t.plan_id, t.state, t.last_attempt_on, t.known_at, 'stores')));
    ELSIF part[1] = 'guide-day' THEN
        RETURN part[2]::uuid = ANY (reach('days'))
            OR part[2]::uuid = ANY (reach('moved')) AND day_in_reach(part[2]::uuid, part[3]::date, 'stores');
    ELSIF part[1] = 'plan' THEN
        -- Its Checks, with every store's and guide's figures, are in it: whoever sees the whole campaign.
        RETURN part[2] = ANY (reach_plans('plans'));
    ELSIF part[1] = 'plan-member' THEN
        RETURN EXISTS (SELECT FROM plan_member m WHERE m.tenant_id = tenant AND m.plan_id = part[2]
            AND m.cycle = part[3]::integer AND m.member_id = part[4]::uuid
            AND (m.guide_id = ANY (reach('days')) OR m.plan_id = ANY (reach_plans('plans'))
                 OR m.guide_id = ANY (reach('moved')) AND cycle_in_reach(m.guide_id, m.plan_id, m.cycle, 'stores')));
    ELSIF part[1] = 'member' THEN
        RETURN sees_member(part[2]::uuid);
    ELSIF part[1] = 'account' THEN
        RETURN part[2]::uuid IS NOT DISTINCT FROM asker();
    END IF;
    RETURN false;
END $$;
CREATE OR REPLACE FUNCTION acts_on_stream(stream text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    part text[] := string_to_array(stream, '/');
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF part[1] = 'task' THEN
        RETURN EXISTS (SELECT FROM task t WHERE t.tenant_id = tenant AND t.task_id = part[2]::uuid
            AND (t.plan_id = ANY (reach_plans('steers')) OR t.guide_id = ANY (reach('acts_for'))
                 AND (t.guide_id = ANY (reach('days'))
                      OR item_in_reach(t.guide_id, t.plan_id, t.state, t.last_attempt_on, t.known_at, 'binds'))));
    ELSIF part[1] = 'guide-day' THEN
        RETURN part[2]::uuid = ANY (reach('acts_for')) AND (part[2]::uuid = ANY (reach('days'))
            OR day_in_reach(part[2]::uuid, part[3]::date, 'binds'));
    ELSIF part[1] = 'plan' OR part[1] = 'plan-member' THEN
        RETURN part[2] = ANY (reach_plans('steers'));
    ELSIF part[1] = 'member' THEN
        RETURN acts_for_member(part[2]::uuid);
    ELSIF part[1] = 'account' THEN
        RETURN part[2]::uuid IS NOT DISTINCT FROM writer() AND writer() IS NOT NULL OR EXISTS (
            SELECT FROM account a WHERE a.tenant_id = tenant AND a.account_id = part[2]::uuid
              AND gives_pin(a.account_id, a.guide_id));
    ELSIF part[1] = 'device' THEN
        RETURN EXISTS (SELECT FROM device d WHERE d.tenant_id = tenant AND d.device_id = part[2]::uuid
            AND d.store_id = ANY (reach('binds')));
    END IF;
    RETURN false;
END $$;

-- The Check of a cycle as far as the asker's stores and guides go: its figures are one document, so it is cut here.
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
                                   WHERE nullif(r->>'guide', '')::uuid = ANY (seen_guides)), '[]')) END
    FROM plan_check c
    WHERE c.tenant_id = tenant AND c.plan_id = wanted_plan AND c.cycle = wanted_cycle AND c.kind = wanted_kind
      AND (everything OR cardinality(seen) > 0);
END $$;

-- ---------------------------------------------------------------------------------------------
-- Rows the API may read and write, in place of the rules of 0003 and 0004 for these tables
-- ---------------------------------------------------------------------------------------------
DO $$
DECLARE
    my_days   CONSTANT text := 'guide_id = ANY ((SELECT reach(''days''))::uuid[])';
    my_moved  CONSTANT text := 'guide_id = ANY ((SELECT reach(''moved''))::uuid[])';
    my_known  CONSTANT text := 'guide_id = ANY ((SELECT reach(''known''))::uuid[])';
    my_work   CONSTANT text := 'guide_id = ANY ((SELECT reach(''acts_for''))::uuid[])';
    my_stores CONSTANT text := '%1$I = ANY ((SELECT reach(''stores''))::uuid[])';
    my_plans  CONSTANT text := 'plan_id = ANY ((SELECT reach_plans(''plans''))::text[])';
    my_steers CONSTANT text := 'plan_id = ANY ((SELECT reach_plans(''steers''))::text[])';
    in_campaign CONSTANT text := '(SELECT cardinality(reach_plans(''plans'')) > 0) AND EXISTS (SELECT FROM plan_member m
        WHERE m.tenant_id = %1$I.tenant_id AND m.guide_id = %1$I.guide_id
          AND m.plan_id = ANY ((SELECT reach_plans(''plans''))::text[]))';
    my_member CONSTANT text := 'EXISTS (SELECT FROM member m WHERE m.tenant_id = %1$I.tenant_id AND m.member_id = %1$I.member_id)';
    seen_if   CONSTANT text := my_days || ' OR ' || my_moved || ' AND %s';
    done_if   CONSTANT text := my_work || ' AND (' || my_days || ' OR %s)';
    dated     CONSTANT text := 'day_in_reach(guide_id, business_date, %L)';
    item      CONSTANT text := 'item_in_reach(guide_id, plan_id, state, last_attempt_on, known_at, %L)';
    cycle     CONSTANT text := 'cycle_in_reach(guide_id, plan_id, cycle, %L)';
    -- A table, who sees a row of it, who may write one; whoever sees or changes all is let through before.
    rules CONSTANT text[][] := ARRAY[
        ['store', 'store_id = ANY ((SELECT reach(''stores''))::uuid[]) OR EXISTS (SELECT FROM guide g
            WHERE g.tenant_id = store.tenant_id AND g.store_id = store.store_id
              AND (g.guide_id = ANY ((SELECT reach(''days''))::uuid[]) OR ' || format(in_campaign, 'g') || '))', 'false'],
        ['guide', my_known || ' OR ' || format(in_campaign, 'guide'), 'false'],
        ['guide_person', my_known || ' OR ' || format(in_campaign, 'guide_person'), 'false'],
        ['guide_posting', my_days || ' OR ' || format(my_stores, 'store_id') || ' OR '
            || format(my_stores, 'before_store_id'), 'false'],
        ['store_closing', 'EXISTS (SELECT FROM store s WHERE s.tenant_id = store_closing.tenant_id
            AND s.store_id = store_closing.store_id)', 'false'],
        ['member', 'home_store_id = ANY ((SELECT reach(''stores''))::uuid[]) OR served_by(member_id, ''guides'')', 'false'],
        ['member_note', format(my_member, 'member_note'), 'acts_for_member(member_id)'],
        -- Whose part in it one sees, by the rule of plan_member.
        ['plan', my_plans || ' OR EXISTS (SELECT FROM plan_member m
            WHERE m.tenant_id = plan.tenant_id AND m.plan_id = plan.plan_id
              AND m.guide_id = ANY ((SELECT reach(''known''))::uuid[]))', my_steers],
        ['plan_member', format(seen_if, format(cycle, 'stores')) || ' OR ' || my_plans,
            format(done_if, format(cycle, 'binds')) || ' OR ' || my_steers],
        ['task', format(seen_if, format(item, 'stores')) || ' OR ' || my_plans,
            format(done_if, format(item, 'binds')) || ' OR ' || my_steers],
        ['check_in', format(seen_if, format(dated, 'stores')) || ' OR ' || my_plans, format(done_if, format(dated, 'binds'))],
        ['guide_day', format(seen_if, format(dated, 'stores')), format(done_if, format(dated, 'binds'))],
        ['list_item', format(seen_if, format(dated, 'stores')), format(done_if, format(dated, 'binds'))]
    ];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER POLICY asker_sees ON %I USING ((SELECT sees_all()) OR ', rule[1]) || rule[2] || ')';
        EXECUTE format('ALTER POLICY asker_adds ON %I WITH CHECK ((SELECT changes_all()) OR ', rule[1]) || rule[3] || ')';
        EXECUTE format('ALTER POLICY asker_changes ON %I USING ((SELECT changes_all()) OR ', rule[1]) || rule[3] || ')';
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION apply_staff_changes_in_passing, guides_due, asked_at, stood_in, stands_in, day_in_reach, item_in_reach, cycle_in_reach, served_by FROM PUBLIC;
GRANT EXECUTE ON FUNCTION apply_staff_changes_in_passing, asked_at, day_in_reach, item_in_reach, cycle_in_reach, served_by, acts_for_member
    TO daogou_api, daogou_worker;
RESET ROLE;
RESET search_path;
