-- Late facts and corrections: what was reported before is superseded, never changed, and closed days are counted anew.
-- Safe beside the version before: it adds columns with defaults, a table, a view, an index and functions. That version
-- goes on refusing what only this one can take, and knows no correction, for there is none before this one runs.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- Of the figures of a closed day: the close's are the first version.
ALTER TABLE guide_day ADD COLUMN figures_version integer NOT NULL DEFAULT 1;
ALTER TABLE guide_day ADD COLUMN late integer NOT NULL DEFAULT 0;      -- of the items done: reported after the close
ALTER TABLE guide_day ADD COLUMN corrected integer NOT NULL DEFAULT 0; -- of the items done: by a correction

ALTER TABLE check_in ADD COLUMN late boolean NOT NULL DEFAULT false;   -- known after the close of its day
ALTER TABLE check_in ADD COLUMN skew_s integer NOT NULL DEFAULT 0;     -- of the phone's clock; occurred_at is put right
ALTER TABLE check_in ADD COLUMN corrects integer;                      -- the version that it took the place of
ALTER TABLE check_in ADD COLUMN why_id uuid;                           -- why, kept as a note

-- check_in holds the reports that are valid now; here are those that were, until when, and what took their place.
CREATE TABLE check_in_superseded (
    tenant_id    integer NOT NULL,
    task_id      uuid NOT NULL,
    version      integer NOT NULL,
    plan_id      text COLLATE "C" NOT NULL,
    cycle        integer NOT NULL,
    member_id    uuid NOT NULL,
    guide_id     uuid NOT NULL,
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
    conflict     text,
    late         boolean NOT NULL,
    skew_s       integer NOT NULL,
    corrects     integer,
    why_id       uuid,
    device_id    uuid,
    evidence     text COLLATE "C",
    superseded_at timestamptz NOT NULL,       -- when that became known
    superseded_by integer NOT NULL,           -- version of the correction in the item's stream
    voided       boolean NOT NULL,            -- nothing took its place
    voided_by    text,                        -- who said so
    voided_why_id uuid,
    PRIMARY KEY (tenant_id, task_id, version)
);
CREATE INDEX check_in_superseded_of_plan ON check_in_superseded (tenant_id, plan_id, cycle, member_id);
CREATE INDEX check_in_superseded_of_member ON check_in_superseded (tenant_id, member_id);
CREATE INDEX check_in_voided_of_day ON check_in_superseded (tenant_id, business_date) WHERE voided;

-- For whoever counts as of an instant: a report holds from known_at until superseded_at.
CREATE VIEW check_in_ever WITH (security_invoker = true) AS
    SELECT tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at, business_date,
           channel, outcome, reached, grade, products, next_on, note_id, conflict,
           'infinity'::timestamptz AS superseded_at
    FROM check_in
    UNION ALL
    SELECT tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at, business_date,
           channel, outcome, reached, grade, products, next_on, note_id, conflict, superseded_at
    FROM check_in_superseded;

-- What the version before marked in the event only.
UPDATE check_in k SET late = true
FROM event e
WHERE e.tenant_id = k.tenant_id AND e.stream = 'task/' || k.task_id AND e.version = k.version
  AND e.known_at = k.known_at AND e.type = 'checked_in' AND e.payload->>'late' = 'true';

-- What a supervisor looks at: few among many.
CREATE INDEX check_in_out_of_ordinary ON check_in (tenant_id, business_date)
    WHERE late OR conflict IS NOT NULL OR corrects IS NOT NULL OR skew_s <> 0;

-- By what right whoever asks reports or corrects a guide's work on an item. `works`: they act for her, and the item is
-- in their sight or was hers once: a phone that was offline does not know that it went to somebody else. `amends`: they
-- may change her closed days: as supervisor of the region she stands in, or as HQ.
CREATE FUNCTION rights_over(of_task uuid, of_guide uuid, OUT works boolean, OUT amends boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
    held boolean;
BEGIN
    IF current_setting('role', true) = 'daogou_worker' OR coalesce(changes_all(), false) THEN
        works := true;
        amends := true;
        RETURN;
    END IF;
    works := false;
    amends := false;
    IF writer() IS NULL THEN
        RETURN;
    END IF;
    held := EXISTS (SELECT FROM event e WHERE e.tenant_id = tenant AND e.stream = 'task/' || of_task
                    AND e.type IN ('task_created', 'task_reassigned') AND e.payload->>'guide' = of_guide::text);
    works := of_guide = ANY (reach('acts_for')) AND (held OR sees_stream('task/' || of_task));
    amends := held AND EXISTS (
        SELECT FROM guide g JOIN store s ON s.tenant_id = tenant AND s.store_id = g.store_id
        JOIN role_grant r ON r.tenant_id = tenant AND r.account_id = asker() AND r.role = 'supervisor' AND r.place = s.region
        WHERE g.tenant_id = tenant AND g.guide_id = of_guide AND g.store_id = ANY (reach('stores'))
          AND r.starts_at <= nullif(current_setting('daogou.at', true), '')::timestamptz
          AND (r.ends_at IS NULL OR r.ends_at > nullif(current_setting('daogou.at', true), '')::timestamptz));
END $$;

-- A report holds no more: `by_version` of its item's stream took its place, or says that it was never made. Reports are
-- changed by nothing else. The worker's, and upkeep's after whoever asks was looked at.
CREATE FUNCTION supersede_check_in(of_task uuid, of_version integer, by_version integer, at timestamptz, void_by text,
                                   void_why uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF current_setting('role', true) IS DISTINCT FROM 'daogou_worker' AND NOT coalesce(changes_all(), false) THEN
        RAISE EXCEPTION 'reports are not this asker''s to supersede' USING ERRCODE = 'insufficient_privilege';
    END IF;
    WITH gone AS (
        DELETE FROM check_in k WHERE k.tenant_id = tenant AND k.task_id = of_task AND k.version = of_version RETURNING *
    )
    INSERT INTO check_in_superseded (
        tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at, business_date,
        channel, outcome, reached, grade, products, next_on, note_id, conflict, late, skew_s, corrects, why_id,
        device_id, evidence, superseded_at, superseded_by, voided, voided_by, voided_why_id)
    SELECT tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at, business_date,
           channel, outcome, reached, grade, products, next_on, note_id, conflict, late, skew_s, corrects, why_id,
           device_id, evidence, at, by_version, void_by IS NOT NULL, void_by, void_why
    FROM gone;
    RETURN FOUND;
END $$;

DO $$
DECLARE
    -- As of check_in: the guide's store on that day decides.
    seen CONSTANT text := 'guide_id = ANY ((SELECT reach(''days''))::uuid[])
        OR guide_id = ANY ((SELECT reach(''moved''))::uuid[]) AND day_in_reach(guide_id, business_date, ''stores'')
        OR plan_id = ANY ((SELECT reach_plans(''plans''))::text[])';
BEGIN
    ALTER TABLE check_in_superseded ENABLE ROW LEVEL SECURITY;
    CREATE POLICY one_tenant ON check_in_superseded USING (tenant_id =
        (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
    EXECUTE 'CREATE POLICY asker_sees ON check_in_superseded AS RESTRICTIVE FOR SELECT TO daogou_api '
        'USING ((SELECT sees_all()) OR ' || seen || ')';
    CREATE POLICY asker_adds ON check_in_superseded AS RESTRICTIVE FOR INSERT TO daogou_api
        WITH CHECK ((SELECT changes_all()));
    CREATE POLICY asker_changes ON check_in_superseded AS RESTRICTIVE FOR UPDATE TO daogou_api
        USING ((SELECT changes_all()));
    CREATE POLICY asker_deletes ON check_in_superseded AS RESTRICTIVE FOR DELETE TO daogou_api
        USING ((SELECT changes_all()));
END $$;

REVOKE EXECUTE ON FUNCTION rights_over, supersede_check_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rights_over, supersede_check_in TO daogou_api, daogou_worker;
GRANT SELECT ON check_in_superseded, check_in_ever TO daogou_worker, daogou_api, daogou_reader;
RESET ROLE;
RESET search_path;
