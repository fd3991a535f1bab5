-- Seals: an append-only Merkle tree over the positions; each seal commits to the one before.
-- Safe beside the version before: it adds a table, lets messages be nobody's, and widens a check. It holds `outbox` and
-- `endpoint` for a moment.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

CREATE TABLE seal (
    tenant_id integer NOT NULL,
    position  bigint NOT NULL CHECK (position > 0),          -- the tree's size: every event up to it
    root      bytea NOT NULL CHECK (octet_length(root) = 32), -- RFC 9162, entries are the events' hashes by position
    peaks     bytea NOT NULL CHECK (octet_length(peaks) % 32 = 0), -- roots of its perfect subtrees: with them it grows
    seal_hash bytea NOT NULL CHECK (octet_length(seal_hash) = 32), -- SHA-256(seal_hash before || tenant, position, root, sealed_at)
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, position)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
DECLARE
    rules CONSTANT text[][] := ARRAY[['seal', 'false', 'false']];
    rule text[];
BEGIN
    FOREACH rule SLICE 1 IN ARRAY rules LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule[1]);
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''daogou.tenant'', true), '''')::integer))', rule[1]);
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
-- A seal's message is about no guide, and goes to endpoints of their own.
ALTER TABLE outbox ALTER COLUMN guide_id DROP NOT NULL;
ALTER TABLE endpoint DROP CONSTRAINT endpoint_scope_check;
ALTER TABLE endpoint ADD CONSTRAINT endpoint_scope_check
    CHECK (scope IN ('brand', 'region', 'store', 'guide', 'audit')) NOT VALID;
ALTER TABLE endpoint VALIDATE CONSTRAINT endpoint_scope_check;
GRANT SELECT, INSERT ON seal TO daogou_worker;
GRANT SELECT ON seal TO daogou_api, daogou_reader;
RESET ROLE;
RESET search_path;
