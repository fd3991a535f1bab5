-- Feeds: what a source sent is compared with what it sent, its terms have a history, nothing is returned that was not bought.
-- Safe beside the version before: it adds a column without rewriting, and tables; a record without
-- `named` and a source without terms are taken as that version left them.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- What a source may tell, since when; none: it has ended. Only added to, so that no answer as of the past changes.
CREATE TABLE feed_terms (
    tenant_id integer NOT NULL,
    source    text COLLATE "C" NOT NULL,
    number    integer NOT NULL,               -- of the source, from 1
    known_at  timestamptz NOT NULL,
    kinds     text[] NOT NULL,
    PRIMARY KEY (tenant_id, source, number)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON feed_terms
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Sources of before may tell everything, and ended and began again when their events say so.
INSERT INTO feed_terms (tenant_id, source, number, known_at, kinds)
SELECT f.tenant_id, f.source, row_number() OVER (PARTITION BY f.tenant_id, f.source ORDER BY e.version), e.known_at,
       CASE e.type WHEN 'feed_ended' THEN '{}' ELSE '{calls,friends,redemptions,visits,purchases,returns}' END::text[]
FROM feed f JOIN event e ON e.tenant_id = f.tenant_id AND e.stream = 'feed/' || f.source
WHERE e.type IN ('feed_created', 'feed_ended');

ALTER TABLE feed_terms ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON feed_terms USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- As how far the data is complete, nobody's secret.
CREATE POLICY asker_sees ON feed_terms AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR (SELECT asker()) IS NOT NULL);
CREATE POLICY asker_adds ON feed_terms AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON feed_terms AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON feed_terms AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));
GRANT SELECT ON feed_terms TO daogou_worker, daogou_api, daogou_reader;
GRANT INSERT ON feed_terms TO daogou_worker;

-- What a change of staff was answered, so that the same request sent again is answered as the first was.
CREATE TABLE staff_answer (
    tenant_id  integer NOT NULL,
    command_id text COLLATE "C" NOT NULL,
    answer     jsonb NOT NULL,                -- codes of guides and plans, ids, counts
    known_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, command_id)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON staff_answer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE staff_answer ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON staff_answer USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
CREATE POLICY asker_sees ON staff_answer AS RESTRICTIVE FOR SELECT TO daogou_api USING ((SELECT sees_all()));
CREATE POLICY asker_adds ON staff_answer AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON staff_answer AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON staff_answer AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));
GRANT SELECT, INSERT ON staff_answer TO daogou_worker, daogou_api;

-- A number that named the record's member, as HMAC under that member's key: gone with the key when the member is erased.
ALTER TABLE system_record ADD COLUMN named bytea;
RESET ROLE;
RESET search_path;
