-- Guides who were urged, and how far what is left open has been told upwards.
-- Safe beside the version before: it knows neither the table nor the events, and writes as ever.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

CREATE TABLE guide_urge (
    tenant_id     integer NOT NULL,
    guide_id      uuid NOT NULL,
    business_date date NOT NULL,
    version       integer NOT NULL,           -- in the stream of her day
    urged_at      timestamptz NOT NULL,
    actor         text NOT NULL,
    tasks         uuid[] NOT NULL,            -- what was open then, in the list's order
    PRIMARY KEY (tenant_id, guide_id, business_date, version)
);
-- The last day's urges of a guide: there may be three.
CREATE INDEX guide_urge_by_time ON guide_urge (tenant_id, guide_id, urged_at);
-- What was urged lately goes first when lists are cut.
CREATE INDEX guide_urge_of_day ON guide_urge (tenant_id, business_date);

ALTER TABLE guide_urge ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON guide_urge USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- As her days.
CREATE POLICY asker_sees ON guide_urge AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR guide_id = ANY ((SELECT reach('days'))::uuid[])
        OR guide_id = ANY ((SELECT reach('moved'))::uuid[]) AND day_in_reach(guide_id, business_date, 'stores'));
CREATE POLICY asker_adds ON guide_urge AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON guide_urge AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON guide_urge AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));

-- Whether the asker may urge a guide on a day: HQ, the supervisor of the region and the manager of the store she stands in
-- then. What an urge writes is then written for upkeep, for neither of them records her work.
CREATE FUNCTION urges(of_guide uuid, on_day date) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
DECLARE
    tenant integer := nullif(current_setting('daogou.tenant', true), '')::integer;
BEGIN
    IF current_setting('role', true) = 'daogou_worker' OR coalesce(changes_all(), false) THEN
        RETURN true;
    END IF;
    IF writer() IS NULL THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM store s
        JOIN role_grant r ON r.tenant_id = tenant AND r.account_id = asker()
         AND (r.role = 'supervisor' AND r.place = s.region OR r.role = 'store_manager' AND r.place = s.code)
        WHERE s.tenant_id = tenant AND s.store_id = stood_in(of_guide, on_day) AND s.store_id = ANY (reach('stores'))
          AND r.starts_at <= asked_at() AND (r.ends_at IS NULL OR r.ends_at > asked_at()));
END $$;
REVOKE EXECUTE ON FUNCTION urges FROM PUBLIC;
GRANT EXECUTE ON FUNCTION urges TO daogou_api, daogou_worker;
GRANT SELECT, INSERT ON guide_urge TO daogou_worker;
GRANT SELECT, INSERT ON guide_urge TO daogou_api;
GRANT SELECT ON guide_urge TO daogou_reader;
RESET ROLE;
RESET search_path;
