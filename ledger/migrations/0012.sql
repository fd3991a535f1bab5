-- The other members of a record's number, each a row: row-level security keeps conditions that are not leakproof, as those
-- of arrays are, out of every index, and equal ids are leakproof.
-- Safe beside the version before: it writes records as ever, a trigger adds the rows, and the index that goes served
-- nobody whom row-level security holds. Records wait while the rows of those that are there are added.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

CREATE TABLE system_record_also (
    tenant_id integer NOT NULL,
    member_id uuid NOT NULL,                  -- one of the record's `also`
    source    text COLLATE "C" NOT NULL,
    kind      text NOT NULL,
    key       text COLLATE "C" NOT NULL,
    revision  bigint NOT NULL,
    PRIMARY KEY (tenant_id, member_id, source, kind, key, revision)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON system_record_also
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whoever may add a record adds these with it, and nobody adds them otherwise.
CREATE FUNCTION add_also() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = daogou, pg_temp AS $$
BEGIN
    INSERT INTO system_record_also (tenant_id, member_id, source, kind, key, revision)
    SELECT DISTINCT r.tenant_id, m, r.source, r.kind, r.key, r.revision FROM added r, unnest(r.also) m;
    RETURN NULL;
END $$;
CREATE TRIGGER also_added AFTER INSERT ON system_record
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION add_also();

-- After the trigger, which lets nobody add a record before this is there to be seen.
INSERT INTO system_record_also (tenant_id, member_id, source, kind, key, revision)
SELECT DISTINCT r.tenant_id, m, r.source, r.kind, r.key, r.revision FROM system_record r, unnest(r.also) m
WHERE r.also <> '{}';
DROP INDEX system_record_of_also;

ALTER TABLE system_record_also ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON system_record_also USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- Whoever sees the record, which names them all.
CREATE POLICY asker_sees ON system_record_also AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR EXISTS (SELECT FROM system_record r
        WHERE r.tenant_id = system_record_also.tenant_id AND r.source = system_record_also.source
          AND r.kind = system_record_also.kind AND r.key = system_record_also.key
          AND r.revision = system_record_also.revision));
CREATE POLICY asker_adds ON system_record_also AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON system_record_also AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON system_record_also AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));

REVOKE EXECUTE ON FUNCTION add_also FROM PUBLIC;
GRANT SELECT ON system_record_also TO daogou_worker, daogou_api, daogou_reader;
RESET ROLE;
RESET search_path;
