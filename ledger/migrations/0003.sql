-- Who may do what: accounts, what they are granted, how they sign in, and row-level security for the API.
-- Safe beside the version before: it adds tables, functions and an index, and policies for daogou_api, which nothing
-- ran as until now.
DO $$
BEGIN
    GRANT daogou_worker, daogou_api TO daogou_owner;  -- so that it sees how long their transactions run
EXCEPTION WHEN insufficient_privilege THEN
    NULL; -- roles made by somebody else: the figure then shows what the login may see
END $$;
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- Somebody who signs in. Names and logins are personal and live here only; events hold the id.
CREATE TABLE account (
    tenant_id   integer NOT NULL,
    account_id  uuid NOT NULL,
    login       text COLLATE "C" NOT NULL,    -- in lower case
    name        text NOT NULL,
    guide_id    uuid,                         -- the guide this account is, where it is one
    password    text,                         -- argon2id; null: signs in otherwise
    pin         text,                         -- argon2id; works on a bound phone only
    must_change boolean NOT NULL DEFAULT false, -- the password was given by somebody else: it opens nothing but its change
    pin_must_change boolean NOT NULL DEFAULT false, -- the same of the PIN, for sessions on a bound phone
    active      boolean NOT NULL DEFAULT true,
    failures    integer NOT NULL DEFAULT 0,   -- of the password, since the last success
    locked_until timestamptz,
    pin_failures integer NOT NULL DEFAULT 0,  -- apart: wrong passwords from outside lock no PIN on a shop's phone
    pin_locked_until timestamptz,
    subject     text COLLATE "C",             -- of OpenID Connect: issuer and subject
    wecom_user  text COLLATE "C",
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id),
    UNIQUE (tenant_id, login),
    UNIQUE (tenant_id, subject),
    UNIQUE (tenant_id, wecom_user)
);
CREATE INDEX account_of_guide ON account (tenant_id, guide_id);

-- A role in a place, from when until when. What has ended stays.
CREATE TABLE role_grant (
    tenant_id  integer NOT NULL,
    grant_id   uuid NOT NULL,
    account_id uuid NOT NULL,
    role       text NOT NULL CHECK (role IN ('hq', 'owner', 'supervisor', 'organiser', 'dealer', 'store_manager',
                                             'guide', 'service_agent', 'auditor')),
    place      text COLLATE "C" NOT NULL,     -- region or dealer name, store or plan code; empty: the brand, oneself
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz,
    PRIMARY KEY (tenant_id, grant_id)
);
CREATE INDEX role_grant_of_account ON role_grant (tenant_id, account_id);

-- What is shown instead of a password: a browser's session or a machine's token; only its SHA-256 is kept. 256 random
-- bits need no slow hash.
CREATE TABLE credential (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    credential_id uuid NOT NULL,              -- what people and events call it
    account_id uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('session', 'token')),
    name       text NOT NULL DEFAULT '',      -- of a token: what it is for
    rights     text[],                        -- of a token: no more than these; null: all its account has
    csrf       bytea,                         -- of a session: SHA-256 of what changing requests repeat
    device_id  uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (tenant_id, hash),
    UNIQUE (tenant_id, credential_id)
);
CREATE INDEX credential_of_account ON credential (tenant_id, account_id) WHERE ended_at IS NULL;

-- A phone of a store on which its guides sign in with a PIN; a shared one has several guides.
CREATE TABLE device (
    tenant_id  integer NOT NULL,
    device_id  uuid NOT NULL,
    store_id   uuid NOT NULL,
    name       text NOT NULL,
    hash       bytea NOT NULL,                -- SHA-256 of the secret the phone keeps
    bound_at   timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (tenant_id, device_id),
    UNIQUE (tenant_id, hash)
);
-- What a manager reads out to bind a phone; works once.
CREATE TABLE device_code (
    tenant_id  integer NOT NULL,
    hash       bytea NOT NULL,
    store_id   uuid NOT NULL,
    made_by    uuid NOT NULL,
    name       text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (tenant_id, hash)
);
-- Attempts to sign in per window, by a digest of what was tried or of where from.
CREATE TABLE sign_in_window (
    tenant_id  integer NOT NULL,
    subject    bytea NOT NULL,
    opened_at  timestamptz NOT NULL,
    attempts   integer NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);

CREATE INDEX plan_member_of_member ON plan_member (tenant_id, member_id, guide_id);

-- ---------------------------------------------------------------------------------------------
-- Who asks: every connection of the API is told before each request, in one round trip
-- ---------------------------------------------------------------------------------------------
-- daogou.account   id; empty: nobody
-- daogou.sees      'all' or empty                   daogou.changes   'all' or empty
-- daogou.guides    guides whose rows are seen       daogou.acts_for  guides whose work may be recorded
-- daogou.stores    stores whose members are seen    daogou.binds     stores whose phones may be bound
-- daogou.plans     campaigns that are seen          daogou.steers    campaigns that may be changed
-- daogou.at        the instant of the request        daogou.stood     the tenant all of this is said of
-- daogou.writes    'yes' or empty: a token without a right that writes changes nothing, not even its own account
CREATE FUNCTION stand_as(account text, sees text, changes text, guides text, acts_for text, stores text, binds text,
                         plans text, steers text)
RETURNS void LANGUAGE sql AS $$
    SELECT set_config('daogou.account', account, false), set_config('daogou.sees', sees, false),
           set_config('daogou.changes', changes, false), set_config('daogou.guides', guides, false),
           set_config('daogou.acts_for', acts_for, false), set_config('daogou.stores', stores, false),
           set_config('daogou.binds', binds, false), set_config('daogou.plans', plans, false),
           set_config('daogou.steers', steers, false),
           set_config('daogou.writes', '', false),
           set_config('daogou.stood', coalesce(current_setting('daogou.tenant', true), ''), false);
$$;

-- For what is nobody's own: signing somebody in, cutting a zone's lists at the first clock-in.
CREATE FUNCTION stand_for_upkeep() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT stand_as('', 'all', 'all', '{}', '{}', '{}', '{}', '{}', '{}');
$$;

-- Looks a credential up and makes its account the one who asks; no row: nobody does. `changing` are the rights that
-- write (domain/policy.py): a token without any of them reads only. On a bound phone, by PIN, only the roles of a shop count
-- (ON_PHONE there), whatever else the account is granted, and a phone's secret opens nothing 180 days after it was bound.
CREATE FUNCTION sign_on(shown bytea, at timestamptz, changing text[])
RETURNS TABLE (account_id uuid, guide_id uuid, credential_id uuid, kind text, rights text[], csrf bytea,
               must_change boolean, device_id uuid, roles text[], sees_all boolean, changes_all boolean,
               guides uuid[], acts_for uuid[], stores uuid[], binds uuid[], plans text[], steers text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    writes boolean;
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
    SELECT coalesce(array_agg(u.guide_id), '{}'), coalesce(array_agg(u.guide_id) FILTER (WHERE u.acts), '{}')
    INTO guides, acts_for
    FROM (
        SELECT g.guide_id, g.active AND g.store_id = ANY(binds) AS acts FROM guide g
        WHERE g.tenant_id = tenant AND g.store_id = ANY(stores)
          AND NOT (g.guide_id IS NOT DISTINCT FROM sign_on.guide_id AND roles && ARRAY['guide', 'service_agent'])
        UNION ALL
        SELECT g.guide_id, true FROM guide g
        WHERE g.tenant_id = tenant AND g.guide_id = sign_on.guide_id AND g.active
          AND roles && ARRAY['guide', 'service_agent']
    ) u;
    steers := plans;
    IF NOT writes THEN
        acts_for := '{}'; binds := '{}'; steers := '{}';
    END IF;
    PERFORM stand_as(account_id::text, CASE WHEN sees_all THEN 'all' ELSE '' END,
        CASE WHEN changes_all THEN 'all' ELSE '' END, guides::text, acts_for::text, stores::text, binds::text,
        plans::text, steers::text);
    PERFORM set_config('daogou.writes', CASE WHEN writes THEN 'yes' ELSE '' END, false);
    RETURN NEXT;
END $$;

-- Somebody of one tenant is nobody in another, whatever the connection's tenant is set to afterwards.
CREATE FUNCTION stood_here() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT current_setting('daogou.stood', true) = current_setting('daogou.tenant', true) $$;
CREATE FUNCTION sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT current_setting('daogou.sees', true) = 'all' AND stood_here() $$;
CREATE FUNCTION changes_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT current_setting('daogou.changes', true) = 'all' AND stood_here() $$;
CREATE FUNCTION asker() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT CASE WHEN stood_here() THEN nullif(current_setting('daogou.account', true), '')::uuid END $$;
-- Who asks, where they may write at all.
CREATE FUNCTION writer() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT CASE WHEN current_setting('daogou.writes', true) = 'yes' THEN asker() END $$;
-- A list of ids of a setting; never null, so that nothing is let through by a comparison that is neither true nor false.
CREATE FUNCTION reach(setting text) RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT CASE WHEN stood_here() THEN coalesce(nullif(current_setting('daogou.' || setting, true), ''), '{}')
       ELSE '{}' END::uuid[] $$;
CREATE FUNCTION reach_plans(setting text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT CASE WHEN stood_here() THEN coalesce(nullif(current_setting('daogou.' || setting, true), ''), '{}')
       ELSE '{}' END::text[] $$;

-- Whether the asker may give this account of a guide a PIN: it is a guide of a store whose phones the asker binds, and
-- the account is nothing else besides, so that nobody gets more by it than a guide has.
CREATE FUNCTION gives_pin(of_account uuid, of_guide uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM guide g WHERE g.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
        AND g.guide_id = of_guide AND g.active AND g.store_id = ANY (reach('binds'))
    ) AND NOT EXISTS (
        SELECT FROM role_grant r WHERE r.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
        AND r.account_id = of_account AND r.role NOT IN ('guide', 'service_agent') AND (r.ends_at IS NULL
            OR r.ends_at > coalesce(nullif(current_setting('daogou.at', true), '')::timestamptz, '-infinity'))
    )
$$;

-- What attempts to sign in are counted by: keyed, so that an address cannot be found out by trying all there are.
CREATE FUNCTION sign_in_subject(tried text) RETURNS bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT sha256(s.id_secret || sha256(s.id_secret || convert_to(tried, 'UTF8'))) FROM tenant_secret s
    WHERE s.tenant_id = nullif(current_setting('daogou.tenant', true), '')::integer
$$;

-- Whether a member is the asker's: at home in a store in reach, or served by a guide in reach.
CREATE FUNCTION sees_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('stores')))
        OR EXISTS (SELECT FROM plan_member p WHERE p.tenant_id = tenant AND p.member_id = wanted
            AND p.guide_id = ANY (reach('guides')));
END $$;

-- Whether the asker works on a member: at home in a store they manage, or served by a guide they act for. Who sees every
-- member and manages one store works on those of that store.
CREATE FUNCTION acts_for_member(wanted uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    RETURN EXISTS (SELECT FROM member m WHERE m.tenant_id = tenant AND m.member_id = wanted
            AND m.home_store_id = ANY (reach('binds')))
        OR EXISTS (SELECT FROM plan_member p WHERE p.tenant_id = tenant AND p.member_id = wanted
            AND p.guide_id = ANY (reach('acts_for')));
END $$;

-- The rules of the streams, above row-level security: a row of a table is looked up by its key and held against the
-- asker's reach right here, for each is asked several times in a check-in. One statement a kind, so that only what is
-- asked of is prepared. (tests/security/test_rows.py holds them against the rules of the tables.)
CREATE FUNCTION sees_stream(stream text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    part text[] := string_to_array(stream, '/');
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF part[1] = 'task' THEN
        RETURN EXISTS (SELECT FROM task t WHERE t.tenant_id = tenant AND t.task_id = part[2]::uuid
            AND (t.guide_id = ANY (reach('guides')) OR t.plan_id = ANY (reach_plans('plans'))));
    ELSIF part[1] = 'guide-day' THEN
        RETURN part[2]::uuid = ANY (reach('guides'));
    ELSIF part[1] = 'plan' THEN
        -- Its Checks, with every store's and guide's figures, are in it: whoever sees the whole campaign.
        RETURN part[2] = ANY (reach_plans('plans'));
    ELSIF part[1] = 'plan-member' THEN
        RETURN EXISTS (SELECT FROM plan_member m WHERE m.tenant_id = tenant AND m.plan_id = part[2]
            AND m.cycle = part[3]::integer AND m.member_id = part[4]::uuid
            AND (m.guide_id = ANY (reach('guides')) OR m.plan_id = ANY (reach_plans('plans'))));
    ELSIF part[1] = 'member' THEN
        RETURN sees_member(part[2]::uuid);
    ELSIF part[1] = 'account' THEN
        RETURN part[2]::uuid IS NOT DISTINCT FROM asker();
    END IF;
    RETURN false;
END $$;
CREATE FUNCTION acts_on_stream(stream text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    part text[] := string_to_array(stream, '/');
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF part[1] = 'task' THEN
        RETURN EXISTS (SELECT FROM task t WHERE t.tenant_id = tenant AND t.task_id = part[2]::uuid
            AND (t.guide_id = ANY (reach('acts_for')) OR t.plan_id = ANY (reach_plans('steers'))));
    ELSIF part[1] = 'guide-day' THEN
        RETURN part[2]::uuid = ANY (reach('acts_for'));
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
CREATE FUNCTION check_in_reach(wanted_plan text, wanted_cycle integer, wanted_kind text)
RETURNS TABLE (as_of timestamptz, "position" bigint, figures jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    everything boolean := coalesce(sees_all(), false) OR wanted_plan = ANY (reach_plans('plans'));
    seen uuid[] := reach('stores');
    seen_guides uuid[] := reach('guides');
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
-- Rows the API may read and write, on top of the tenant's. RESTRICTIVE: all of them must hold.
-- ---------------------------------------------------------------------------------------------
DO $$
DECLARE
    -- A table, who sees a row of it, who may write one; whoever sees or changes all is let through before.
    my_guides CONSTANT text := 'guide_id = ANY ((SELECT reach(''guides''))::uuid[])';
    my_work   CONSTANT text := 'guide_id = ANY ((SELECT reach(''acts_for''))::uuid[])';
    my_plans  CONSTANT text := 'plan_id = ANY ((SELECT reach_plans(''plans''))::text[])';
    my_steers CONSTANT text := 'plan_id = ANY ((SELECT reach_plans(''steers''))::text[])';
    -- Who takes part in a campaign is known by name to whoever runs it; their days and members are not theirs to see.
    in_campaign CONSTANT text := '(SELECT cardinality(reach_plans(''plans'')) > 0) AND EXISTS (SELECT FROM plan_member m
        WHERE m.tenant_id = %1$I.tenant_id AND m.guide_id = %1$I.guide_id
          AND m.plan_id = ANY ((SELECT reach_plans(''plans''))::text[]))';
    my_member CONSTANT text := 'EXISTS (SELECT FROM member m WHERE m.tenant_id = %1$I.tenant_id AND m.member_id = %1$I.member_id)';
    -- One's own, those on the phones one binds, and those of the guides one gives PINs.
    my_sessions CONSTANT text := 'account_id = (SELECT asker()) OR kind = ''session'' AND (EXISTS (SELECT FROM device d
        WHERE d.tenant_id = credential.tenant_id AND d.device_id = credential.device_id
          AND d.store_id = ANY ((SELECT reach(''binds''))::uuid[])) OR EXISTS (SELECT FROM account a
        WHERE a.tenant_id = credential.tenant_id AND a.account_id = credential.account_id
          AND gives_pin(a.account_id, a.guide_id)))';
    rules CONSTANT text[][] := ARRAY[
        ['tenant', '(SELECT asker()) IS NOT NULL', 'false'],
        ['tenant_secret', 'false', 'false'],
        ['stream_head', 'sees_stream(stream) OR acts_on_stream(stream)', 'acts_on_stream(stream)'],
        ['command', 'strpos(command_id, (SELECT asker())::text) > 0 OR sees_stream(stream) OR acts_on_stream(stream)',
            '(SELECT writer()) IS NOT NULL'],
        ['event_pending', 'false', 'acts_on_stream(stream)'],
        ['event_position', 'false', 'false'],
        ['event', 'sees_stream(stream) OR acts_on_stream(stream)', 'acts_on_stream(stream)'],
        ['import_batch', 'false', 'false'],
        ['store', 'store_id = ANY ((SELECT reach(''stores''))::uuid[]) OR EXISTS (SELECT FROM guide g
            WHERE g.tenant_id = store.tenant_id AND g.store_id = store.store_id
              AND (g.guide_id = ANY ((SELECT reach(''guides''))::uuid[]) OR ' || format(in_campaign, 'g') || '))', 'false'],
        ['guide', my_guides || ' OR ' || in_campaign, 'false'],
        ['guide_person', my_guides || ' OR ' || in_campaign, 'false'],
        ['member', 'home_store_id = ANY ((SELECT reach(''stores''))::uuid[]) OR EXISTS (SELECT FROM plan_member m
            WHERE m.tenant_id = member.tenant_id AND m.member_id = member.member_id
              AND m.guide_id = ANY ((SELECT reach(''guides''))::uuid[]))', 'false'],
        ['member_person', my_member, 'false'],
        ['member_note', my_member, 'acts_for_member(member_id)'],
        ['category', '(SELECT asker()) IS NOT NULL', 'false'],
        ['purchase', my_member, 'false'],
        ['plan', my_plans || ' OR EXISTS (SELECT FROM plan_member m
            WHERE m.tenant_id = plan.tenant_id AND m.plan_id = plan.plan_id
              AND m.guide_id = ANY ((SELECT reach(''guides''))::uuid[]))', my_steers],
        ['plan_cycle', 'EXISTS (SELECT FROM plan p WHERE p.tenant_id = plan_cycle.tenant_id
            AND p.plan_id = plan_cycle.plan_id)', my_steers],
        ['plan_member', my_guides || ' OR ' || my_plans, my_work || ' OR ' || my_steers],
        ['task', my_guides || ' OR ' || my_plans, my_work || ' OR ' || my_steers],
        ['check_in', my_guides || ' OR ' || my_plans, my_work],
        ['guide_day', my_guides, my_work],
        ['list_item', my_guides, my_work],
        ['plan_check', my_plans, 'false'],
        ['outbox', 'false', 'false'],
        ['zone_day', '(SELECT asker()) IS NOT NULL', 'false'],
        ['endpoint', 'false', 'false'],
        ['message_stop', 'false', 'false'],
        ['account', 'account_id = (SELECT asker()) OR ' || my_work,
            'account_id = (SELECT writer()) OR gives_pin(account_id, guide_id)'],
        ['role_grant', 'account_id = (SELECT asker())', 'role = ''guide'' AND place = '''' AND EXISTS (
            SELECT FROM account a WHERE a.tenant_id = role_grant.tenant_id AND a.account_id = role_grant.account_id
              AND gives_pin(a.account_id, a.guide_id))'],
        ['credential', my_sessions, '(SELECT writer()) IS NOT NULL AND (' || my_sessions || ')'],
        ['device', 'store_id = ANY ((SELECT reach(''binds''))::uuid[])',
            'store_id = ANY ((SELECT reach(''binds''))::uuid[])'],
        ['device_code', 'store_id = ANY ((SELECT reach(''binds''))::uuid[])',
            'store_id = ANY ((SELECT reach(''binds''))::uuid[])'],
        ['sign_in_window', 'false', 'false']
    ];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule[1]);
        IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = 'daogou' AND tablename = rule[1]
                       AND policyname = 'one_tenant') THEN
            EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
                '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', rule[1]);
        END IF;
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

-- For the figures: how long the oldest transaction of worker or API has run, which neither may see of the other.
CREATE FUNCTION oldest_transaction_s() RETURNS double precision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
    SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA daogou FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stand_for_upkeep, sign_on, stood_here, sees_all, changes_all, asker, writer, reach, reach_plans, sees_stream,
    sees_member, acts_for_member, acts_on_stream, gives_pin, sign_in_subject, check_in_reach, oldest_transaction_s TO daogou_api, daogou_worker;
GRANT SELECT, INSERT, UPDATE ON account, role_grant, credential, device, device_code, sign_in_window
    TO daogou_worker, daogou_api;
GRANT DELETE ON sign_in_window TO daogou_worker, daogou_api;
-- A message is sent once more by hand, at HQ.
GRANT UPDATE (state, claimed_at, claimed_by, ended_at, not_before, attempts, why) ON outbox TO daogou_api;
-- Without its address, which holds its secret.
GRANT SELECT (tenant_id, endpoint_id, scope, code, kind, per_minute, active) ON endpoint TO daogou_api;
RESET ROLE;
RESET search_path;
