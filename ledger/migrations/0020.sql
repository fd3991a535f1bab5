-- Check-ins at the speed of the database: functions of the owner's that hold an item against its asker's reach once, by the
-- rules of the tables, and then read and write by key, for one or for several askers at a time; the door's statements as
-- functions, for them and for everybody.
-- Safe beside the version before: functions are added, and sign_on() keeps its name and its answer.
--
-- Statements here find rows by key whatever is asked, so each is planned once a session, and in this order: weighing a plan
-- for these very arrays took four times as long as the statement, and where a table was empty when it was planned, it was
-- read from end to end ever after. So what is updated is looked up by its key first, behind OFFSET 0, and updated in its place.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- ---------------------------------------------------------------------------------------------
-- The door (ledger/door.py): claims the commands, moves the heads by compare-and-set, appends, queues; all or nothing. Twice,
-- of one text: append_events() for whoever calls, held by row-level security, and append_events_held() for functions of the
-- owner's that have held the asker themselves. They are two because a statement is planned for one role: called in turns by
-- both, a session would plan each of them anew each time.
-- ---------------------------------------------------------------------------------------------
DO $do$
DECLARE
    door text;
BEGIN
    FOREACH door IN ARRAY ARRAY['append_events', 'append_events_held'] LOOP
        EXECUTE format($door$
CREATE FUNCTION %I(tenant integer, commands text[], claimed_at timestamptz[], changed text[], changed_to integer[],
    heads text[], expected integer[], previous bytea[], head_versions integer[], head_hashes bytea[],
    streams text[], versions integer[], occurred timestamptz[], known timestamptz[], actors text[], performers text[],
    causes text[], types text[], shapes smallint[], bodies bytea[], hashes bytea[], payloads text[])
RETURNS integer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    wrote integer;
    moved integer := 0;
BEGIN
    INSERT INTO command (tenant_id, command_id, known_at, stream, version)
    SELECT tenant, c.id, c.at, c.stream, c.version
    FROM unnest(commands, claimed_at, changed, changed_to) AS c (id, at, stream, version) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS wrote = ROW_COUNT;
    IF wrote < cardinality(commands) THEN
        RAISE EXCEPTION 'command already used' USING ERRCODE = 'DG002';
    END IF;
    IF 0 < ANY (expected) THEN
        UPDATE stream_head s SET version = h.version, hash = h.hash
        FROM unnest(heads, expected, previous, head_versions, head_hashes)
            AS h (stream, expected, previous, version, hash)
        CROSS JOIN LATERAL (SELECT k.ctid FROM stream_head k
            WHERE k.tenant_id = tenant AND k.stream = h.stream OFFSET 0) k
        WHERE s.ctid = k.ctid AND s.version = h.expected AND s.hash = h.previous AND h.expected > 0;
        GET DIAGNOSTICS moved = ROW_COUNT;
    END IF;
    IF 0 = ANY (expected) THEN
        INSERT INTO stream_head (tenant_id, stream, version, hash)
        SELECT tenant, h.stream, h.version, h.hash
        FROM unnest(heads, expected, head_versions, head_hashes) AS h (stream, expected, version, hash)
        WHERE h.expected = 0 ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS wrote = ROW_COUNT;
        moved := moved + wrote;
    END IF;
    IF moved < cardinality(heads) THEN
        RAISE EXCEPTION 'stream moved on' USING ERRCODE = 'DG001';
    END IF;
    INSERT INTO event (tenant_id, stream, version, occurred_at, known_at, actor, performed_by, cause, type,
                       schema_version, body, hash, payload)
    SELECT tenant, e.stream, e.version, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause, e.type, e.shape,
           e.body, e.hash, e.payload::jsonb
    FROM unnest(streams, versions, occurred, known, actors, performers, causes, types, shapes, bodies, hashes, payloads)
        WITH ORDINALITY AS e (stream, version, occurred_at, known_at, actor, performed_by, cause, type, shape, body, hash,
                              payload, n)
    ORDER BY e.n;
    INSERT INTO event_pending (tenant_id, stream, version, known_at)
    SELECT tenant, e.stream, e.version, e.known_at FROM unnest(streams, versions, known) AS e (stream, version, known_at)
    ORDER BY e.stream, e.version;
    RETURN cardinality(streams);
END $$ $door$, door);
    END LOOP;
END $do$;

-- ---------------------------------------------------------------------------------------------
-- What check-ins need to know of their items; no row: it is not there, or not in its asker's sight by the rule of task.
-- Everything else of it is read by key: whoever sees an item sees its plan, its member and its day.
-- ---------------------------------------------------------------------------------------------
-- An item somebody may look at: who that is, and what was asked of it.
CREATE TYPE item_in_sight AS (
    place integer, account_id uuid, asker_guide uuid, credential_id uuid, kind text, rights text[], csrf bytea,
    must_change boolean, asker_device uuid, roles text[], sees_all boolean, changes_all boolean, guides uuid[],
    acts_for uuid[], stores uuid[], binds uuid[], plans text[], steers text[],
    wanted uuid, command text, occurred timestamptz, products text);

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
               done_stream text, done_version integer, categories text[])
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
               SELECT y.name FROM category y WHERE y.tenant_id = tenant AND y.name = ANY (s.products::text[])) END
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

-- ---------------------------------------------------------------------------------------------
-- Appends check-ins and projects them, all or none. Raises DG002 where a command was used or what a decision rests on has
-- changed, and DG001 where an item has moved on.
-- ---------------------------------------------------------------------------------------------
-- Only for the functions below, which have held the asker. `was_…` are the member and the day as they were read, `told` the
-- payloads; where `hers`, the member has to be the guide's as well as the item, or the item lent to her.
CREATE FUNCTION write_check_ins(items uuid[], commands text[], known timestamptz[], occurred timestamptz[], actors text[],
    guides uuid[], plans text[], cycles integer[], members uuid[], days date[], expected integer[], previous bytea[],
    bodies bytea[], hashes bytea[], shapes smallint[], told text[], was_closed boolean[], was_grade text[],
    was_dial_days integer[], was_dialled_on date[], was_reached_at timestamptz[], notes uuid[], salts bytea[],
    sealed bytea[], hers boolean[])
RETURNS void LANGUAGE plpgsql SET search_path = daogou, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    wanted integer := cardinality(items);
    wrote integer;
    changed boolean;
    streams text[] := ARRAY(SELECT 'task/' || i FROM unnest(items) i);
    versions integer[] := ARRAY(SELECT e + 1 FROM unnest(expected) e);
    payloads jsonb[] := ARRAY(SELECT t::jsonb FROM unnest(told) t);
BEGIN
    -- The rows a decision rests on are locked and compared before anything is appended: the guide's day (it may just have
    -- been closed) and the member (another item of the same member may just have been reported, with a D).
    SELECT bool_or(d.closed <> d.was) INTO changed FROM (
        SELECT d.closed, w.was FROM unnest(guides, days, was_closed) AS w (guide, day, was)
        CROSS JOIN LATERAL (SELECT d.state = 'closed' AS closed FROM guide_day d WHERE d.tenant_id = tenant
            AND d.guide_id = w.guide AND d.business_date = w.day OFFSET 0 FOR SHARE) d) d;
    UPDATE plan_member m SET grade = w.payload->>'grade', dial_days = (w.payload->>'dial_days')::integer,
           last_dial_on = CASE WHEN (w.payload->>'reached')::boolean THEN m.last_dial_on
               ELSE greatest(m.last_dial_on, w.day) END,
           last_reached_at = CASE WHEN (w.payload->>'reached')::boolean THEN greatest(m.last_reached_at, w.at)
               ELSE m.last_reached_at END
    FROM unnest(items, plans, cycles, members, guides, hers, days, occurred, payloads, was_grade, was_dial_days,
                was_dialled_on, was_reached_at)
        AS w (item, plan, cycle, member, guide, hers, day, at, payload, grade, dial_days, last_dial_on, last_reached_at)
    CROSS JOIN LATERAL (SELECT k.ctid FROM plan_member k WHERE k.tenant_id = tenant AND k.plan_id = w.plan
        AND k.cycle = w.cycle AND k.member_id = w.member OFFSET 0) k
    WHERE m.ctid = k.ctid AND (NOT w.hers OR m.guide_id = w.guide OR (
          SELECT l.lent AND l.guide_id = w.guide FROM task l WHERE l.tenant_id = tenant AND l.task_id = w.item))
      AND m.grade IS NOT DISTINCT FROM w.grade AND m.dial_days = w.dial_days
      AND m.last_dial_on IS NOT DISTINCT FROM w.last_dial_on AND m.last_reached_at IS NOT DISTINCT FROM w.last_reached_at;
    GET DIAGNOSTICS wrote = ROW_COUNT;
    IF changed OR wrote < wanted THEN
        RAISE EXCEPTION 'day or member changed' USING ERRCODE = 'DG002';
    END IF;
    PERFORM append_events_held(tenant, commands, known, streams, versions, streams, expected, previous, versions, hashes,
        streams, versions, occurred, known, actors, ARRAY(SELECT g::text FROM unnest(guides) g), commands,
        array_fill('checked_in'::text, ARRAY[wanted]), shapes, bodies, hashes, told);
    UPDATE task t SET state = w.payload->>'state', due_on = (w.payload->>'due_on')::date,
           attempts = (w.payload->>'attempt')::integer, last_attempt_on = greatest(t.last_attempt_on, w.day),
           reason = CASE w.payload->>'state' WHEN 'unreached' THEN 'not_reached' END
    FROM unnest(items, plans, cycles, members, guides, days, payloads) AS w (item, plan, cycle, member, guide, day, payload)
    CROSS JOIN LATERAL (SELECT k.ctid FROM task k WHERE k.tenant_id = tenant AND k.task_id = w.item OFFSET 0) k
    WHERE t.ctid = k.ctid AND t.plan_id = w.plan AND t.cycle = w.cycle AND t.member_id = w.member AND t.guide_id = w.guide AND w.payload->>'plan' = w.plan
      AND (w.payload->>'cycle')::integer = w.cycle AND w.payload->>'member' = w.member::text;
    GET DIAGNOSTICS wrote = ROW_COUNT;
    IF wrote < wanted THEN
        RAISE EXCEPTION 'item moved on' USING ERRCODE = 'DG001';
    END IF;
    INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at,
                          business_date, channel, outcome, reached, grade, products, next_on, note_id, conflict,
                          device_id, evidence, skew_s)
    SELECT tenant, w.item, w.version, w.plan, w.cycle, w.member, w.guide, w.actor, w.at, w.known, w.day,
           w.payload->>'channel', w.payload->>'outcome', (w.payload->>'reached')::boolean, w.payload->>'grade',
           CASE WHEN w.payload->'products' = '[]' THEN '{}'
                ELSE ARRAY(SELECT jsonb_array_elements_text(w.payload->'products')) END,
           (w.payload->>'next_on')::date, w.note, nullif(w.payload->>'conflict', ''), (w.payload->>'device')::uuid,
           nullif(w.payload->>'evidence', ''), coalesce((w.payload->>'skew_s')::integer, 0)
    FROM unnest(items, versions, plans, cycles, members, guides, actors, occurred, known, days, payloads, notes)
        AS w (item, version, plan, cycle, member, guide, actor, at, known, day, payload, note);
    IF cardinality(array_remove(sealed, NULL)) > 0 THEN
        INSERT INTO member_note (tenant_id, note_id, member_id, salt_sealed, note_sealed)
        SELECT tenant, w.note, w.member, w.salt, w.sealed FROM unnest(notes, members, salts, sealed)
            AS w (note, member, salt, sealed)
        WHERE w.sealed IS NOT NULL;
    END IF;
END $$;

-- Whether whoever stands on the connection may report an item of a guide's on a day, by the rules of task, plan_member,
-- guide_day, check_in, stream_head, event, command and member_note for whoever writes, together. Null: no. True: as her own,
-- provided that item and member are hers; of herself and who never moved every day is in reach. False: whatever they are,
-- for each row was held against where she stood (0007).
CREATE FUNCTION reports_as_hers(item_id uuid, of_guide uuid, of_plan text, of_cycle integer, of_member uuid, on_day date,
                                with_note boolean)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    my_work uuid[];
    my_days uuid[];
    item task;
    served_by_guide uuid;
BEGIN
    IF current_setting('role', true) = 'daogou_worker' OR coalesce(changes_all(), false) THEN
        RETURN false;
    END IF;
    my_work := reach('acts_for');
    my_days := reach('days');
    IF writer() IS NULL OR NOT coalesce(of_guide = ANY (my_work), false)
       OR with_note AND NOT coalesce(acts_for_member(of_member), false) THEN
        RETURN NULL;
    END IF;
    IF of_guide = ANY (my_days) THEN
        RETURN true;
    END IF;
    SELECT t.* INTO item FROM task t WHERE t.tenant_id = tenant AND t.task_id = item_id;
    SELECT m.guide_id INTO served_by_guide FROM plan_member m
    WHERE m.tenant_id = tenant AND m.plan_id = of_plan AND m.cycle = of_cycle AND m.member_id = of_member;
    IF coalesce(item.guide_id = of_guide AND sees_stream('task/' || item_id) AND acts_on_stream('task/' || item_id)
                AND day_in_reach(of_guide, on_day, 'binds')
                AND (of_plan = ANY (reach_plans('steers')) OR item.lent OR served_by_guide = ANY (my_work)
                     AND (served_by_guide = ANY (my_days)
                          OR cycle_in_reach(served_by_guide, of_plan, of_cycle, 'binds'))), false) THEN
        RETURN false;
    END IF;
    RETURN NULL;
END $$;

-- Without `shown`: of whoever stands on the connection, all or none, raising what stands against it, 42501 where it is not
-- theirs to report. With it: each of whom it names, who signs on again for it alone: what one may is not what another may, and
-- what has ended since is ended. Gives for each what became of it: empty, or the code of what stood against it, which undoes
-- that one alone. All are tried at once; only where that fails, one after the other. Nobody waits for long: what is locked is
-- left to be reported alone, and so is what comes after it.
CREATE FUNCTION record_check_ins(shown bytea[], changing text[], items uuid[], commands text[], known timestamptz[],
    occurred timestamptz[], actors text[], guides uuid[], plans text[], cycles integer[], members uuid[], days date[],
    expected integer[], previous bytea[], bodies bytea[], hashes bytea[], shapes smallint[], told text[],
    was_closed boolean[], was_grade text[], was_dial_days integer[], was_dialled_on date[], was_reached_at timestamptz[],
    notes uuid[], salts bytea[], sealed bytea[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    wanted integer := cardinality(items);
    became text[] := array_fill(''::text, ARRAY[wanted]);
    hers boolean[] := array_fill(NULL::boolean, ARRAY[wanted]);
    who uuid;
    by_worker boolean := coalesce(current_setting('role', true) = 'daogou_worker', false);
    held boolean := false;
    waits text := current_setting('lock_timeout');
BEGIN
    FOR i IN 1 .. wanted LOOP
        IF shown IS NOT NULL THEN
            SELECT s.account_id INTO who FROM sign_on(shown[i], known[i], changing) s;
            CONTINUE WHEN who IS NULL;
        ELSE
            who := writer();
        END IF;
        -- In one's own name, under a command of one's own: nobody reports as another, or takes another's command id.
        CONTINUE WHEN NOT (shown IS NULL AND by_worker)
            AND NOT coalesce(actors[i] = 'account/' || who AND starts_with(commands[i], 'check-in/' || who || '/'), false);
        hers[i] := reports_as_hers(items[i], guides[i], plans[i], cycles[i], members[i], days[i], sealed[i] IS NOT NULL);
    END LOOP;
    IF shown IS NULL THEN
        IF array_position(hers, NULL) IS NOT NULL THEN
            RAISE EXCEPTION 'the item is not this asker''s to report' USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM write_check_ins(items, commands, known, occurred, actors, guides, plans, cycles, members, days, expected,
            previous, bodies, hashes, shapes, told, was_closed, was_grade, was_dial_days, was_dialled_on, was_reached_at,
            notes, salts, sealed, hers);
        RETURN became;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    IF array_position(hers, NULL) IS NULL THEN
        BEGIN
            PERFORM write_check_ins(items, commands, known, occurred, actors, guides, plans, cycles, members, days, expected,
                previous, bodies, hashes, shapes, told, was_closed, was_grade, was_dial_days, was_dialled_on,
                was_reached_at, notes, salts, sealed, hers);
            PERFORM set_config('lock_timeout', waits, true);
            RETURN became;
        EXCEPTION WHEN OTHERS THEN
            NULL; -- somebody's: found out below
        END;
    END IF;
    FOR i IN 1 .. wanted LOOP
        IF hers[i] IS NULL THEN
            became[i] := '42501';
            CONTINUE;
        END IF;
        IF held THEN -- the rows of those before are locked until the end: no more waiting with them
            became[i] := '55P03';
            CONTINUE;
        END IF;
        BEGIN
            PERFORM write_check_ins(items[i:i], commands[i:i], known[i:i], occurred[i:i], actors[i:i], guides[i:i],
                plans[i:i], cycles[i:i], members[i:i], days[i:i], expected[i:i], previous[i:i], bodies[i:i], hashes[i:i],
                shapes[i:i], told[i:i], was_closed[i:i], was_grade[i:i], was_dial_days[i:i], was_dialled_on[i:i],
                was_reached_at[i:i], notes[i:i], salts[i:i], sealed[i:i], hers[i:i]);
        EXCEPTION WHEN OTHERS THEN
            became[i] := SQLSTATE;
            held := SQLSTATE = '55P03';
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', waits, true);
    RETURN became;
END $$;

-- ---------------------------------------------------------------------------------------------
-- sign_on() of 0013, which asks only what may matter: of the stores where a role is of a place, of what is due where
-- something is.
-- ---------------------------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION sign_on(shown bytea, at timestamptz, changing text[])
RETURNS TABLE (account_id uuid, guide_id uuid, credential_id uuid, kind text, rights text[], csrf bytea,
               must_change boolean, device_id uuid, roles text[], sees_all boolean, changes_all boolean,
               guides uuid[], acts_for uuid[], stores uuid[], binds uuid[], plans text[], steers text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    writes boolean;
    amends_days boolean;
    amends uuid[] := '{}';
    placed boolean;
    myself uuid;
    moved uuid[] := '{}';
    due_guides uuid[] := '{}';
    due_stores uuid[] := '{}';
    phone_store uuid;
    on_phone CONSTANT text[] := ARRAY['guide', 'service_agent', 'store_manager'];
BEGIN
    SELECT c.account_id, a.guide_id, c.credential_id, c.kind, c.rights, c.csrf,
           -- A token proves itself; it was not given with the password that has to be changed.
           c.kind = 'session' AND CASE WHEN c.device_id IS NULL THEN a.must_change ELSE a.pin_must_change END, c.device_id
    INTO account_id, guide_id, credential_id, kind, rights, csrf, must_change, device_id
    FROM credential c JOIN account a ON a.tenant_id = c.tenant_id AND a.account_id = c.account_id
    LEFT JOIN device d ON d.tenant_id = c.tenant_id AND d.device_id = c.device_id
    WHERE c.tenant_id = tenant AND c.hash = shown AND c.ended_at IS NULL AND c.expires_at > at AND a.active
      AND (c.device_id IS NULL OR d.ended_at IS NULL AND d.bound_at > at - interval '180 days');
    IF NOT FOUND THEN
        PERFORM stand_as('', '', '', '{}', '{}', '{}', '{}', '{}', '{}');
        RETURN;
    END IF;
    -- What is due is in force already but for the time somebody else holds the staff: then it counts as if it were.
    IF EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = tenant AND p.applied_at IS NULL
               AND p.superseded_at IS NULL AND p.from_at <= at) THEN
        SELECT coalesce(array_agg(d.guide_id), '{}'), coalesce(array_agg(d.store_id), '{}') INTO due_guides, due_stores
        FROM guides_due(tenant, at) d;
    END IF;
    IF device_id IS NOT NULL OR due_guides <> '{}' THEN
        SELECT d.store_id INTO phone_store FROM device d WHERE d.tenant_id = tenant AND d.device_id = sign_on.device_id;
        IF EXISTS (SELECT FROM unnest(due_guides, due_stores) AS d (guide, store) WHERE d.guide = guide_id
                   AND (d.store IS NULL OR d.store <> phone_store))
           OR EXISTS (SELECT FROM store_closing c WHERE c.tenant_id = tenant AND c.store_id = phone_store
                      AND c.applied_at IS NULL AND c.from_at <= at) THEN
            PERFORM stand_as('', '', '', '{}', '{}', '{}', '{}', '{}', '{}');
            RETURN;
        END IF;
    END IF;
    SELECT coalesce(array_agg(DISTINCT g.role ORDER BY g.role), '{}'),
           coalesce(bool_or(g.role IN ('hq', 'owner', 'auditor')), false),
           coalesce(bool_or(g.role = 'hq'), false),
           coalesce(array_agg(DISTINCT g.place) FILTER (WHERE g.role = 'organiser'), '{}'),
           coalesce(bool_or(g.role IN ('supervisor', 'dealer', 'store_manager')), false)
    INTO roles, sees_all, changes_all, plans, placed
    FROM role_grant g WHERE g.tenant_id = tenant AND g.account_id = sign_on.account_id
      AND g.starts_at <= at AND (g.ends_at IS NULL OR g.ends_at > at)
      AND (device_id IS NULL OR g.role = ANY (on_phone));
    writes := rights IS NULL OR rights && changing;
    amends_days := rights IS NULL OR 'closed_day.amend' = ANY (rights);
    changes_all := changes_all AND writes;
    stores := '{}';
    binds := '{}';
    IF placed THEN
        SELECT coalesce(array_agg(DISTINCT s.store_id), '{}'),
               coalesce(array_agg(DISTINCT s.store_id) FILTER (WHERE g.role = 'store_manager'), '{}'),
               coalesce(array_agg(DISTINCT s.store_id) FILTER (WHERE g.role = 'supervisor' AND amends_days), '{}')
        INTO stores, binds, amends
        FROM role_grant g JOIN store s ON s.tenant_id = tenant AND CASE g.role WHEN 'supervisor' THEN s.region = g.place
            WHEN 'dealer' THEN s.dealer = g.place WHEN 'store_manager' THEN s.code = g.place END
        WHERE g.tenant_id = tenant AND g.account_id = sign_on.account_id
          AND g.starts_at <= at AND (g.ends_at IS NULL OR g.ends_at > at)
          AND (device_id IS NULL OR g.role = ANY (on_phone));
    END IF;
    myself := CASE WHEN roles && ARRAY['guide', 'service_agent'] THEN guide_id END;
    IF stores = '{}' THEN
        guides := ARRAY(SELECT g.guide_id FROM guide g WHERE g.tenant_id = tenant AND g.guide_id = myself
                        AND (g.active OR g.guide_id = ANY (due_guides)));
        acts_for := guides;
    ELSE
        SELECT coalesce(array_agg(u.guide_id), '{}'), coalesce(array_agg(u.guide_id) FILTER (WHERE u.acts), '{}')
        INTO guides, acts_for
        FROM (
            SELECT g.guide_id, g.active AND g.store_id = ANY(binds) AS acts FROM guide g
            WHERE g.tenant_id = tenant AND g.store_id = ANY(stores)
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
    END IF;
    steers := plans;
    IF NOT writes THEN
        acts_for := '{}'; binds := '{}'; steers := '{}';
    END IF;
    PERFORM stand_as(account_id::text, CASE WHEN sees_all THEN 'all' ELSE '' END,
        CASE WHEN changes_all THEN 'all' ELSE '' END, guides::text, acts_for::text, stores::text, binds::text,
        plans::text, steers::text);
    PERFORM set_config('daogou.writes', CASE WHEN writes THEN 'yes' ELSE '' END, false),
            set_config('daogou.at', at::text, false), set_config('daogou.amends', amends::text, false),
            set_config('daogou.amends_all', CASE WHEN changes_all AND amends_days THEN 'all' ELSE '' END, false);
    IF stores <> '{}' THEN
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

REVOKE EXECUTE ON FUNCTION append_events, append_events_held, items_to_report, write_check_ins, reports_as_hers,
    record_check_ins FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events, items_to_report, record_check_ins TO daogou_api, daogou_worker;
RESET ROLE;
RESET search_path;
