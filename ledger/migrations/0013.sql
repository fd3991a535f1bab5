-- Whether a record holds is the same for whoever asks; a day of a guide is that of the store where she stood on it, and so
-- is the right to change it once it is closed.
-- Safe beside the version before: only functions, each with its name and its arguments; what is new has a name of its
-- own. It locks no table and rewrites nothing.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- ---------------------------------------------------------------------------------------------
-- Records of other systems
-- ---------------------------------------------------------------------------------------------
-- Whether a later revision of a record was known by then, whoever asks: it may be of a member out of their reach.
CREATE FUNCTION record_superseded(of_source text, of_kind text, of_key text, of_revision bigint, as_of timestamptz)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM system_record l
        WHERE l.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer AND l.source = of_source
          AND l.kind = of_kind AND l.key = of_key AND l.revision > of_revision AND l.known_at <= as_of);
END $$;

-- As of 0009, and of what is not seen as well. Whoever sees every record asks no function a row.
CREATE OR REPLACE FUNCTION valid_records(as_of timestamptz) RETURNS SETOF system_record LANGUAGE sql STABLE AS $$
    SELECT r.* FROM system_record r
    WHERE NOT r.voided AND r.known_at <= as_of AND NOT EXISTS (
        SELECT FROM system_record l WHERE l.tenant_id = r.tenant_id AND l.source = r.source AND l.kind = r.kind
          AND l.key = r.key AND l.revision > r.revision AND l.known_at <= as_of)
      AND ((SELECT current_user <> 'daogou_api' OR coalesce(sees_all(), false))
           OR NOT record_superseded(r.source, r.kind, r.key, r.revision, as_of))
$$;

-- ---------------------------------------------------------------------------------------------
-- The day of a guide that an instant belongs to
-- ---------------------------------------------------------------------------------------------
-- Of her lists the one whose day it is, in the zone it was cut for; of two, where she went east, the one that is open,
-- else the earlier. Without a list the date where she stood: a transfer counts from its first instant, or from
-- the first whole day after it was decided (`stood_in`). Null: there is no such guide.
CREATE FUNCTION day_at(of_guide uuid, at timestamptz, OUT on_day date, OUT time_zone text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    found_store uuid;
BEGIN
    SELECT d.business_date, d.time_zone INTO on_day, time_zone FROM guide_day d
    WHERE d.tenant_id = tenant AND d.guide_id = of_guide
      AND d.business_date BETWEEN (at AT TIME ZONE 'UTC')::date - 1 AND (at AT TIME ZONE 'UTC')::date + 1
      AND (at AT TIME ZONE d.time_zone)::date = d.business_date
    ORDER BY at BETWEEN d.opens_at AND d.closes_at DESC, d.business_date LIMIT 1;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT coalesce(p.store_id, p.before_store_id) INTO found_store FROM guide_posting p
    WHERE p.tenant_id = tenant AND p.guide_id = of_guide AND p.superseded_at IS NULL
      AND p.from_at + greatest(ceil(extract(epoch FROM p.decided_at - p.from_at) / 86400), 0) * interval '1 day' <= at
    ORDER BY p.from_on DESC, p.version DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT coalesce(p.before_store_id, p.store_id) INTO found_store FROM guide_posting p
        WHERE p.tenant_id = tenant AND p.guide_id = of_guide AND p.superseded_at IS NULL
        ORDER BY p.from_on, p.version LIMIT 1;
    END IF;
    SELECT s.time_zone INTO time_zone FROM guide g
    JOIN store s ON s.tenant_id = tenant AND s.store_id = coalesce(found_store, g.store_id)
    WHERE g.tenant_id = tenant AND g.guide_id = of_guide;
    on_day := (at AT TIME ZONE time_zone)::date;
END $$;

CREATE OR REPLACE FUNCTION record_in_reach(of_guide uuid, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS
    $$ SELECT day_in_reach(of_guide, (SELECT d.on_day FROM day_at(of_guide, at) d), 'stores') $$;

CREATE OR REPLACE FUNCTION item_in_reach(of_guide uuid, of_plan text, state text, last_attempt_on date, known_at timestamptz,
                              setting text)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF state = 'open' AND EXISTS (SELECT FROM plan p WHERE p.tenant_id = tenant AND p.plan_id = of_plan
                                  AND p.ended_at IS NULL) THEN
        RETURN coalesce(stands_in(of_guide) = ANY (reach(setting)), false);
    END IF;
    RETURN day_in_reach(of_guide, coalesce(last_attempt_on,
        (SELECT d.on_day FROM day_at(of_guide, item_in_reach.known_at) d)), setting);
END $$;

-- ---------------------------------------------------------------------------------------------
-- Who may change closed days
-- ---------------------------------------------------------------------------------------------
-- Besides the settings of 0003 and 0007:
-- daogou.amends      stores whose closed days may be changed: those of a supervisor's region
-- daogou.amends_all  'all' or empty: every store's
-- Neither on a bound phone, by PIN, where a supervisor is none, nor by a token without that right (domain/policy.py:
-- AMEND_CLOSED_DAY).
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
           set_config('daogou.amends', '{}', false), set_config('daogou.amends_all', changes, false),
           set_config('daogou.writes', '', false),
           set_config('daogou.stood', coalesce(current_setting('daogou.tenant', true), ''), false);
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
    amends_days boolean;
    amends uuid[];
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
    amends_days := rights IS NULL OR 'closed_day.amend' = ANY (rights);
    changes_all := changes_all AND writes;
    SELECT coalesce(array_agg(DISTINCT s.store_id), '{}'),
           coalesce(array_agg(DISTINCT s.store_id) FILTER (WHERE g.role = 'store_manager'), '{}'),
           coalesce(array_agg(DISTINCT s.store_id) FILTER (WHERE g.role = 'supervisor' AND amends_days), '{}')
    INTO stores, binds, amends
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
    PERFORM set_config('daogou.writes', CASE WHEN writes THEN 'yes' ELSE '' END, false),
            set_config('daogou.amends', amends::text, false),
            set_config('daogou.amends_all', CASE WHEN changes_all AND amends_days THEN 'all' ELSE '' END, false);
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

-- As of 0010, by the day that is reported on. `works`: what a guide did before she came is not her new manager's to enter.
-- `amends`: the day belongs to a store whose closed days the asker may change. `on_day` null: any day of hers.
CREATE FUNCTION rights_over(of_task uuid, of_guide uuid, on_day date, OUT works boolean, OUT amends boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    held boolean;
    always boolean := of_guide = ANY (reach('days'));
BEGIN
    IF current_setting('role', true) = 'daogou_worker' THEN
        works := true;
        amends := true;
        RETURN;
    END IF;
    works := coalesce(changes_all(), false);
    amends := works AND current_setting('daogou.amends_all', true) = 'all';
    IF works OR writer() IS NULL THEN
        RETURN;
    END IF;
    held := EXISTS (SELECT FROM event e WHERE e.tenant_id = tenant AND e.stream = 'task/' || of_task
                    AND e.type IN ('task_created', 'task_reassigned') AND e.payload->>'guide' = of_guide::text);
    works := of_guide = ANY (reach('acts_for')) AND (held OR sees_stream('task/' || of_task))
        AND (always OR on_day IS NULL OR coalesce(day_in_reach(of_guide, on_day, 'binds'), false));
    amends := held AND CASE
        WHEN on_day IS NOT NULL THEN coalesce(day_in_reach(of_guide, on_day, 'amends'), false)
        ELSE always AND EXISTS (SELECT FROM guide g WHERE g.tenant_id = tenant AND g.guide_id = of_guide
                                AND g.store_id = ANY (reach('amends'))) END;
END $$;

-- For the version before, which names no day: only where all of her days are the asker's.
CREATE OR REPLACE FUNCTION rights_over(of_task uuid, of_guide uuid, OUT works boolean, OUT amends boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS
    $$ SELECT works, amends FROM rights_over(of_task, of_guide, NULL::date) $$;

REVOKE EXECUTE ON FUNCTION record_superseded, day_at, rights_over(uuid, uuid, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_superseded TO daogou_worker, daogou_api, daogou_reader;
GRANT EXECUTE ON FUNCTION day_at, rights_over(uuid, uuid, date) TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
