-- Complaints: a case each, with a deadline; while one is unfinished its member is not contacted otherwise. Members going cold. Pictures.
-- Safe beside the version before, but for this: a process of that version opens no case for a complaint it takes while both run, and
-- erases no picture. End it before guides report, or enter such a complaint anew (`audit exceptions` lists nothing of it).
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- Folded from the streams case/{case} and nothing else (ledger/folding/complaints.py). Nothing personal.
CREATE TABLE complaint_case (
    tenant_id     integer NOT NULL,
    case_id       uuid NOT NULL,
    member_id     uuid NOT NULL,
    task_id       uuid NOT NULL,
    report        integer NOT NULL,           -- version of the check-in it rests on
    plan_id       text NOT NULL COLLATE "C",
    guide_id      uuid NOT NULL,              -- who reported it
    business_date date NOT NULL,
    opened_at     timestamptz NOT NULL,
    deadline_at   timestamptz NOT NULL,
    state         text NOT NULL CHECK (state IN ('open', 'answered', 'closed', 'withdrawn')),
    answered_at   timestamptz,
    ended_at      timestamptz,
    resolution    text COLLATE "C",
    PRIMARY KEY (tenant_id, case_id)
);
CREATE INDEX complaint_case_of_member ON complaint_case (tenant_id, member_id, opened_at);
-- Who must not be contacted, and what waits for an answer: both stay as small as the day's trouble.
CREATE INDEX complaint_case_unfinished ON complaint_case (tenant_id, member_id) WHERE state IN ('open', 'answered');
CREATE INDEX complaint_case_by_deadline ON complaint_case (tenant_id, deadline_at, case_id);
CREATE INDEX complaint_case_of_item ON complaint_case (tenant_id, task_id);

ALTER TABLE complaint_case ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON complaint_case USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- As the day of who reported it; and whoever sees the member sees that they complain.
CREATE POLICY asker_sees ON complaint_case AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR guide_id = ANY ((SELECT reach('days'))::uuid[]) OR EXISTS (SELECT FROM member m
            WHERE m.tenant_id = complaint_case.tenant_id AND m.member_id = complaint_case.member_id)
        OR guide_id = ANY ((SELECT reach('moved'))::uuid[]) AND day_in_reach(guide_id, business_date, 'stores'));
CREATE POLICY asker_adds ON complaint_case AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON complaint_case AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON complaint_case AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));
GRANT SELECT, INSERT, UPDATE ON complaint_case TO daogou_worker, daogou_api;
GRANT SELECT ON complaint_case TO daogou_reader;

-- Items of members who are going cold, and since when nobody has spoken to them; read beside the item, and as it is.
CREATE TABLE cold_item (
    tenant_id    integer NOT NULL,
    task_id      uuid NOT NULL,
    silent_since timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, task_id)
);
ALTER TABLE cold_item ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON cold_item USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
CREATE POLICY asker_sees ON cold_item AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR EXISTS (SELECT FROM task t WHERE t.tenant_id = cold_item.tenant_id
        AND t.task_id = cold_item.task_id));
CREATE POLICY asker_adds ON cold_item AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON cold_item AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON cold_item AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));
GRANT SELECT, INSERT ON cold_item TO daogou_worker, daogou_api;
GRANT SELECT ON cold_item TO daogou_reader;

-- Pictures that prove something: what is known of them is folded from the streams picture/{picture}, their contents lie beside,
-- sealed under the member's key, or, where there are several on it, under one of their own.
CREATE TABLE picture (
    tenant_id     integer NOT NULL,
    picture_id    uuid NOT NULL,
    kind          text NOT NULL COLLATE "C" CHECK (kind IN ('evidence', 'sheet')),
    sha256        text NOT NULL COLLATE "C",
    media_type    text NOT NULL COLLATE "C",
    size          integer NOT NULL,
    guide_id      uuid NOT NULL,              -- whose day it is of
    business_date date NOT NULL,
    task_id       uuid,
    member_id     uuid,                       -- null: several
    kept_at       timestamptz NOT NULL,
    erased_at     timestamptz,
    PRIMARY KEY (tenant_id, picture_id)
);
CREATE INDEX picture_of_day ON picture (tenant_id, guide_id, business_date);
CREATE INDEX picture_of_member ON picture (tenant_id, member_id) WHERE member_id IS NOT NULL;
CREATE TABLE picture_content (
    tenant_id  integer NOT NULL,
    picture_id uuid NOT NULL,
    sealed     bytea NOT NULL,
    PRIMARY KEY (tenant_id, picture_id)
);
ALTER TABLE picture_content ALTER COLUMN sealed SET STORAGE EXTERNAL; -- nothing to be compressed
ALTER TABLE picture ENABLE ROW LEVEL SECURITY;
ALTER TABLE picture_content ENABLE ROW LEVEL SECURITY;
-- As the day it is of.
CREATE POLICY asker_sees ON picture AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR guide_id = ANY ((SELECT reach('days'))::uuid[])
        OR guide_id = ANY ((SELECT reach('moved'))::uuid[]) AND day_in_reach(guide_id, business_date, 'stores'));
CREATE POLICY asker_sees ON picture_content AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR EXISTS (SELECT FROM picture p WHERE p.tenant_id = picture_content.tenant_id
        AND p.picture_id = picture_content.picture_id));
DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['picture', 'picture_content'] LOOP
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', kept);
        EXECUTE format('CREATE POLICY asker_adds ON %I AS RESTRICTIVE FOR INSERT TO daogou_api '
            'WITH CHECK ((SELECT changes_all()))', kept);
        EXECUTE format('CREATE POLICY asker_changes ON %I AS RESTRICTIVE FOR UPDATE TO daogou_api '
            'USING ((SELECT changes_all()))', kept);
        EXECUTE format('CREATE POLICY asker_deletes ON %I AS RESTRICTIVE FOR DELETE TO daogou_api '
            'USING ((SELECT changes_all()))', kept);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON picture TO daogou_worker, daogou_api;
GRANT SELECT, INSERT ON picture_content TO daogou_worker, daogou_api;
GRANT SELECT ON picture TO daogou_reader;
-- The contents of pictures that a member was on, gone for good.
CREATE FUNCTION erase_pictures(pictures uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    PERFORM check_may_change_members();
    DELETE FROM picture_content c WHERE c.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
        AND c.picture_id = ANY (pictures);
END $$;
REVOKE EXECUTE ON FUNCTION erase_pictures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_pictures TO daogou_api, daogou_worker;

-- sees_stream() of 0007, with the streams of cases.
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
    ELSIF part[1] = 'case' THEN
        RETURN EXISTS (SELECT FROM complaint_case c WHERE c.tenant_id = tenant AND c.case_id = part[2]::uuid
            AND (c.guide_id = ANY (reach('days')) OR sees_member(c.member_id)
                 OR c.guide_id = ANY (reach('moved')) AND day_in_reach(c.guide_id, c.business_date, 'stores')));
    ELSIF part[1] = 'picture' THEN
        RETURN EXISTS (SELECT FROM picture p WHERE p.tenant_id = tenant AND p.picture_id = part[2]::uuid
            AND (p.guide_id = ANY (reach('days'))
                 OR p.guide_id = ANY (reach('moved')) AND day_in_reach(p.guide_id, p.business_date, 'stores')));
    ELSIF part[1] = 'account' THEN
        RETURN part[2]::uuid IS NOT DISTINCT FROM asker();
    END IF;
    RETURN false;
END $$;

-- items_to_report() of 0020, which tells whether a complaint of the member's waited when it occurred: the last column.
DROP FUNCTION items_to_report(bytea[], timestamptz[], text[], uuid[], text[], timestamptz[], text[]);
-- Without `shown`: for whoever stands on the connection, `command` being whole. With it: each is asked by whom it names, who
-- is signed on for it alone, and a command is its asker's own. `products` are arrays as text.
CREATE FUNCTION items_to_report(shown bytea[], asked timestamptz[], changing text[], items uuid[], commands text[],
                                occurred timestamptz[], products text[])
RETURNS TABLE (place integer, account_id uuid, asker_guide uuid, credential_id uuid, kind text, rights text[], csrf bytea,
               must_change boolean, asker_device uuid, roles text[], sees_all boolean, changes_all boolean,
               guides uuid[], acts_for uuid[], stores uuid[], binds uuid[], plans text[], steers text[],
               plan_id text, cycle integer, member_id uuid, guide_id uuid, state text, due_on date, attempts integer,
               last_attempt_on date, made_at timestamptz, ends_on date, grade text, dial_days integer, last_dial_on date,
               last_reached_at timestamptz, on_day date, time_zone text, store text, store_zone text,
               region text, said text, spec text, later_cycle boolean, while_paused boolean,
               plan_status text, ended_at timestamptz, opted_out boolean, version integer, hash bytea, phone_agreed boolean,
               attempted_that_day boolean, dialled_that_day boolean, closes_at timestamptz, day_closed boolean,
               done_stream text, done_version integer, categories text[], complaint_open boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    worker boolean := coalesce(current_setting('role', true) = 'daogou_worker', false);
    who record;
    named text;
    item task;
    one item_in_sight;
    in_sight item_in_sight[] := '{}';
BEGIN
    IF shown IS NOT NULL THEN
        -- Staff changes whose day has begun come first, as before every sign-on.
        PERFORM apply_staff_changes_in_passing((SELECT max(a) FROM unnest(asked) a));
    END IF;
    FOR i IN 1 .. cardinality(items) LOOP
        one := NULL;
        named := commands[i];
        IF shown IS NOT NULL THEN
            SELECT s.* INTO who FROM sign_on(shown[i], asked[i], changing) s;
            CONTINUE WHEN NOT FOUND;
            named := 'check-in/' || who.account_id || '/' || commands[i];
            one := ROW(i, who.account_id, who.guide_id, who.credential_id, who.kind, who.rights, who.csrf, who.must_change,
                who.device_id, who.roles, who.sees_all, who.changes_all, who.guides, who.acts_for, who.stores, who.binds,
                who.plans, who.steers, items[i], named, occurred[i], products[i]);
        ELSE
            one.place := i;
            one.wanted := items[i];
            one.command := named;
            one.occurred := occurred[i];
            one.products := products[i];
        END IF;
        SELECT t.* INTO item FROM task t WHERE t.tenant_id = tenant AND t.task_id = items[i];
        IF FOUND AND (worker OR coalesce(item.guide_id = ANY (reach('days')), false) OR coalesce(sees_all(), false)
                      OR coalesce(item.plan_id = ANY (reach_plans('plans')), false)
                      OR coalesce(item.guide_id = ANY (reach('moved')) AND item_in_reach(item.guide_id, item.plan_id,
                             item.state, item.last_attempt_on, item.known_at, 'stores'), false)) THEN
            in_sight := in_sight || one;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT s.place, s.account_id, s.asker_guide, s.credential_id, s.kind, s.rights, s.csrf, s.must_change, s.asker_device,
           s.roles, s.sees_all, s.changes_all, s.guides, s.acts_for, s.stores, s.binds, s.plans, s.steers,
           t.plan_id, t.cycle, t.member_id, t.guide_id, t.state, t.due_on, t.attempts, t.last_attempt_on, t.known_at,
           c.ends_on, pm.grade, pm.dial_days, pm.last_dial_on, pm.last_reached_at, z.on_day, z.time_zone,
           w.code, w.time_zone, w.region, (SELECT jsonb_object_agg(k.scope, k.facts)::text FROM calendar_layer k
               WHERE k.tenant_id = tenant
                 AND (k.scope, k.subject) IN (('brand', ''), ('region', w.region), ('store', w.store_id::text))),
           p.spec::text,
           p.cycle > t.cycle, s.occurred <@ p.paused, p.status, p.ended_at,
           coalesce(m.opted_out_at <= s.occurred, false), h.version, h.hash,
           (SELECT a.given FROM consent a WHERE a.tenant_id = tenant AND a.member_id = t.member_id
                AND a.purpose = 'phone' AND a.occurred_at <= s.occurred
            ORDER BY a.occurred_at DESC, a.known_at DESC, a.version DESC LIMIT 1),
           -- In an order that one index has, and behind OFFSET 0: while the table is empty any index would do.
           EXISTS (SELECT FROM (SELECT o.business_date FROM check_in o WHERE o.tenant_id = tenant AND o.task_id = t.task_id
                   ORDER BY o.version OFFSET 0) o WHERE o.business_date = z.on_day),
           EXISTS (SELECT FROM (SELECT o.business_date, o.reached FROM check_in o WHERE o.tenant_id = tenant
                   AND o.plan_id = t.plan_id AND o.cycle = t.cycle AND o.member_id = t.member_id
                   ORDER BY o.occurred_at OFFSET 0) o
                   WHERE o.business_date = z.on_day AND NOT o.reached),
           d.closes_at, coalesce(d.state = 'closed', false), k.stream, k.version,
           CASE WHEN s.products = '{}' THEN '{}' ELSE ARRAY(
               SELECT y.name FROM category y WHERE y.tenant_id = tenant AND y.name = ANY (s.products::text[])) END,
           EXISTS (SELECT FROM (SELECT q.opened_at, q.ended_at, q.state FROM complaint_case q WHERE q.tenant_id = tenant
                   AND q.member_id = t.member_id ORDER BY q.opened_at OFFSET 0) q
                   WHERE q.state <> 'withdrawn' AND q.opened_at < s.occurred
                     AND (q.ended_at IS NULL OR q.ended_at > s.occurred))
    FROM unnest(in_sight) s
    CROSS JOIN LATERAL (SELECT * FROM task t WHERE t.tenant_id = tenant AND t.task_id = s.wanted OFFSET 0) t
    CROSS JOIN LATERAL (SELECT * FROM plan p WHERE p.tenant_id = tenant AND p.plan_id = t.plan_id OFFSET 0) p
    CROSS JOIN LATERAL (SELECT c.ends_on FROM plan_cycle c
        WHERE c.tenant_id = tenant AND c.plan_id = t.plan_id AND c.cycle = t.cycle OFFSET 0) c
    CROSS JOIN LATERAL (SELECT * FROM plan_member pm WHERE pm.tenant_id = tenant AND pm.plan_id = t.plan_id
        AND pm.cycle = t.cycle AND pm.member_id = t.member_id OFFSET 0) pm
    CROSS JOIN LATERAL (SELECT m.opted_out_at FROM member m
        WHERE m.tenant_id = tenant AND m.member_id = t.member_id OFFSET 0) m
    CROSS JOIN LATERAL (SELECT g.store_id FROM guide g WHERE g.tenant_id = tenant AND g.guide_id = t.guide_id OFFSET 0) g
    CROSS JOIN LATERAL (SELECT x.store_id, x.code, x.time_zone, x.region FROM store x
        WHERE x.tenant_id = tenant AND x.store_id = g.store_id OFFSET 0) w
    -- The day is that of where she stood then; her calendar that of where she stands.
    CROSS JOIN LATERAL (SELECT a.on_day, a.time_zone FROM day_at(t.guide_id, s.occurred) a
        WHERE a.on_day IS NOT NULL OFFSET 0) z
    CROSS JOIN LATERAL (SELECT h.version, h.hash FROM stream_head h
        WHERE h.tenant_id = tenant AND h.stream = 'task/' || t.task_id OFFSET 0) h
    LEFT JOIN LATERAL (SELECT d.closes_at, d.state FROM guide_day d WHERE d.tenant_id = tenant AND d.guide_id = t.guide_id
        AND d.business_date = z.on_day OFFSET 0) d ON true
    LEFT JOIN LATERAL (SELECT k.stream, k.version FROM command k
        WHERE k.tenant_id = tenant AND k.command_id = s.command OFFSET 0) k
        -- By the rule of command; one's own is named by one's account.
        ON worker OR s.account_id IS NOT NULL OR sees_all() OR k.stream = 'task/' || t.task_id
           OR strpos(s.command, asker()::text) > 0 OR sees_stream(k.stream) OR acts_on_stream(k.stream);
END $$;
REVOKE EXECUTE ON FUNCTION items_to_report FROM PUBLIC;
GRANT EXECUTE ON FUNCTION items_to_report TO daogou_api, daogou_worker;
RESET ROLE;
RESET search_path;
