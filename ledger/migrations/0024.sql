-- Contact accounts: how often a member is contacted at most, and the messages that went to one.
-- Safe beside the version before: it knows neither the table nor the event, and cuts lists as ever. The index of messages is
-- built while others write (0024's Python).
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- What the brand said, one row each time; of those whose day has come the latest dated counts (domain/contact_budget.py).
CREATE TABLE contact_limit (
    tenant_id  integer NOT NULL,
    version    integer NOT NULL,              -- of the stream contact-limits
    from_on    date NOT NULL,
    day        smallint NOT NULL,
    week       smallint NOT NULL,
    month      smallint NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, version)
);

ALTER TABLE contact_limit ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON contact_limit USING (tenant_id =
    (SELECT nullif(current_setting('daogou.tenant', true), '')::integer));
-- As what is asked of a guide a day: whoever is signed on reads it, HQ says it.
CREATE POLICY asker_sees ON contact_limit AS RESTRICTIVE FOR SELECT TO daogou_api
    USING ((SELECT sees_all()) OR (SELECT asker()) IS NOT NULL);
CREATE POLICY asker_adds ON contact_limit AS RESTRICTIVE FOR INSERT TO daogou_api
    WITH CHECK ((SELECT changes_all()));
CREATE POLICY asker_changes ON contact_limit AS RESTRICTIVE FOR UPDATE TO daogou_api
    USING ((SELECT changes_all()));
CREATE POLICY asker_deletes ON contact_limit AS RESTRICTIVE FOR DELETE TO daogou_api
    USING ((SELECT changes_all()));
GRANT SELECT, INSERT ON contact_limit TO daogou_worker, daogou_api;
GRANT SELECT ON contact_limit TO daogou_reader;
RESET ROLE;
RESET search_path;
