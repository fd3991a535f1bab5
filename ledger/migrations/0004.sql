-- Who stands where, from which day: guides are hired, transferred and leave, stores close, today or dated ahead.
-- Safe beside the version before: it adds tables and functions; what is dated ahead waits until that version is gone.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- From `from_on` on the guide stands in `store_id`; null: she has left. Kept for good, applied once.
CREATE TABLE guide_posting (
    tenant_id  integer NOT NULL,
    posting_id uuid NOT NULL,
    guide_id   uuid NOT NULL,
    version    integer NOT NULL,              -- of the guide's stream: of two decisions on one day the later holds
    before_store_id uuid,                     -- where she stands until then; null: she is hired
    store_id   uuid,
    from_on    date NOT NULL,                 -- of a leave: the day after her last
    from_at    timestamptz NOT NULL,          -- the first instant of that day in the store's time zone
    replacement_id uuid,                      -- of a leave: who takes over, where one is named
    decided_at timestamptz NOT NULL,
    applied_at timestamptz,                   -- she stands there since
    settled_at timestamptz,                   -- what was hers has moved
    superseded_at timestamptz,                -- a later decision on the same or an earlier day took its place: never applied
    CHECK (before_store_id IS NOT NULL OR store_id IS NOT NULL),
    PRIMARY KEY (tenant_id, posting_id)
);
CREATE INDEX guide_posting_of_guide ON guide_posting (tenant_id, guide_id, from_on, version);
-- Asked at every request of the API: it holds only what is still to come.
CREATE INDEX guide_posting_ahead ON guide_posting (tenant_id, from_at)
    WHERE applied_at IS NULL AND superseded_at IS NULL;
CREATE INDEX guide_posting_unsettled ON guide_posting (tenant_id) WHERE settled_at IS NULL AND superseded_at IS NULL;

CREATE TABLE store_closing (
    tenant_id  integer NOT NULL,
    store_id   uuid NOT NULL,
    last_on    date NOT NULL,
    from_at    timestamptz NOT NULL,          -- the end of the last day in the store's time zone
    to_store_id uuid,                         -- where its members are at home from then on; null: they stay its own
    decided_at timestamptz NOT NULL,
    applied_at timestamptz,
    PRIMARY KEY (tenant_id, store_id)
);
CREATE INDEX store_closing_ahead ON store_closing (tenant_id, from_at) WHERE applied_at IS NULL;

-- Puts every change whose day has come into what the engine and row-level security read, and ends what it ends: the
-- sessions and tokens of a guide who has left, a transferred guide's sessions on other stores' phones, a closed store's
-- phones. Events are not its business: what was decided is one already. Answers the instant it was given.
--
-- A request runs it before it is signed on, so rights change with the day, whatever else is away or late. Two index
-- lookups where nothing is due.
CREATE FUNCTION apply_staff_changes(at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    due guide_posting;
    shut store_closing;
BEGIN
    IF NOT EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = tenant AND p.applied_at IS NULL
                   AND p.superseded_at IS NULL AND p.from_at <= at)
       AND NOT EXISTS (SELECT FROM store_closing c WHERE c.tenant_id = tenant AND c.applied_at IS NULL
                       AND c.from_at <= at) THEN
        RETURN at;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('daogou.staff'), tenant);
    FOR due IN SELECT * FROM guide_posting p WHERE p.tenant_id = tenant AND p.applied_at IS NULL
               AND p.superseded_at IS NULL AND p.from_at <= at ORDER BY p.from_at, p.guide_id, p.version LOOP
        UPDATE guide g SET store_id = coalesce(due.store_id, g.store_id), active = due.store_id IS NOT NULL
        WHERE g.tenant_id = tenant AND g.guide_id = due.guide_id;
        UPDATE credential c SET ended_at = at
        FROM account a
        WHERE c.tenant_id = tenant AND c.ended_at IS NULL AND a.tenant_id = tenant AND a.account_id = c.account_id
          AND a.guide_id = due.guide_id
          AND (due.store_id IS NULL OR EXISTS (
              SELECT FROM device d WHERE d.tenant_id = tenant AND d.device_id = c.device_id
                AND d.store_id <> due.store_id));
        UPDATE guide_posting p SET applied_at = at WHERE p.tenant_id = tenant AND p.posting_id = due.posting_id;
    END LOOP;
    FOR shut IN SELECT * FROM store_closing c WHERE c.tenant_id = tenant AND c.applied_at IS NULL AND c.from_at <= at
                ORDER BY c.from_at, c.store_id LOOP
        UPDATE member m SET home_store_id = shut.to_store_id
        WHERE m.tenant_id = tenant AND m.home_store_id = shut.store_id AND shut.to_store_id IS NOT NULL;
        UPDATE device d SET ended_at = at
        WHERE d.tenant_id = tenant AND d.store_id = shut.store_id AND d.ended_at IS NULL;
        UPDATE store_closing c SET applied_at = at WHERE c.tenant_id = tenant AND c.store_id = shut.store_id;
    END LOOP;
    RETURN at;
END $$;

-- The id a guide of this code has or will have, as an import derives it (domain/identifiers.py, personal_id): the API may
-- not read the secret, and of what it keys HQ may ask for guides alone.
CREATE FUNCTION guide_id_for(code text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    key bytea;
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
    digest bytea;
BEGIN
    IF current_setting('role', true) IS DISTINCT FROM 'daogou_worker' AND NOT coalesce(changes_all(), false) THEN
        RAISE EXCEPTION 'guide_id_for: only HQ hires' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT t.id_secret INTO STRICT key FROM tenant_secret t WHERE t.tenant_id = tenant;
    IF length(key) > 64 THEN
        key := sha256(key);
    END IF;
    FOR i IN 0 .. length(key) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
    END LOOP;
    digest := sha256(outer_pad || sha256(inner_pad || convert_to('guide' || chr(31) || code, 'UTF8')));
    digest := substring(digest FROM 1 FOR 16);
    digest := set_byte(digest, 6, get_byte(digest, 6) & 15 | 128);
    digest := set_byte(digest, 8, get_byte(digest, 8) & 63 | 128);
    RETURN encode(digest, 'hex')::uuid;
END $$;

-- Enters a guide who is hired: not at work until apply_staff_changes. The API imports nothing, so it may do this alone.
-- Who comes back keeps her row and gets the name told now.
CREATE FUNCTION enter_guide(guide uuid, code text, store uuid, name text, phone text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF current_setting('role', true) IS DISTINCT FROM 'daogou_worker' AND NOT coalesce(changes_all(), false) THEN
        RAISE EXCEPTION 'enter_guide: only HQ hires' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO guide (tenant_id, guide_id, code, store_id, active, batch_id)
    VALUES (tenant, guide, enter_guide.code, store, false, 0) ON CONFLICT DO NOTHING;
    INSERT INTO guide_person AS p (tenant_id, guide_id, name, phone)
    VALUES (tenant, guide, enter_guide.name, enter_guide.phone)
    ON CONFLICT (tenant_id, guide_id) DO UPDATE
        SET name = EXCLUDED.name, phone = coalesce(EXCLUDED.phone, p.phone);
END $$;

DO $$
DECLARE
    my_stores CONSTANT text := '%1$I = ANY ((SELECT reach(''stores''))::uuid[])';
    rules CONSTANT text[][] := ARRAY[
        ['guide_posting', 'guide_id = ANY ((SELECT reach(''guides''))::uuid[]) OR ' || format(my_stores, 'store_id')
            || ' OR ' || format(my_stores, 'before_store_id')],
        ['store_closing', format(my_stores, 'store_id') || ' OR EXISTS (SELECT FROM guide g
            WHERE g.tenant_id = store_closing.tenant_id AND g.store_id = store_closing.store_id)']
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

REVOKE EXECUTE ON FUNCTION apply_staff_changes, guide_id_for, enter_guide FROM PUBLIC;
GRANT EXECUTE ON FUNCTION apply_staff_changes, guide_id_for, enter_guide TO daogou_api, daogou_worker;
GRANT SELECT ON guide_posting, store_closing TO daogou_worker, daogou_api, daogou_reader;
GRANT INSERT ON guide_posting, store_closing TO daogou_worker, daogou_api;
GRANT UPDATE (settled_at, superseded_at) ON guide_posting TO daogou_worker, daogou_api;
RESET ROLE;
RESET search_path;
